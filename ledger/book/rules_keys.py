"""What rotations and guards do. Each returns why it may not be, or does it."""

from commonwatt import cose
from commonwatt.identity import is_valid_public_key, key_hint
from commonwatt.registry import Status
from ledger.book.admissions import Admitted, key_of
from ledger.book.body import Guard, Rotate
from ledger.book.entry import SignedEntry
from ledger.book.kinds import Subject
from ledger.book.refusals import Refusal
from ledger.book.rules_payments import check_wallet
from ledger.book.state import State


def rotate(state: State, signed: SignedEntry, body: Rotate) -> Refusal | None:
    """Another key for a subject, if the old key says so or those who may recover it; and if the new key agrees."""
    row = state.admissions.check_rotation(body)
    if isinstance(row, Refusal):
        return row
    new_hint = key_hint(body.public_key)
    agreed = [approval for approval in signed.approvals if approval.kid == new_hint]
    others = tuple(approval for approval in signed.approvals if approval.kid != new_hint)
    refusal = (
        _check_mandate(state, signed, row, others)
        or state.admissions.check_new_key(body.public_key)
        or (None if agreed else Refusal.NOT_POSSESSED)
    )
    if refusal is not None:
        return refusal
    if not all(signed.is_approved_by(approval, body.public_key, state.genesis_sha256) for approval in agreed):
        return Refusal.BAD_SIGNATURE
    before = state.holder(body.id)
    state.admissions.rotate(body)
    state.note_wallet(body.id)
    if body.subject is Subject.ROLE:
        state.founded.follow(body)
    state.note_holder(body.id, before)
    return None


def guard(state: State, signed: SignedEntry, body: Guard) -> Refusal | None:
    """Name who may recover a wallet; the wallet itself says so."""
    refusal = check_wallet(state, signed, body.account)
    if refusal is not None:
        return refusal
    found = state.admissions.account(body.account)
    assert found is not None
    if found[1] is Status.REVOKED:
        return Refusal.REVOKED
    if not all(is_valid_public_key(key) for key in body.public_keys):
        return Refusal.WEAK_KEY
    if any(key_hint(key) in state.admissions.by_id.hints for key in body.public_keys):
        return Refusal.DUPLICATE_KEY
    state.admissions.guard(body)
    return None


def _check_mandate(
    state: State, signed: SignedEntry, row: Admitted, approvals: tuple[cose.Sign1, ...]
) -> Refusal | None:
    """The old key alone; or the guard's keys with the association as one more; or the constitution's quorum."""
    old_key = key_of(row.admission)
    assert old_key is not None
    if signed.message.kid == key_hint(old_key):
        if not signed.is_signed_by(old_key, state.genesis_sha256):
            return Refusal.BAD_SIGNATURE
        return Refusal.UNKNOWN_SIGNER if approvals else None
    found = state.admissions.guards.get(row.admission.id)
    if found is not None:
        refusal = _check_guard(state, signed, found, approvals)
        if refusal is not Refusal.UNKNOWN_SIGNER:
            return refusal
    if signed.message.kid in state.admissions.rotated and signed.message.kid not in state.founded.withdrawn:
        return Refusal.KEY_ROTATED
    return state.founded.check_recovery(signed, approvals)


def _check_guard(
    state: State, signed: SignedEntry, guard: Guard, approvals: tuple[cose.Sign1, ...]
) -> Refusal | None:
    """UNKNOWN_SIGNER when somebody signed who is neither a guard's key nor a steward: then no guard rotates."""
    keys = {key_hint(key): key for key in guard.public_keys}
    hints = (signed.message.kid, *(approval.kid for approval in approvals))
    for hint in hints:
        steward = state.founded.keys.get(hint)
        if hint not in keys and steward is not None and steward.role == "steward":
            keys[hint] = steward.public_key
        elif hint not in keys:
            return Refusal.UNKNOWN_SIGNER
    if not signed.is_signed_by(keys[signed.message.kid], state.genesis_sha256):
        return Refusal.BAD_SIGNATURE
    if not all(signed.is_approved_by(row, keys[row.kid], state.genesis_sha256) for row in approvals):
        return Refusal.BAD_SIGNATURE
    guards = {hint for hint in hints if keys[hint] in guard.public_keys}
    votes = len(guards) + (len(guards) < len(set(hints)))  # several stewards are one association
    if guards:
        return None if votes >= guard.k else Refusal.QUORUM_NOT_REACHED
    return Refusal.UNKNOWN_SIGNER
