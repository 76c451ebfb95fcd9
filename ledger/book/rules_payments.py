"""What payments do: transfers, requests and their answers, top-ups and redemptions. Each returns why it may not be.

The order of the checks: known accounts, signatures, standing, units, amounts, then what is open, then the money.
"""

from commonwatt.identity import key_hint
from commonwatt.registry import Status
from ledger.book.accounts import Posting
from ledger.book.body import PaymentAnswer, PaymentRequest, Redeem, TopUp, Transfer
from ledger.book.entry import SignedEntry
from ledger.book.kinds import Subject
from ledger.book.payments import MC_PER_CENT, Verdict
from ledger.book.refusals import Refusal
from ledger.book.state import OpenRequest, State
from ledger.book.units import ISSUANCE, OUTSIDE, RESERVE, Unit, account_in, holder_of, unit_of

OPEN_REQUESTS_MAX = 100
"""Open requests of one payee: nobody fills everybody's memory with what is never answered."""

_RESERVE = account_in(RESERVE, Unit.EURO)
_OUTSIDE = account_in(OUTSIDE, Unit.EURO)
_EUROS = account_in(ISSUANCE, Unit.EURO)
_PAYERS_ANSWERS = (Verdict.ACCEPT, Verdict.DECLINE, Verdict.SETTLE)
_BEFORE_ACCEPTANCE = (Verdict.ACCEPT, Verdict.DECLINE)


def check_wallet(state: State, signed: SignedEntry, account: bytes) -> Refusal | None:
    """Whether an entry is signed by the wallet of an account's holder, as it is now."""
    holder = state.admissions.account(holder_of(account))
    if holder is None:
        return Refusal.UNKNOWN_ACCOUNT
    if signed.is_signed_by(holder[0].wallet, state.genesis_sha256):
        return None
    is_of_old_key = (
        signed.message.kid != key_hint(holder[0].wallet) and signed.message.kid in state.admissions.rotated
    )
    return Refusal.KEY_ROTATED if is_of_old_key else Refusal.BAD_SIGNATURE


def check_amount(state: State, payer: bytes, payee: bytes, amount_mc: int) -> Refusal | None:
    """Whether this much can be meant to go from one account to another at all."""
    if not state.founded.genesis.has_unit(unit_of(payer)) or not state.founded.genesis.has_unit(unit_of(payee)):
        return Refusal.UNKNOWN_UNIT
    if unit_of(payer) is not unit_of(payee):
        return Refusal.MIXED_UNITS
    if amount_mc == 0:
        return Refusal.AMOUNT_ZERO
    return Refusal.SAME_ACCOUNT if payer == payee else None


def check_standing(state: State, payer: bytes, payee: bytes) -> Refusal | None:
    """Who is suspended cannot pay, but may still be paid; with who is revoked nothing moves."""
    payer_row = state.admissions.account(holder_of(payer))
    payee_row = state.admissions.account(holder_of(payee))
    assert payer_row is not None
    assert payee_row is not None
    if Status.REVOKED in (payer_row[1], payee_row[1]):
        return Refusal.REVOKED
    return Refusal.SUSPENDED if payer_row[1] is Status.SUSPENDED else None


def transfer(state: State, signed: SignedEntry, body: Transfer) -> Refusal | None:
    """Money moves at once."""
    refusal = (
        _check_known(state, body.payer, body.payee)
        or check_wallet(state, signed, body.payer)
        or check_standing(state, body.payer, body.payee)
        or check_amount(state, body.payer, body.payee, body.amount_mc)
    )
    return refusal or _pay(state, signed.entry.id, body.payer, body.payee, body.amount_mc)


def request(state: State, signed: SignedEntry, body: PaymentRequest) -> Refusal | None:
    """The payee asks; nothing moves."""
    refusal = (
        _check_known(state, body.payer, body.payee)
        or check_wallet(state, signed, body.payee)
        or check_standing(state, body.payee, body.payer)  # who is suspended may be paid, but asks nobody
        or check_amount(state, body.payer, body.payee, body.amount_mc)
    )
    if refusal is not None:
        return refusal
    if state.requests_by_payee.get(body.payee, 0) >= OPEN_REQUESTS_MAX:
        return Refusal.TOO_MANY_OPEN
    state.requests[signed.entry.id] = OpenRequest(body)
    state.requests_by_payee[body.payee] = state.requests_by_payee.get(body.payee, 0) + 1
    return None


def answer(state: State, signed: SignedEntry, body: PaymentAnswer) -> Refusal | None:
    """The payer accepts, declines or settles; the payee withdraws."""
    found = state.requests.get(body.request)
    if found is None:
        return Refusal.UNKNOWN_ENTRY
    asked, is_payers = found.request, body.verdict in _PAYERS_ANSWERS
    refusal = check_wallet(state, signed, asked.payer if is_payers else asked.payee)
    if refusal is not None:
        return refusal
    if body.verdict in (Verdict.ACCEPT, Verdict.SETTLE):
        refusal = check_standing(state, asked.payer, asked.payee)
    if refusal is not None:
        return refusal
    if is_payers and (body.verdict in _BEFORE_ACCEPTANCE) == found.is_accepted:
        return Refusal.REQUEST_STATE
    return _carry_out(state, signed.entry.id, found, body)


