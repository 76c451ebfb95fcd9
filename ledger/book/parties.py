"""Whom an entry concerns: the holders it names, directly or through a site, a device or another entry. Pure."""

from collections.abc import Callable

from ledger.book import entry
from ledger.book.body import (
    AdmitAccount,
    AdmitDevice,
    AdmitSite,
    Body,
    CreditLimit,
    Guard,
    Hold,
    PaymentAnswer,
    PaymentRequest,
    Redeem,
    Release,
    Reverse,
    Rotate,
    SetStatus,
    TopUp,
    Transfer,
)
from ledger.book.entry import SignedEntry
from ledger.book.mint import Mint
from ledger.book.state import State
from ledger.book.units import holder_of

Lookup = Callable[[bytes], bytes | None]
"""The bytes of the entry that has an id, if there is one."""


def referred(body: Body) -> bytes | None:
    """The id of the earlier entry that a body names."""
    match body:
        case PaymentAnswer():
            return body.request
        case Reverse():
            return body.entry
        case Release():
            return body.hold
        case _:
            return None


def parties(parsed: SignedEntry | Mint, state: State, find: Lookup) -> frozenset[bytes]:
    """The holders that an entry concerns. A carry-forward tells of many and concerns auditors alone."""
    if isinstance(parsed, Mint):
        return frozenset((parsed.account,))
    body = parsed.entry.body
    named = _named(body, state)
    entry_id = referred(body)
    data = find(entry_id) if entry_id is not None else None
    return named if data is None else named | parties(entry.parse(data), state, find)


def _named(body: Body, state: State) -> frozenset[bytes]:
    match body:
        case Transfer() | PaymentRequest():
            return frozenset((holder_of(body.payer), holder_of(body.payee)))
        case TopUp() | Redeem() | CreditLimit() | Hold() | Guard():
            return frozenset((holder_of(body.account),))
        case AdmitAccount():
            return frozenset((body.id,))
        case AdmitSite():
            return frozenset((body.member,))
        case AdmitDevice():
            return _holder_of_subject(body.site, state)
        case SetStatus() | Rotate():
            return _holder_of_subject(body.id, state)
        case _:
            return frozenset()


def _holder_of_subject(ident: bytes, state: State) -> frozenset[bytes]:
    """Who holds a device or a site, or is the subject."""
    row = state.admissions.by_id.get(ident)
    if row is None:
        return frozenset()
    match row.admission:
        case AdmitAccount():
            return frozenset((row.admission.id,))
        case AdmitSite():
            return frozenset((row.admission.member,))
        case AdmitDevice():
            return _holder_of_subject(row.admission.site, state)
        case _:
            return frozenset()
