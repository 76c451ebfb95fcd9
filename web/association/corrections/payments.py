"""A payment as whoever may have it undone sees it. Pure but for the entry that it is given."""

from dataclasses import dataclass

from commonwatt.errors import FormatError
from ledger.book import entry
from ledger.book.body import Redeem, TopUp, Transfer
from ledger.book.entry import SignedEntry
from ledger.book.state import State
from ledger.book.units import holder_of


@dataclass(frozen=True, slots=True)
class Payment:
    """Who gave what to whom at a place of the log. `left_mc`: what was not undone yet; `has_mc`: what the payee has
    now, who cannot give back more; `is_whole`: it can be undone as a whole only."""

    place: int
    id: bytes
    time_s: int
    payer: bytes
    payee: bytes
    amount_mc: int
    left_mc: int
    has_mc: int
    memo: str
    is_whole: bool


def read(state: State, place: int, data: bytes) -> Payment | None:
    """The payment that an entry is; None: it is none, or so old that nobody can undo it."""
    try:
        parsed = entry.parse(data)
    except FormatError:
        return None
    if not isinstance(parsed, SignedEntry) or not isinstance(parsed.entry.body, Transfer | TopUp | Redeem):
        return None
    moved = state.payment(parsed.entry.id)
    if moved is None:
        return None
    (giver, given_mc), (taker, _taken) = ((row.account, row.amount_mc) for row in moved.postings[:2])
    payer, payee = (giver, taker) if given_mc < 0 else (taker, giver)
    memo = parsed.entry.body.memo if isinstance(parsed.entry.body, Transfer) else ""
    return Payment(
        *(place, parsed.entry.id, parsed.entry.time_s, holder_of(payer), holder_of(payee), abs(given_mc)),
        left_mc=moved.left_mc,
        has_mc=max(0, state.book.balance_mc(payee)),
        memo=memo,
        is_whole=len(moved.postings) > 2,
    )
