"""The rules: one function that decides what an entry does, for the sequencer and for every auditor alike.

`apply` takes the state and gives it back. It is pure in what it depends on (no clock, no randomness, no I/O) and
updates the state it was given in place, because a town's state is too large to copy per entry: the caller hands
its state over and goes on with the answer. On a refusal the state is untouched.
"""

import hashlib

from commonwatt.errors import FormatError
from commonwatt.registry import Status
from commonwatt.units import INT64_MAX
from ledger.book import constitution, entry, rules_erasure, rules_keys, rules_measures, rules_payments
from ledger.book.accounts import Posting
from ledger.book.body import (
    Admission,
    AdmitAccount,
    AdmitRole,
    ByRoles,
    CarryForward,
    Charge,
    CreditLimit,
    Guard,
    Hold,
    MintRun,
    PaymentAnswer,
    PaymentRequest,
    Policy,
    Redeem,
    Release,
    Reverse,
    Rotate,
    SetStatus,
    TopUp,
    Transfer,
)
from ledger.book.entry import SignedEntry
from ledger.book.genesis import Genesis
from ledger.book.kinds import ISSUANCE, Kind, Subject
from ledger.book.mint import Mint
from ledger.book.refusals import REFUSAL_BY_REASON, Refusal
from ledger.book.state import Stage, State
from ledger.log import merkle

RUN_LEAVES_MAX = 100_000
"""Leaves of one mint-run: a run is one transaction and one stage in memory."""


def apply(state: State, data: bytes, position: int, leaf_hash: bytes | None = None) -> State | Refusal:
    """Put the entry `data`, as logged, at `position`; the new state, or the first check that fails.

    Empty `data` is the slot of an erased entry, whose `leaf_hash` is all that is left of it.
    """
    if not data and leaf_hash is not None:
        return rules_erasure.skip(state, leaf_hash) or state
    try:
        parsed = entry.parse(data)
    except FormatError as error:
        return REFUSAL_BY_REASON[error.reason]
    return apply_parsed(state, parsed, data, position)


def apply_parsed(state: State, parsed: SignedEntry | Mint, data: bytes, position: int) -> State | Refusal:
    """`apply` for an entry that was parsed from `data` already."""
    assert position == state.size
    if _is_misplaced(state, parsed):
        return Refusal.MISPLACED
    if isinstance(parsed, Mint):
        return apply_leaf(state, parsed, merkle.leaf_hash(data)) or state
    refusal = _apply_signed(state, parsed, data)
    if refusal is not None:
        return refusal
    state.size += 1
    return state


def apply_leaf(state: State, leaf: Mint, leaf_hash: bytes) -> Refusal | None:
    """`apply` for a mint leaf of good form whose hash the caller has made already; None when it is staged."""
    if state.size == 0:
        return Refusal.MISPLACED
    refusal = _stage(state, leaf, leaf_hash)
    if refusal is None:
        state.size += 1
    return refusal


def withdraw_stage(state: State) -> None:
    """Forget mint leaves whose run did not come: the state is as before the first of them."""
    if state.stage is not None:
        state.size = state.stage.first
        state.stage = None


def _is_misplaced(state: State, parsed: SignedEntry | Mint) -> bool:
    is_genesis = isinstance(parsed, SignedEntry) and parsed.entry.kind is Kind.GENESIS
    if is_genesis != (state.size == 0):
        return True
    if state.stage is None:
        return False
    return isinstance(parsed, SignedEntry) and parsed.entry.kind is not Kind.MINT_RUN


def _apply_signed(state: State, signed: SignedEntry, data: bytes) -> Refusal | None:
    if signed.entry.id in state.ids:
        return Refusal.CONFLICT
    state.warned = ()
    refusal = _carry_out(state, signed, data)
    if refusal is None:
        state.ids.add(signed.entry.id)
    return refusal


