"""The constitution in force: which key holds which role, and whose signatures an entry needs."""

from dataclasses import dataclass

from commonwatt import cose
from commonwatt.identity import is_valid_public_key, key_hint
from ledger.book.entry import SignedEntry
from ledger.book.genesis import Genesis
from ledger.book.kinds import Kind
from ledger.book.refusals import Refusal


@dataclass(frozen=True, slots=True)
class RoleKey:
    """A key and the one role it holds."""

    role: str
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Constitution:
    """A genesis body, ready to be asked. `keys`: by hint."""

    genesis: Genesis
    genesis_sha256: bytes
    keys: dict[bytes, RoleKey]

    def check_quorum(self, signed: SignedEntry) -> Refusal | None:
        """Whether enough roles signed. Every signature there must be good; two keys of a role count once."""
        quorum = next(row for row in self.genesis.quorums if row.kind is signed.entry.kind)
        signer = self._holder(signed.message, quorum.roles)
        if signer is None or (signed.entry.kind is Kind.MINT_RUN and signer.role != "aggregator"):
            return Refusal.UNKNOWN_SIGNER
        if not signed.is_signed_by(signer.public_key, self.genesis_sha256):
            return Refusal.BAD_SIGNATURE
        roles = {signer.role}
        for approval in signed.approvals:
            approver = self._holder(approval, quorum.roles)
            if approver is None:
                return Refusal.UNKNOWN_SIGNER
            if not signed.is_approved_by(approval, approver.public_key, self.genesis_sha256):
                return Refusal.BAD_SIGNATURE
            roles.add(approver.role)
        return None if len(roles) >= quorum.k else Refusal.QUORUM_NOT_REACHED

    def _holder(self, message: cose.Sign1, roles: tuple[str, ...]) -> RoleKey | None:
        holder = self.keys.get(message.kid)
        return holder if holder is not None and holder.role in roles else None


def found(signed: SignedEntry, genesis: Genesis, genesis_sha256: bytes) -> Constitution | Refusal:
    """The constitution that a genesis entry founds, if a steward that it names signed it."""
    keys: dict[bytes, RoleKey] = {}
    rows = [RoleKey(role, key) for role, role_keys in genesis.roles for key in role_keys]
    for row in rows:
        keys.setdefault(key_hint(row.public_key), row)
    signer = keys.get(signed.message.kid)
    if signer is None or signer.role != "steward":
        return Refusal.UNKNOWN_SIGNER
    if not signed.is_signed_by(signer.public_key, b""):
        return Refusal.BAD_SIGNATURE
    if not all(is_valid_public_key(row.public_key) for row in rows):
        return Refusal.WEAK_KEY
    if len(keys) < len(rows):
        return Refusal.DUPLICATE_KEY
    return Constitution(genesis, genesis_sha256, keys)
