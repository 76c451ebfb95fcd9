"""What an entry moved for one holder. Pure; what a charge took of whom stands in no entry: the follower tells it.

A reversal and an answer say it of an earlier entry, which the caller looks up.
"""

from collections.abc import Callable
from typing import NamedTuple

from ledger.book.body import Body, Hold, PaymentAnswer, PaymentRequest, Redeem, Reverse, TopUp, Transfer
from ledger.book.parties import referred
from ledger.book.payments import Verdict
from ledger.book.units import Unit, holder_of, unit_of


class Moved(NamedTuple):
    """An amount of a unit: into the holder's account, or with a minus out of it. Zero: nothing moved."""

    unit: Unit
    amount_mc: int


NOTHING = Moved(Unit.ENERGY, 0)

Find = Callable[[bytes], Body | None]
"""The body of the signed entry that has an id, if it is there and was not erased."""


def moved(body: Body, holder: bytes, find: Find) -> Moved:
    """What the entry with this body moved for a holder whom it concerns."""
    match body:
        case Transfer():
            return _paid(body, holder)
        case TopUp():
            return Moved(unit_of(body.account), body.amount_mc)
        case Redeem():
            return Moved(unit_of(body.account), -body.amount_mc)
        case PaymentAnswer() | Reverse():
            return _by_earlier(body, holder, find)
        case _:
            return NOTHING


def paid_request(answer: PaymentAnswer, find: Find) -> PaymentRequest | None:
    """The request that an answer pays; None: it moves nothing now (declined, withdrawn, put aside first), or the
    request was erased."""
    asked = find(answer.request) if answer.verdict in (Verdict.ACCEPT, Verdict.SETTLE) else None
    if not isinstance(asked, PaymentRequest):
        return None
    return None if answer.verdict is Verdict.ACCEPT and asked.is_escrow else asked


def _by_earlier(body: PaymentAnswer | Reverse, holder: bytes, find: Find) -> Moved:
    if isinstance(body, PaymentAnswer):
        asked = paid_request(body, find)
        return NOTHING if asked is None else _paid(asked, holder)
    earlier = find(referred(body) or b"")
    before = NOTHING if earlier is None else moved(earlier, holder, find)
    return Moved(before.unit, -body.amount_mc if before.amount_mc > 0 else body.amount_mc if before.amount_mc else 0)


def _paid(body: Transfer | PaymentRequest, holder: bytes) -> Moved:
    is_payer = holder_of(body.payer) == holder
    return Moved(unit_of(body.payer), -body.amount_mc if is_payer else body.amount_mc)


def detail(body: Body) -> int:
    """The source of a hold, which the index keeps beside the kind; 0 of everything else."""
    return body.source if isinstance(body, Hold) else 0
