"""The rules: one function that decides what an entry does, for the sequencer and for every auditor alike.

`apply` takes the state and gives it back. It is pure in what it depends on (no clock, no randomness, no I/O) and
updates the state it was given in place, because a town's state is too large to copy per entry: the caller hands
its state over and goes on with the answer. On a refusal the state is untouched.
"""

import hashlib

from commonwatt.errors import FormatError
from commonwatt.registry import Status
from commonwatt.units import INT64_MAX
from ledger.book import constitution, entry
from ledger.book.accounts import Posting
from ledger.book.body import (
    Admission,
    AdmitAccount,
    AdmitDevice,
    AdmitGateway,
    AdmitSite,
    MintRun,
    Policy,
    SetStatus,
    Transfer,
)
from ledger.book.entry import SignedEntry
from ledger.book.genesis import Genesis
from ledger.book.kinds import ISSUANCE, Kind
from ledger.book.mint import Mint
from ledger.book.refusals import REFUSAL_BY_REASON, Refusal
from ledger.book.state import Stage, State
from ledger.log import merkle

RUN_LEAVES_MAX = 100_000
"""Leaves of one mint-run: a run is one transaction and one stage in memory."""


def apply(state: State, data: bytes, position: int) -> State | Refusal:
    """Put the entry `data`, as logged, at `position`; the new state, or the first check that fails."""
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
    body = signed.entry.body
    if isinstance(body, Genesis):
        refusal = _found(state, signed, body, data)
    elif isinstance(body, Transfer):
        refusal = _transfer(state, signed, body)
    else:
        refusal = state.founded.check_quorum(signed) or _apply_by_roles(state, body)
    if refusal is None:
        state.ids.add(signed.entry.id)
    return refusal


def _apply_by_roles(state: State, body: Admission | SetStatus | Policy | MintRun) -> Refusal | None:
    match body:
        case AdmitAccount() | AdmitSite() | AdmitDevice() | AdmitGateway():
            return _admit(state, body)
        case SetStatus():
            return _set_status(state, body)
        case Policy():
            return _adopt(state, body)
        case MintRun():
            return _run(state, body)


def _found(state: State, signed: SignedEntry, genesis: Genesis, data: bytes) -> Refusal | None:
    founded = constitution.found(signed, genesis, entry.sha256(data))
    if isinstance(founded, Refusal):
        return founded
    state.constitution = founded
    state.admissions.hints.update(founded.keys)
    state.book.open_account(genesis.association)
    return None


def _admit(state: State, admission: Admission) -> Refusal | None:
    refusal = state.admissions.check_admission(admission, state.founded.genesis.association)
    if refusal is not None:
        return refusal
    state.admissions.admit(admission)
    if isinstance(admission, AdmitAccount):
        state.book.open_account(admission.id)
    return None


def _set_status(state: State, change: SetStatus) -> Refusal | None:
    refusal = state.admissions.check_status(change)
    if refusal is None:
        state.admissions.set_status(change)
    return refusal


def _adopt(state: State, policy: Policy) -> Refusal | None:
    is_its_hash = hashlib.sha256(policy.text.encode()).digest() == policy.sha256
    if not is_its_hash or policy.sha256 in state.policies or policy.policy_version <= state.policy_version:
        return Refusal.WRONG_POLICY
    state.policies[policy.sha256] = policy.policy_version
    state.policy_texts[policy.sha256] = policy.text
    return None


def _transfer(state: State, signed: SignedEntry, transfer: Transfer) -> Refusal | None:
    payer = state.admissions.account(transfer.payer)
    payee = state.admissions.account(transfer.payee)
    if payer is None or payee is None:
        return Refusal.UNKNOWN_ACCOUNT
    wallet = payer[0].wallet
    if not signed.is_signed_by(wallet, state.genesis_sha256):
        return Refusal.BAD_SIGNATURE
    if Status.REVOKED in (payer[1], payee[1]):
        return Refusal.REVOKED
    if payer[1] is Status.SUSPENDED:  # who is suspended cannot pay, but may still be paid
        return Refusal.SUSPENDED
    if transfer.amount_mc == 0:
        return Refusal.AMOUNT_ZERO
    if transfer.payer == transfer.payee:
        return Refusal.SAME_ACCOUNT
    postings = (Posting(transfer.payer, -transfer.amount_mc), Posting(transfer.payee, transfer.amount_mc))
    refusal = state.book.check(postings)
    if refusal is None:
        state.book.post(postings)
    return refusal


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
    if mint.account == ISSUANCE or mint.account not in state.book.accounts:
        return Refusal.UNKNOWN_ACCOUNT
    if gross_mc == 0:
        return Refusal.AMOUNT_ZERO
    if (mint.window_start_s, mint.window_end_s) != (stage.window_start_s, stage.window_end_s):
        return Refusal.WINDOW_MISMATCH
    if claim in stage.minted or mint.window_start_s < state.minted_until_s.get(claim, 0):
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
    if stage is None:
        return Refusal.RUN_RANGE
    if (run.window_start_s, run.window_end_s) != (stage.window_start_s, stage.window_end_s):
        return Refusal.WINDOW_MISMATCH
    if (run.first, run.count) != (stage.first, len(stage.leaf_hashes)):
        return Refusal.RUN_RANGE
    if run.root != merkle.root(stage.leaf_hashes):
        return Refusal.RUN_ROOT
    if (run.energy_wh, run.total_mc) != (stage.energy_wh, stage.total_mc):
        return Refusal.RUN_TOTAL
    postings = _run_postings(stage, state.founded.genesis.association)
    refusal = state.book.check(postings)
    if refusal is not None:
        return refusal
    state.book.post(postings)
    state.minted_until_s.update(dict.fromkeys(stage.minted, stage.window_end_s))
    state.stage = None
    return None


def _run_postings(stage: Stage, association: bytes) -> list[Posting]:
    amounts_mc = dict(stage.amounts_mc)
    amounts_mc[association] = amounts_mc.get(association, 0) + stage.association_mc
    postings = [Posting(account, amount_mc) for account, amount_mc in amounts_mc.items() if amount_mc]
    return [Posting(ISSUANCE, -stage.total_mc), *postings]
