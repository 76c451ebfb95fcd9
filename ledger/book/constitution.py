"""The constitution in force: which key holds which role, and whose signatures an entry needs."""

from dataclasses import dataclass, field, replace

from commonwatt import cose
from commonwatt.identity import is_valid_public_key, key_hint
from commonwatt.registry import Status
from ledger.book.body import AdmitRole, Body, Redeem, Rotate, SetStatus, role_key_id
from ledger.book.entry import SignedEntry
from ledger.book.genesis import Genesis
from ledger.book.kinds import WALLET_KINDS, Kind, Subject
from ledger.book.refusals import Refusal


@dataclass(frozen=True, slots=True)
class RoleKey:
    """A key and the one role it holds."""

    role: str
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Constitution:
    """A genesis body, ready to be asked, with the role keys as later entries left them.

    `keys`: by hint, those that may sign now. `ids`: every role key that was not revoked, by the id that entries name
    it by. `withdrawn`: why a hint may not sign any more.
    """

    genesis: Genesis
    genesis_sha256: bytes
    keys: dict[bytes, RoleKey]
    ids: dict[bytes, RoleKey] = field(default_factory=dict)
    withdrawn: dict[bytes, Refusal] = field(default_factory=dict)

    def copy(self) -> "Constitution":
        """The same, to be followed apart from this one."""
        return replace(self, keys=dict(self.keys), ids=dict(self.ids), withdrawn=dict(self.withdrawn))

    def check_quorum(self, signed: SignedEntry) -> Refusal | None:
        """Whether enough roles signed. Every signature there must be good; two keys of a role count once."""
        if self.is_remark(signed):
            return None
        kind = quorum_kind(signed.entry.body)
        signer = self._holder(signed.message, kind)
        if isinstance(signer, Refusal):
            return signer
        if kind is Kind.MINT_RUN and signer.role != "aggregator":
            return Refusal.UNKNOWN_SIGNER
        if not signed.is_signed_by(signer.public_key, self.genesis_sha256):
            return Refusal.BAD_SIGNATURE
        return self.check_approvals(signed, signed.approvals, {signer.role})

    def is_remark(self, signed: SignedEntry) -> bool:
        """Whether it is the aggregator's own remark: an entry by which the association is active, as it was before.

        It moves nothing, so the aggregator may sign it alone: what others signed, as the operator's requests, comes
        into the log this way, at a time that the aggregator vouches for. Whether the association was active before is
        for those to judge who know its standing (rules.py).
        """
        body = signed.entry.body
        if not isinstance(body, SetStatus) or body.subject is not Subject.ASSOCIATION or signed.approvals:
            return False
        holder = self.keys.get(signed.message.kid)
        if holder is None or holder.role != "aggregator" or body.status is not Status.ACTIVE:
            return False
        return signed.is_signed_by(holder.public_key, self.genesis_sha256)

    def check_approvals(
        self, signed: SignedEntry, approvals: tuple[cose.Sign1, ...], roles: set[str]
    ) -> Refusal | None:
        """Whether these approvals are good and reach the quorum of the entry's kind, beside `roles` that signed."""
        quorum = self.genesis.quorum(quorum_kind(signed.entry.body))
        if quorum is None:
            return Refusal.UNKNOWN_SIGNER
        for approval in approvals:
            approver = self._holder(approval, quorum.kind)
            if isinstance(approver, Refusal):
                return approver
            if not signed.is_approved_by(approval, approver.public_key, self.genesis_sha256):
                return Refusal.BAD_SIGNATURE
            roles.add(approver.role)
        return None if len(roles) >= quorum.k else Refusal.QUORUM_NOT_REACHED

    def check_entry(self, signed: SignedEntry) -> Refusal | None:
        """What can be said of an entry's signatures by who knows the roles' keys alone.

        What wallets and devices sign is passed over; of a redemption the approvals are checked.
        """
        body = signed.entry.body
        if signed.entry.kind in WALLET_KINDS:
            return None
        if isinstance(body, Redeem):
            return self.check_approvals(signed, signed.approvals, set())
        if isinstance(body, Rotate | SetStatus) and body.subject is Subject.ROLE and body.id not in self.ids:
            return Refusal.UNKNOWN_SUBJECT
        return self._check_rotation(signed, body) if isinstance(body, Rotate) else self.check_quorum(signed)

    def _check_rotation(self, signed: SignedEntry, body: Rotate) -> Refusal | None:
        """Of a role's key: by that key or the quorum; of anybody else's: by the quorum, if a role signed at all."""
        held = self.ids.get(body.id) if body.subject is Subject.ROLE else None
        if held is not None and signed.message.kid == key_hint(held.public_key):
            is_good = signed.is_signed_by(held.public_key, self.genesis_sha256)
            return None if is_good else Refusal.BAD_SIGNATURE
        if held is None and signed.message.kid not in self.keys:
            return None
        return self.check_recovery(
            signed, tuple(row for row in signed.approvals if row.kid != key_hint(body.public_key))
        )

    def check_recovery(self, signed: SignedEntry, approvals: tuple[cose.Sign1, ...]) -> Refusal | None:
        """Whether roles alone may give another key: `approvals` are those beside the new key's own."""
        signer = self._holder(signed.message, Kind.ROTATE)
        if isinstance(signer, Refusal):
            return signer
        if not signed.is_signed_by(signer.public_key, self.genesis_sha256):
            return Refusal.BAD_SIGNATURE
        return self.check_approvals(signed, approvals, {signer.role})

    def can_spare(self, ident: bytes) -> bool:
        """Whether every quorum could still be met without this role key."""
        roles = {held.role for other, held in self.ids.items() if other != ident}
        return all(len(roles & set(quorum.roles)) >= quorum.k for quorum in self.genesis.quorums)

    def follow(self, body: Body) -> None:
        """Do to the role keys what an entry that was accepted says."""
        match body:
            case AdmitRole():
                self.ids[body.id] = RoleKey(body.role, body.public_key)
                self.keys[key_hint(body.public_key)] = self.ids[body.id]
            case SetStatus(subject=Subject.ROLE):
                self._set_status(body)
            case Rotate(subject=Subject.ROLE):
                held = self.ids[body.id]
                self.ids[body.id] = RoleKey(held.role, body.public_key)
                is_active = self.keys.pop(key_hint(held.public_key), None) is not None
                self.withdrawn[key_hint(held.public_key)] = Refusal.KEY_ROTATED
                if is_active:
                    self.keys[key_hint(body.public_key)] = self.ids[body.id]
                else:
                    self.withdrawn[key_hint(body.public_key)] = Refusal.SUSPENDED

    def _set_status(self, change: SetStatus) -> None:
        held = self.ids[change.id]
        hint = key_hint(held.public_key)
        if change.status is Status.ACTIVE:
            self.withdrawn.pop(hint, None)
            self.keys[hint] = held
            return
        self.keys.pop(hint, None)
        self.withdrawn[hint] = Refusal.SUSPENDED
        if change.status is Status.REVOKED:
            self.withdrawn[hint] = Refusal.REVOKED
            del self.ids[change.id]

    def _holder(self, message: cose.Sign1, kind: Kind) -> RoleKey | Refusal:
        return self._of_hint(message.kid, kind)

    def _of_hint(self, hint: bytes, kind: Kind) -> RoleKey | Refusal:
        quorum = self.genesis.quorum(kind)
        holder = self.keys.get(hint)
        if holder is None or quorum is None:
            return self.withdrawn.get(hint, Refusal.UNKNOWN_SIGNER)
        return holder if holder.role in quorum.roles else Refusal.UNKNOWN_SIGNER


def quorum_kind(body: Body) -> Kind:
    """Whose quorum an entry needs: what concerns the keys of roles and witnesses needs that of rotations."""
    is_about_keys = getattr(body, "subject", None) in (Subject.ROLE, Subject.WITNESS)
    return Kind.ROTATE if is_about_keys else body.kind


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
    return Constitution(genesis, genesis_sha256, keys, {role_key_id(row.public_key): row for row in rows})
