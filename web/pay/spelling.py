"""How codes and amounts are written and read. Pure.

A code is 35 random bits in Crockford's base 32 and his check symbol (value modulo 37): "7KQM-2XWD". Values whose
check symbol would be one of his five signs beside the 32 are not drawn, so a code is letters and digits only. A wrong
symbol or two neighbours that changed places never give another code.
"""

import re
import secrets
from enum import Enum

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_SIZE = 8
_CHECK = 37
_BITS = 35
_MEANT = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None, "\u00a0": None, "\u202f": None})

AMOUNT_MC_MAX = 10**12
"""A billion credits: more is a slip of the finger, and browsers count it exactly."""
TEXT_SIZE_MAX = 40


def new_code() -> str:
    """A fresh code, eight symbols."""
    while True:
        value = secrets.randbits(_BITS)
        if value % _CHECK < len(ALPHABET):
            return spell_code(value)


def spell_code(value: int) -> str:
    """The code of a value below 2^35 whose check symbol is one of the alphabet."""
    symbols = [ALPHABET[value >> shift & 31] for shift in range(_BITS - 5, -1, -5)]
    return "".join(symbols) + ALPHABET[value % _CHECK]


def read_code(text: str) -> str | None:
    """The code that somebody typed: case, hyphens and spaces do not matter, I and L are 1, O is 0. None: none."""
    code = text.strip().upper().translate(_MEANT)
    if len(code) != CODE_SIZE or any(symbol not in ALPHABET for symbol in code):
        return None
    value = 0
    for symbol in code[:-1]:
        value = value << 5 | ALPHABET.index(symbol)
    return code if value % _CHECK == ALPHABET.index(code[-1]) else None


def show_code(code: str) -> str:
    """In two groups of four, as people read it aloud."""
    return f"{code[:4]}-{code[4:]}"


class Unclear(Enum):
    """Why a text is no amount. static/wallet/amount.js decides the same, by the same table of examples."""

    NOT_A_NUMBER = "not-a-number"
    AMBIGUOUS = "ambiguous"  # "1.000": one, or a thousand
    TOO_FINE = "too-fine"  # more than three decimals
    NOTHING = "nothing"
    TOO_MUCH = "too-much"


_SPACES = re.compile(r"(?<=\d)[\s\u00a0\u2009\u202f'’](?=\d{3}(?!\d))")
_PLAIN = re.compile(r"(?P<whole>\d*)(?:[.,](?P<part>\d+))?")
_GROUPED = re.compile(
    r"(?P<whole>\d{1,3}(?P<group>[.,])\d{3}(?:(?P=group)\d{3})*)(?:(?!(?P=group))[.,](?P<part>\d+))?"
)


def read_amount(text: str) -> int | Unclear:
    """Thousandths of a credit, from what people write in either language: "1,5", "1.5", "1 234,56", "1,234.56".

    A single comma or point before exactly three digits may be either: that is asked, not guessed.
    """
    if len(text) > TEXT_SIZE_MAX:
        return Unclear.NOT_A_NUMBER
    number = _SPACES.sub("", text.strip())
    has_spaces = number != text.strip()
    if not number.isascii():
        return Unclear.NOT_A_NUMBER
    plain = _PLAIN.fullmatch(number)
    if plain is not None and (plain["whole"] or plain["part"]):
        is_either = re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", number) is not None and not has_spaces
        return Unclear.AMBIGUOUS if is_either else _amount(plain["whole"], plain["part"] or "")
    grouped = _GROUPED.fullmatch(number)
    if grouped is None or has_spaces:
        return Unclear.NOT_A_NUMBER
    return _amount(re.sub(r"[.,]", "", grouped["whole"]), grouped["part"] or "")


def _amount(whole: str, part: str) -> int | Unclear:
    part = part.rstrip("0")
    if len(part) > 3:
        return Unclear.TOO_FINE
    amount_mc = int(whole or "0") * 1000 + int(part.ljust(3, "0"))
    if amount_mc == 0:
        return Unclear.NOTHING
    return Unclear.TOO_MUCH if amount_mc > AMOUNT_MC_MAX else amount_mc


def meanings(text: str) -> tuple[str, str]:
    """The two numbers that an ambiguous text may mean, without any sign: "1.250" → ("1.25", "1250")."""
    whole, _sign, part = text.strip().replace(",", ".").partition(".")
    return f"{whole}.{part}".rstrip("0").rstrip("."), whole + part
