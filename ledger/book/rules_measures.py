"""What the roles' measures do: limits, charges, reversals, holds and releases. Their signatures are checked already.

Each returns why it may not be, or does it.
"""

from commonwatt.registry import Status
from ledger.book import charges
from ledger.book.accounts import Posting
from ledger.book.body import AdmitAccount, Charge, CreditLimit, Hold, Release, Reverse
from ledger.book.entry import SignedEntry
from ledger.book.kinds import Subject
from ledger.book.measures import Cause
from ledger.book.refusals import Refusal
from ledger.book.rules_payments import check_reserve
from ledger.book.state import State
from ledger.book.units import LENDING_UNITS, Limits, holder_of, unit_of

_CHARGED = (Subject.MEMBER, Subject.MERCHANT)


def limit(state: State, body: CreditLimit) -> Refusal | None:
    """A limit of its own for one account. One that is already past it keeps its debt and can only be paid."""
    holder = state.admissions.account(holder_of(body.account))
    if holder is None:
        return Refusal.UNKNOWN_ACCOUNT
    if holder[1] is Status.REVOKED:
        return Refusal.REVOKED
    if not state.founded.genesis.has_unit(unit_of(body.account)):
        return Refusal.UNKNOWN_UNIT
    if unit_of(body.account) not in LENDING_UNITS:
        return Refusal.WRONG_UNIT
    state.book.limits[body.account] = Limits(body.soft_mc, body.hard_mc)
    return None


def charge(state: State, signed: SignedEntry, body: Charge) -> Refusal | None:
    """Charge everyone by the policy in force, if everyone who recomputes it comes to the same total."""
    if body.policy_sha256 != state.policy_in_force:
        return Refusal.WRONG_POLICY
    if not state.founded.genesis.has_unit(body.unit):
        return Refusal.UNKNOWN_UNIT
    terms = charges.terms_of(state.policy_texts[body.policy_sha256], body.cause, body.unit)
    if terms is None:
        return Refusal.WRONG_POLICY
    charged_until_s = state.charged_until_s.get((body.cause, body.unit), 0)
    is_its_length = body.period_end_s - body.period_start_s == terms.period_s
    if not is_its_length or body.period_start_s < charged_until_s or body.period_end_s > signed.entry.time_s:
        return Refusal.WRONG_PERIOD
    payers = (
        holder
        for holder, row in state.admissions.by_id.items()
        if isinstance(row.admission, AdmitAccount) and row.admission.subject in _CHARGED
    )
    postings = charges.postings(terms, state.book, payers, state.founded.genesis.association)
    if sum(max(row.amount_mc, 0) for row in postings) != body.total_mc and not state.book.is_blurred:
        return Refusal.WRONG_TOTAL
    refusal = state.book.check(postings)
    if refusal is not None:
        return refusal
    state.book.post(postings)
    state.charged_until_s[body.cause, body.unit] = body.period_end_s
    if body.cause is Cause.EXPIRY:
        charges.mark(state.book, body.unit)
    return None


def reverse(state: State, body: Reverse) -> Refusal | None:
    """Undo a payment. Two postings in part or as a whole, an exchange against euros as a whole only."""
    payment = state.payment(body.entry)
    if payment is None:
        return Refusal.UNKNOWN_ENTRY
    if body.amount_mc == 0:
        return Refusal.AMOUNT_ZERO
    is_exchange = len(payment.postings) > 2
    whole_mc = abs(payment.postings[0].amount_mc)
    if body.amount_mc > payment.left_mc or (is_exchange and body.amount_mc != whole_mc):
        return Refusal.WRONG_AMOUNT
    back = tuple(
        Posting(account, -amount_mc if is_exchange else _signed(body.amount_mc, -amount_mc))
        for account, amount_mc in payment.postings
    )
    refusal = check_reserve(state, back) if is_exchange else None
    refusal = refusal or state.book.check(back)
    if refusal is not None:
        return refusal
    state.book.post(back)
    state.warned = state.book.past_soft_limit(back)
    payment.left_mc -= body.amount_mc
    return None


def hold(state: State, signed: SignedEntry, body: Hold) -> Refusal | None:
    """Stop a claim before it is minted."""
    if state.admissions.account(body.account) is None:
        return Refusal.UNKNOWN_ACCOUNT
    if body.amount_mc == 0:
        return Refusal.AMOUNT_ZERO
    claims = state.claims
    if claims.is_held(body.claim, body.window_start_s, body.window_end_s):
        return Refusal.CLAIM_HELD
    window = (body.window_start_s, body.window_end_s)
    if window[0] < state.minted_until_s.get(body.claim, 0) and not claims.is_owed(body.claim, *window):
        return Refusal.WINDOW_MINTED
    if not state.book.can_await(body.account, body.amount_mc):
        return Refusal.OVERFLOW
    claims.take_owed(body.claim, *window)
    claims.holds[signed.entry.id] = body
    claims.held.setdefault(body.claim, []).append(body)
    state.book.await_mint(body.account, body.amount_mc)
    return None


def release(state: State, body: Release) -> Refusal | None:
    """End a hold: granted, the claim may be minted whatever was minted since; refused, it is barred for good."""
    claims = state.claims
    held = claims.holds.get(body.hold)
    if held is None or body.hold in claims.refused:
        return Refusal.UNKNOWN_ENTRY
    state.book.await_mint(held.account, -held.amount_mc)
    if not body.is_granted:
        claims.refused.add(body.hold)
        return None
    del claims.holds[body.hold]
    claims.held[held.claim].remove(held)
    if not claims.held[held.claim]:
        del claims.held[held.claim]
    claims.owed.add((*held.claim, held.window_start_s, held.window_end_s))
    return None


def _signed(amount_mc: int, like_mc: int) -> int:
    return amount_mc if like_mc > 0 else -amount_mc