def _carry_out(state: State, entry_id: bytes, found: OpenRequest, body: PaymentAnswer) -> Refusal | None:
    asked = found.request
    if body.verdict is Verdict.ACCEPT and asked.is_escrow:
        refusal = state.book.check_promise(asked.payer, asked.amount_mc)
        if refusal is None:
            state.book.promise(asked.payer, asked.amount_mc)
            found.is_accepted = True
            state.warned = state.book.past_soft_limit([Posting(asked.payer, -asked.amount_mc)])
        return refusal
    kept_mc = asked.amount_mc if found.is_accepted else 0
    state.book.promise(asked.payer, -kept_mc)
    if body.verdict in (Verdict.ACCEPT, Verdict.SETTLE):
        refusal = _pay(state, entry_id, asked.payer, asked.payee, asked.amount_mc)
        if refusal is not None:
            state.book.promise(asked.payer, kept_mc)
            return refusal
    _close(state, body.request, asked)
    return None


def top_up(state: State, signed: SignedEntry, body: TopUp) -> Refusal | None:
    """Euros come in, units go out; the roles have signed. What the reserve has over may back units too."""
    holder = state.admissions.account(holder_of(body.account))
    if holder is None:
        return Refusal.UNKNOWN_ACCOUNT
    refusal = Refusal.REVOKED if holder[1] is Status.REVOKED else _check_euros(state, body)
    if refusal is not None:
        return refusal
    euros_mc = body.paid_cents * MC_PER_CENT
    return _exchange(state, signed.entry.id, body.account, body.amount_mc, euros_mc)


def redeem(state: State, signed: SignedEntry, body: Redeem) -> Refusal | None:
    """Units come back, euros go out; the merchant signs, the roles approve."""
    holder = state.admissions.account(holder_of(body.account))
    if holder is None:
        return Refusal.UNKNOWN_ACCOUNT
    if holder[0].subject is not Subject.MERCHANT:
        return Refusal.NOT_A_MERCHANT
    refusal = (
        check_wallet(state, signed, body.account)
        or state.founded.check_approvals(signed, signed.approvals, set())
        or check_standing(state, body.account, body.account)
        or _check_euros(state, body)
    )
    if refusal is not None:
        return refusal
    euros_mc = body.paid_cents * MC_PER_CENT
    return _exchange(state, signed.entry.id, body.account, -body.amount_mc, -euros_mc)


def _check_known(state: State, payer: bytes, payee: bytes) -> Refusal | None:
    known = (state.admissions.account(holder_of(payer)), state.admissions.account(holder_of(payee)))
    return Refusal.UNKNOWN_ACCOUNT if None in known else None


def _pay(state: State, entry_id: bytes, payer: bytes, payee: bytes, amount_mc: int) -> Refusal | None:
    return state.move((Posting(payer, -amount_mc), Posting(payee, amount_mc)), entry_id)


def _close(state: State, request_id: bytes, asked: PaymentRequest) -> None:
    del state.requests[request_id]
    state.requests_by_payee[asked.payee] -= 1
    if not state.requests_by_payee[asked.payee]:
        del state.requests_by_payee[asked.payee]


def _check_euros(state: State, body: TopUp | Redeem) -> Refusal | None:
    if not state.founded.genesis.has_unit(unit_of(body.account)):
        return Refusal.UNKNOWN_UNIT
    if unit_of(body.account) is not Unit.EURO:
        return Refusal.WRONG_UNIT
    return Refusal.AMOUNT_ZERO if body.amount_mc == 0 else None


def _exchange(state: State, entry_id: bytes, account: bytes, amount_mc: int, euros_mc: int) -> Refusal | None:
    """Units to the account and euros to the reserve; both negative: back."""
    units = (Posting(account, amount_mc), Posting(_EUROS, -amount_mc))
    euros = (Posting(_RESERVE, euros_mc), Posting(_OUTSIDE, -euros_mc)) if euros_mc else ()
    return check_reserve(state, (*units, *euros)) or state.move((*units, *euros), entry_id)


def check_reserve(state: State, postings: tuple[Posting, ...]) -> Refusal | None:
    """Whether, after these postings, the reserve still holds a euro for every euro unit that is out."""
    if state.book.is_blurred:
        return None
    changes = dict(postings)
    reserve_mc = state.book.free_mc(_RESERVE) + changes.get(_RESERVE, 0)
    issued_mc = -state.book.free_mc(_EUROS) - changes.get(_EUROS, 0)
    return Refusal.RESERVE_EXCEEDED if issued_mc > reserve_mc else None
