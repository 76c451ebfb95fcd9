"""A strict reader of the Fichier des écritures comptables, written from the article (LPF A47 A-1), not from our code.

It says everything that is wrong with a file; nothing of the project is imported.
"""

import re
from collections import defaultdict
from datetime import date

FIELDS = (
    *("JournalCode", "JournalLib", "EcritureNum", "EcritureDate", "CompteNum", "CompteLib", "CompAuxNum"),
    *("CompAuxLib", "PieceRef", "PieceDate", "EcritureLib", "Debit", "Credit", "EcritureLet", "DateLet"),
    *("ValidDate", "Montantdevise", "Idevise"),
)
NEEDED = (0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 15)
AMOUNT = re.compile(r"\d+,\d\d")
FOREIGN = re.compile(r"-?\d+,\d+")
NAME = re.compile(r"(\d{9})FEC(\d{8})\.txt")


def check(name: str, data: bytes) -> list[str]:
    """What is wrong, in the order of the lines; nothing if the file may be handed in."""
    wrong = []
    named = NAME.fullmatch(name)
    if named is None:
        wrong.append(f"the name {name} is not SIRENFECAAAAMMJJ.txt")
    text = data.decode("utf-8")
    if not text.endswith("\r\n"):
        wrong.append("the last line is not ended")
    lines = text.split("\r\n")[:-1]
    if not lines or lines[0].split("\t") != list(FIELDS):
        return [*wrong, "the first line does not name the 18 fields"]
    sums: dict[str, int] = defaultdict(int)
    last_number, last_day = 0, ""
    for at, line in enumerate(lines[1:], 2):
        fields = line.split("\t")
        if len(fields) != len(FIELDS):
            wrong.append(f"line {at} has {len(fields)} fields")
            continue
        wrong += [f"line {at}: {FIELDS[number]} is missing" for number in NEEDED if not fields[number].strip()]
        wrong += [f"line {at}: {FIELDS[number]} is no day" for number in (3, 9, 15) if not _is_day(fields[number])]
        if not re.fullmatch(r"[0-9]{3}[0-9A-Z]*", fields[4]):
            wrong.append(f"line {at}: CompteNum {fields[4]} does not begin with three digits")
        if not AMOUNT.fullmatch(fields[11]) or not AMOUNT.fullmatch(fields[12]):
            wrong.append(f"line {at}: an amount is not spelled with a comma and two decimals")
            continue
        debit, credit = (int(fields[number].replace(",", "")) for number in (11, 12))
        if (debit == 0) == (credit == 0):
            wrong.append(f"line {at}: debit and credit, or neither")
        if bool(fields[16]) != bool(fields[17]) or (fields[16] and not FOREIGN.fullmatch(fields[16])):
            wrong.append(f"line {at}: an amount in another currency without it")
        number = int(fields[2])
        if number not in (last_number, last_number + 1):
            wrong.append(f"line {at}: entry {number} after {last_number}")
        if fields[3] < last_day:
            wrong.append(f"line {at}: {fields[3]} after {last_day}")
        if named is not None and fields[3] > named[2]:
            wrong.append(f"line {at}: {fields[3]} after the end of the year")
        last_number, last_day = number, fields[3]
        sums[fields[2]] += debit - credit
    return [*wrong, *(f"entry {number} is not balanced: {rest}" for number, rest in sums.items() if rest)]


def _is_day(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{8}", text):
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True