def _carry_out(state: State, signed: SignedEntry, data: bytes) -> Refusal | None:
    body = signed.entry.body
    match body:
        case Transfer():
            return rules_payments.transfer(state, signed, body)
        case Genesis():
            return _found(state, signed, body, data)
        case PaymentRequest():
            return rules_payments.request(state, signed, body)
        case PaymentAnswer():
            return rules_payments.answer(state, signed, body)
        case Redeem():
            return rules_payments.redeem(state, signed, body)
        case Guard():
            return rules_keys.guard(state, signed, body)
        case Rotate():
            return rules_keys.rotate(state, signed, body)
        case _by_roles:
            return state.founded.check_quorum(signed) or _apply_by_roles(state, signed, _by_roles)


def _apply_by_roles(state: State, signed: SignedEntry, body: ByRoles) -> Refusal | None:
    match body:
        case MintRun():
            return _run(state, body)
        case SetStatus():
            return _set_status(state, signed, body)
        case Policy():
            return _adopt(state, body)
        case TopUp():
            return rules_payments.top_up(state, signed, body)
        case CreditLimit():
            return rules_measures.limit(state, body)
        case Charge():
            return rules_measures.charge(state, signed, body)
        case Reverse():
            return rules_measures.reverse(state, body)
        case Hold():
            return rules_measures.hold(state, signed, body)
        case Release():
            return rules_measures.release(state, body)
        case CarryForward():
            return rules_erasure.carry_forward(state, body)
        case _admission:
            return _admit(state, _admission)


def _found(state: State, signed: SignedEntry, genesis: Genesis, data: bytes) -> Refusal | None:
    founded = constitution.found(signed, genesis, entry.sha256(data))
    if isinstance(founded, Refusal):
        return founded
    state.constitution = founded
    state.admissions.found(genesis)
    state.book.open_account(genesis.association)
    state.book.default_limits = {row.unit: row.limits for row in genesis.units}
    return None


def _admit(state: State, admission: Admission) -> Refusal | None:
    refusal = state.admissions.check_admission(admission, state.founded.genesis.association)
    if refusal is not None:
        return refusal
    state.admissions.admit(admission)
    if isinstance(admission, AdmitAccount):
        state.book.open_account(admission.id)
        state.note_wallet(admission.id)
    state.founded.follow(admission)
    if isinstance(admission, AdmitAccount | AdmitRole):
        state.note_holder(admission.id, None)
    return None


def _set_status(state: State, signed: SignedEntry, change: SetStatus) -> Refusal | None:
    refusal = state.admissions.check_status(change)
    if refusal is not None:
        return refusal
    if state.founded.is_remark(signed) and state.admissions.by_id[change.id].status is not Status.ACTIVE:
        return Refusal.QUORUM_NOT_REACHED  # it would make the association active again, which is the steward's
    is_role = change.subject is Subject.ROLE
    if is_role and change.status is not Status.ACTIVE and not state.founded.can_spare(change.id):
        return Refusal.LAST_KEY
    before = state.holder(change.id)
    state.admissions.set_status(change)
    state.note_wallet(change.id)
    state.founded.follow(change)
    state.note_holder(change.id, before)
    return None


def _adopt(state: State, policy: Policy) -> Refusal | None:
    is_its_hash = hashlib.sha256(policy.text.encode()).digest() == policy.sha256
    if not is_its_hash or policy.sha256 in state.policies or policy.policy_version <= state.policy_version:
        return Refusal.WRONG_POLICY
    state.policies[policy.sha256] = policy.policy_version
    state.policy_texts[policy.sha256] = policy.text
    return None


def _stage(state: State, mint: Mint, leaf_hash: bytes) -> Refusal | None:
    """Check a leaf and keep it until its run. An account in any standing may be minted to: the energy was earned."""
    stage = state.stage or Stage(state.size, mint.window_start_s, mint.window_end_s)
    refusal = _check_leaf(state, stage, mint)
    if refusal is not None:
        return refusal
    stage.leaf_hashes.append(leaf_hash)
    stage.minted.add((mint.account, mint.source))
    stage.amounts_mc[mint.account] = stage.amounts_mc.get(mint.account, 0) + mint.amount_mc
    stage.association_mc += mint.association_mc
    stage.total_mc += mint.amount_mc + mint.association_mc
    stage.energy_wh += mint.energy_wh
    state.stage = stage
    return None


