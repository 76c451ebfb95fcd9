"""What the ledger says for who pays and is paid: what is there, how far one may go, and which payments there were."""

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.book import entry
from ledger.book.body import PaymentAnswer, Transfer
from ledger.book.entry import SignedEntry
from ledger.book.state import State
from ledger.book.units import Unit, account_in, holder_of
from web import units
from web.book.followed import FollowedBook
from web.book.moved import paid_request

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Purse:
    """What an account can spend now. `free_mc`: below zero where it owes; past `-soft_mc` it is warned, past
    `-hard_mc` refused."""

    account: bytes
    free_mc: int
    soft_mc: int
    hard_mc: int

    @property
    def is_past_soft_limit(self) -> bool:
        """Whether it owes more than it should."""
        return self.free_mc < -self.soft_mc

    def can_pay(self, amount_mc: int) -> bool:
        """Whether the ledger would let this much go."""
        return self.free_mc - amount_mc >= -self.hard_mc


@dataclass(frozen=True, slots=True)
class Payment:
    """What moved from one account to another of the same unit, by the entry at `place`."""

    place: int
    id: bytes
    time_s: int
    payer: bytes
    payee: bytes
    amount_mc: int
    memo: str


def purse_of(state: State, account: bytes) -> Purse:
    """The purse of an account; one that never moved has nothing."""
    limits = state.book.limits_of(account)
    return Purse(account, state.book.free_mc(account), limits.soft_mc, limits.hard_mc)


def accounts_of(state: State, holder: bytes) -> list[bytes]:
    """A holder's accounts, one in each unit."""
    return [account_in(holder, unit) for unit in (Unit.ENERGY, *units.names_of(state))]


def transfer_of(book: FollowedBook, payment: bytes) -> Transfer | None:
    """The transfer whose entry has an id."""
    body = book.find_body(payment)
    return body if isinstance(body, Transfer) else None


def payment_with(book: FollowedBook, payment: bytes) -> Payment | None:
    """The payment whose entry has an id."""
    place = book.index.place_of(payment)
    return None if place is None else payment_at(book, place)


def payment_at(book: FollowedBook, place: int) -> Payment | None:
    """The payment at a place; None: something else is there."""
    data = book.entry(place)
    parsed = entry.parse(data) if data else None
    if not isinstance(parsed, SignedEntry):
        return None
    made, body = parsed.entry, parsed.entry.body
    if isinstance(body, Transfer):
        return Payment(place, made.id, made.time_s, body.payer, body.payee, body.amount_mc, body.memo)
    if isinstance(body, PaymentAnswer):
        asked = paid_request(body, book.find_body)
        if asked is not None:
            return Payment(place, made.id, made.time_s, asked.payer, asked.payee, asked.amount_mc, asked.memo)
    return None


def payments(book: FollowedBook, holder: bytes, *, entries_max: int) -> Iterator[Payment]:
    """A holder's payments, in and out, the newest first, among their last `entries_max` entries."""
    before, left = book.size, entries_max
    while left > 0:
        places = book.index.latest(holder, before=before, limit=min(_PAGE, left))
        if not places:
            return
        for place in places:
            found = payment_at(book, place)
            if found is not None:
                yield found
        before, left = places[-1], left - len(places)


def last_payees(book: FollowedBook, holder: bytes, *, count: int, entries_max: int) -> list[bytes]:
    """Whom somebody paid last, each once."""
    found: dict[bytes, None] = {}
    for payment in payments(book, holder, entries_max=entries_max):
        if holder_of(payment.payer) == holder:
            found.setdefault(holder_of(payment.payee))
        if len(found) == count:
            break
    return list(found)
