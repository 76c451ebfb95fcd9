"""Movements as other programs read them: beancount, hledger, CSV and the French FEC. Pure: lines of text.

FEC (Livre des procédures fiscales, article A47 A-1): 18 fields, tab-separated, decimal comma, dates YYYYMMDD, one
line per posting. Debit and Credit are in the unit of the account; Montantdevise and Idevise repeat amount and unit.

A holder's accounts in several units are one account in several commodities here, as books have it.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from commonwatt.units import format_credits
from ledger.audit.export import Movement
from ledger.book.kinds import Subject
from ledger.book.show import Names
from ledger.book.state import State
from ledger.book.units import ISSUANCE, OUTSIDE, RESERVE, Unit, holder_of, unit_of

COMMODITIES = {Unit.ENERGY: "CREDIT", Unit.EURO: "EURO", Unit.MUTUAL: "MUTUAL", Unit.HOURS: "HOUR"}
FEC_FIELDS = (
    *("JournalCode", "JournalLib", "EcritureNum", "EcritureDate", "CompteNum", "CompteLib", "CompAuxNum"),
    *("CompAuxLib", "PieceRef", "PieceDate", "EcritureLib", "Debit", "Credit", "EcritureLet", "DateLet"),
    *("ValidDate", "Montantdevise", "Idevise"),
)
_FEC_JOURNALS = {
    "mint-run": ("EM", "Émissions"),
    "transfer": ("VI", "Virements"),
    "payment-answer": ("VI", "Virements"),
    "top-up": ("BQ", "Réserve en euros"),
    "redeem": ("BQ", "Réserve en euros"),
    "charge": ("CO", "Contributions"),
}
_FEC_OTHER = ("OD", "Opérations diverses")


class Format(StrEnum):
    """What `ledger export` writes."""

    BEANCOUNT = "beancount"
    HLEDGER = "hledger"
    CSV = "csv"
    FEC = "fec"


@dataclass(frozen=True, slots=True)
class Row:
    """How an account stands in books: its branch, the French account number and its wording."""

    branch: str
    number: str
    wording: str


_ISSUED = Row("Equity:Issuance", "4670000", "Crédits émis")
_RESERVE = Row("Assets:Reserve", "5120000", "Réserve en euros")
_OUTSIDE = Row("Equity:Outside", "4680000", "Euros reçus et rendus")
_ASSOCIATION = Row("Liabilities:Association", "4673000", "Association")
_MERCHANT = Row("Liabilities:Merchants", "4672000", "Commerçants")
_MEMBER = Row("Liabilities:Members", "4671000", "Adhérents")
_OWN = {ISSUANCE: _ISSUED, RESERVE: _RESERVE, OUTSIDE: _OUTSIDE}
_SINGLE = (*_OWN.values(), _ASSOCIATION)
_ASSETS = (_RESERVE, _OUTSIDE)
"""Where what comes in is a debit: euros that the association has, not credits that it owes."""


@dataclass(frozen=True, slots=True)
class Books:
    """Movements with what is known about their accounts: the state after them, and names."""

    state: State
    movements: tuple[Movement, ...]
    names: Names

    def row(self, account: bytes) -> Row:
        """Where an account stands."""
        holder = holder_of(account)
        if holder in _OWN:
            return _OWN[holder]
        if holder == self.state.founded.genesis.association:
            return _ASSOCIATION
        found = self.state.admissions.account(holder)
        return _MERCHANT if found and found[0].subject is Subject.MERCHANT else _MEMBER

    def accounts(self) -> list[bytes]:
        """Every account that moved, sorted."""
        return sorted({account for movement in self.movements for account, _ in movement.postings})


def write(books: Books, form: Format) -> Iterator[str]:
    """The lines of the file, each ended."""
    writers = {Format.BEANCOUNT: _beancount, Format.HLEDGER: _hledger, Format.CSV: _csv, Format.FEC: _fec}
    return writers[form](books)


def _beancount(books: Books) -> Iterator[str]:
    """Balances are asserted at the end: what bean-check checks is that its sums are ours."""
    first_s = min((movement.time_s for movement in books.movements), default=0)
    yield f'option "title" "{books.state.founded.genesis.commune}"\n'
    yield f'option "operating_currency" "{COMMODITIES[Unit.ENERGY]}"\n\n'
    for commodity in COMMODITIES.values():
        yield f"{_day(first_s)} commodity {commodity}\n"
    for path in sorted({_path(books, account) for account in books.accounts()}):
        yield f"{_day(first_s)} open {path}\n"
    for movement in _by_day(books):
        yield f'\n{_day(movement.time_s)} * "{movement.kind}" "entry {movement.place}"\n'
        yield f'  entry: "{movement.entry_id.hex()}"\n'
        for account, amount_mc in movement.postings:
            yield f"  {_path(books, account)}  {_signed(books, account, amount_mc)}\n"
    if books.movements:
        after = max(movement.time_s for movement in books.movements) + 86_400
        yield "\n"
        for account in books.accounts():
            held = _signed(books, account, _balance_mc(books, account))
            yield f"{_day(after)} balance {_path(books, account)}  {held}\n"


def _hledger(books: Books) -> Iterator[str]:
    yield f"; {books.state.founded.genesis.commune}\n"
    for commodity in COMMODITIES.values():
        yield f"commodity 1.000 {commodity}\n"
    for path in sorted({_path(books, account) for account in books.accounts()}):
        yield f"account {path}\n"
    for movement in _by_day(books):
        yield f"\n{_day(movement.time_s)} * ({movement.place}) {movement.kind}  ; entry:{movement.entry_id.hex()}\n"
        for account, amount_mc in movement.postings:
            yield f"    {_path(books, account)}  {_signed(books, account, amount_mc)}\n"


def _csv(books: Books) -> Iterator[str]:
    yield _csv_line(["place", "entry", "time", "kind", "account", "name", "amount", "unit"])
    for movement in books.movements:
        for account, amount_mc in movement.postings:
            time = datetime.fromtimestamp(movement.time_s, UTC).isoformat().replace("+00:00", "Z")
            holder, unit = holder_of(account), unit_of(account).name.lower()
            head = [str(movement.place), movement.entry_id.hex(), time, movement.kind, holder.hex()]
            yield _csv_line([*head, books.names.get(holder, ""), format_credits(amount_mc), unit])


def _fec(books: Books) -> Iterator[str]:
    """Numbered without gaps in the order of the log, as the law asks; every line validated on its own day."""
    yield "\t".join(FEC_FIELDS) + "\r\n"
    for number, movement in enumerate(books.movements, 1):
        day = _day(movement.time_s).replace("-", "")
        code, journal = _FEC_JOURNALS.get(movement.kind, _FEC_OTHER)
        for account, amount_mc in movement.postings:
            row = books.row(account)
            holder, owed_mc = holder_of(account), -amount_mc if row in _ASSETS else amount_mc
            name = _one_line(books.names.get(holder, holder.hex()))
            auxiliary = ["", ""] if row in _SINGLE else [holder.hex(), name]
            piece = [f"{movement.place}", day, f"{movement.kind} {movement.place}"]
            amounts = [_comma(max(-owed_mc, 0)), _comma(max(owed_mc, 0))]
            tail = ["", "", day, _comma(abs(amount_mc)), COMMODITIES[unit_of(account)]]
            fields = [code, journal, str(number), day, row.number, row.wording, *auxiliary, *piece, *amounts, *tail]
            assert len(fields) == len(FEC_FIELDS)
            yield "\t".join(fields) + "\r\n"


def _by_day(books: Books) -> Iterable[Movement]:
    """Journals are read by date; entries of one day keep the order of the log."""
    return sorted(books.movements, key=lambda movement: (_day(movement.time_s), movement.place))


def _balance_mc(books: Books, account: bytes) -> int:
    return sum(amount_mc for row in books.movements for other, amount_mc in row.postings if other == account)


def _path(books: Books, account: bytes) -> str:
    """The account as the association's books name it: what it owes stands there negative (`_signed`)."""
    row = books.row(account)
    return row.branch if row in _SINGLE else f"{row.branch}:{_spelled(holder_of(account))}"


def _spelled(account: bytes) -> str:
    """An account's id as a beancount account may be spelled: it begins with a capital."""
    return "A" + account.hex()


def _signed(books: Books, account: bytes, amount_mc: int) -> str:
    own_mc = amount_mc if books.row(account) in _ASSETS else -amount_mc
    return f"{format_credits(own_mc)} {COMMODITIES[unit_of(account)]}"


def _comma(amount_mc: int) -> str:
    return format_credits(amount_mc).replace(".", ",")


def _day(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _csv_line(cells: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()