def _check_leaf(state: State, stage: Stage, mint: Mint) -> Refusal | None:
    claim = (mint.account, mint.source)
    gross_mc = mint.amount_mc + mint.association_mc
    if mint.account != state.founded.genesis.association and state.admissions.account(mint.account) is None:
        return Refusal.UNKNOWN_ACCOUNT  # also of who was erased: whose claims are not known any more
    if gross_mc == 0:
        return Refusal.AMOUNT_ZERO
    if (mint.window_start_s, mint.window_end_s) != (stage.window_start_s, stage.window_end_s):
        return Refusal.WINDOW_MISMATCH
    window = (mint.window_start_s, mint.window_end_s)
    if claim in state.claims.held and state.claims.is_held(claim, *window):
        return Refusal.CLAIM_HELD
    is_late = window[0] < state.minted_until_s.get(claim, 0) and not state.claims.is_owed(claim, *window)
    if claim in stage.minted or is_late:
        return Refusal.WINDOW_MINTED
    if len(stage.leaf_hashes) >= RUN_LEAVES_MAX:
        return Refusal.RUN_RANGE
    if stage.total_mc + gross_mc > INT64_MAX or stage.energy_wh + mint.energy_wh > INT64_MAX:
        return Refusal.OVERFLOW
    return None


def _run(state: State, run: MintRun) -> Refusal | None:
    """Check what the aggregator signed against the staged leaves, and post them as one."""
    stage = state.stage
    if run.policy_sha256 not in state.policies:
        return Refusal.WRONG_POLICY
    is_partly_erased = rules_erasure.is_run_of_erased(state, run)
    if stage is None and not is_partly_erased:
        return Refusal.RUN_RANGE
    window = (run.window_start_s, run.window_end_s)
    if stage is not None and window != (stage.window_start_s, stage.window_end_s):
        return Refusal.WINDOW_MISMATCH
    refusal = _restore_stage(state, run) if is_partly_erased else _check_run(stage, run)
    stage = state.stage
    if refusal is not None or stage is None:
        return refusal
    postings = _run_postings(stage, state.founded.genesis.association)
    refusal = state.book.check(postings)
    if refusal is not None:
        return refusal
    state.book.post(postings)
    _remember_minted(state, stage)
    state.stage = None
    return None


def _restore_stage(state: State, run: MintRun) -> Refusal | None:
    stage = rules_erasure.close_run(state, run)
    if isinstance(stage, Refusal):
        return stage
    state.stage = stage
    return None


def _check_run(stage: Stage | None, run: MintRun) -> Refusal | None:
    assert stage is not None
    if (run.first, run.count) != (stage.first, len(stage.leaf_hashes)):
        return Refusal.RUN_RANGE
    if run.root != merkle.root(stage.leaf_hashes):
        return Refusal.RUN_ROOT
    if (run.energy_wh, run.total_mc) != (stage.energy_wh, stage.total_mc):
        return Refusal.RUN_TOTAL
    return None


def _remember_minted(state: State, stage: Stage) -> None:
    if state.claims.owed:  # a claim that a hold delayed does not turn the time of later ones back
        for account, source in stage.minted:
            state.claims.take_owed((account, source), stage.window_start_s, stage.window_end_s)
            end_s = max(stage.window_end_s, state.minted_until_s.get((account, source), 0))
            state.minted_until_s[account, source] = end_s
        return
    state.minted_until_s.update(dict.fromkeys(stage.minted, stage.window_end_s))


def _run_postings(stage: Stage, association: bytes) -> list[Posting]:
    amounts_mc = dict(stage.amounts_mc)
    amounts_mc[association] = amounts_mc.get(association, 0) + stage.association_mc
    postings = [Posting(account, amount_mc) for account, amount_mc in amounts_mc.items() if amount_mc]
    return [Posting(ISSUANCE, -stage.total_mc), *postings]
