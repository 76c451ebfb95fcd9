"""What moved on an account, entry by entry, with the other side and a kind that its holder understands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from ledger.book import entry as entries_of
from ledger.book.body import PaymentAnswer, PaymentRequest, Redeem, TopUp, Transfer
from ledger.book.entry import SignedEntry
from ledger.book.mint import Mint
from ledger.book.units import Unit, account_in, holder_of, unit_of
from ledger.log.tiles import WIDTH
from web.book.books import Books
from web.book.followed import FollowedBook
from web.book.moved import paid_request
from web.money.tally import Tally

PAGE = 512
"""Places that are looked at while the book is held."""


class What(StrEnum):
    """Why an account has more or less."""

    EARNED = "earned"
    RECEIVED = "received"
    PAID = "paid"
    BOUGHT = "bought"
    REDEEMED = "redeemed"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Movement:
    """`amount_mc`: negative out of the account. `other`: whom it was paid to or by; `cents`: euros that went with it;
    `kind`: of the entry; `source` and `energy_wh`: of what was earned."""

    place: int
    time_s: int
    what: What
    kind: str
    unit: Unit
    amount_mc: int
    other: bytes | None = None
    text: str = ""
    cents: int = 0
    source: int = 0
    energy_wh: int = 0


def read(books: Books, tally: Tally, holder: bytes, *, first: int, end: int) -> list[Movement]:
    """All of a holder's accounts in the places from `first` up to `end`, in the order of the log."""
    found: list[Movement] = []
    after = first - 1
    while True:
        with books.now() as book:
            places = book.index.places(holder, after=after, limit=PAGE)
            inside = [place for place in places if place < end]
            found += _of_places(book, holder, inside)
        if len(inside) < PAGE:
            break
        after = inside[-1]
    with books.now() as book:
        found += _others(book, tally, holder, first, end)
    return sorted(found, key=lambda row: row.place)


def _of_places(book: FollowedBook, holder: bytes, places: Sequence[int]) -> Iterator[Movement]:
    """A bundle of the log is read once for all that it holds."""
    for _bundle, group in groupby(places, key=lambda place: place // WIDTH):
        wanted = list(group)
        data = list(book.entries(wanted[0], wanted[-1] + 1))
        for place in wanted:
            found = _movement(book, holder, place, data[place - wanted[0]])
            if found is not None:
                yield found


def _movement(book: FollowedBook, holder: bytes, place: int, data: bytes) -> Movement | None:
    if not data:
        return None
    parsed = entries_of.parse(data)
    if isinstance(parsed, Mint):
        head = (place, parsed.window_end_s, What.EARNED, parsed.kind.label, Unit.ENERGY, parsed.amount_mc)
        return Movement(*head, source=parsed.source, energy_wh=parsed.energy_wh)
    return _of_signed(book, holder, place, parsed)


def _of_signed(book: FollowedBook, holder: bytes, place: int, signed: SignedEntry) -> Movement | None:
    body, time_s, kind = signed.entry.body, signed.entry.time_s, signed.entry.kind.label
    match body:
        case Transfer():
            return _paid(holder, place, time_s, kind, body)
        case PaymentAnswer():
            asked = paid_request(body, book.find_body)
            return None if asked is None else _paid(holder, place, time_s, kind, asked)
        case TopUp():
            head = (place, time_s, What.BOUGHT, kind, unit_of(body.account), body.amount_mc)
            return Movement(*head, text=body.reference, cents=body.paid_cents)
        case Redeem():
            head = (place, time_s, What.REDEEMED, kind, unit_of(body.account), -body.amount_mc)
            return Movement(*head, text=body.reference, cents=body.paid_cents)
        case _:
            return None


def _paid(holder: bytes, place: int, time_s: int, kind: str, body: Transfer | PaymentRequest) -> Movement:
    is_out = holder_of(body.payer) == holder
    what, sign, other = (What.PAID, -1, body.payee) if is_out else (What.RECEIVED, 1, body.payer)
    head = (place, time_s, what, kind, unit_of(body.payer), sign * body.amount_mc)
    return Movement(*head, other=holder_of(other), text=body.memo)


def _others(book: FollowedBook, tally: Tally, holder: bytes, first: int, end: int) -> Iterator[Movement]:
    """Charges, reversals and what was carried over."""
    numbers = {book.state.book.accounts.number(account_in(holder, unit)): unit for unit in Unit}
    for row in tally.others:
        if first <= row.place < end:
            for number, amount_mc in zip(row.numbers.tolist(), row.amounts_mc.tolist(), strict=True):
                if number in numbers:
                    yield Movement(row.place, row.time_s, What.OTHER, row.kind, numbers[number], amount_mc)
