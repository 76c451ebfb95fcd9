"""Who signed a statement: a role of the constitution, or the holder of a wallet."""

from collections.abc import Mapping
from dataclasses import dataclass

from aggregator.statements.statement import Signed, Topic
from commonwatt.identity import key_hint
from commonwatt.registry import Status
from ledger.book.body import AdmitAccount
from ledger.book.kinds import Kind
from ledger.book.state import State

CONFIRMING_ROLES = ("steward", "townhall")
"""Roles that may declare and confirm values beside members and merchants."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that may speak now. `role`: what the constitution calls it, empty for a wallet; `id`: who it is: the
    holder's account, or for a role its name."""

    public_key: bytes
    role: str
    id: bytes


@dataclass(frozen=True, slots=True)
class Signers:
    """By the hint of the key. `correcting`: the roles that may take back what was paid, those that may reverse a
    payment; `correcting_min`: so many of them together."""

    genesis: bytes
    by_hint: Mapping[bytes, Signer]
    correcting: frozenset[str] = frozenset()
    correcting_min: int = 0

    @classmethod
    def of(cls, state: State) -> "Signers":
        """The keys that are in force in a state of the ledger."""
        found = {
            hint: Signer(row.public_key, row.role, row.role.encode()) for hint, row in state.founded.keys.items()
        }
        for row in state.admissions.by_id.values():
            if isinstance(row.admission, AdmitAccount) and row.status is Status.ACTIVE:
                wallet = row.admission.wallet
                found[key_hint(wallet)] = Signer(wallet, "", row.admission.id)
        quorum = state.founded.genesis.quorum(Kind.REVERSE)
        if quorum is None:
            return cls(state.genesis_sha256, found)
        return cls(state.genesis_sha256, found, frozenset(quorum.roles), quorum.k)

    def signer_of(self, signed: Signed) -> Signer | None:
        """Who signed, if the signature is good and this signer may state such a thing."""
        signer = self.by_hint.get(signed.message.kid)
        if signer is None or not self.may_state(signer, signed.statement.topic):
            return None
        return signer if signed.is_by(signer.public_key, self.genesis) else None

    def may_state(self, signer: Signer, topic: Topic) -> bool:
        """Requests are the operator's; values are declared and seen by people; corrections are for the roles."""
        if topic is Topic.REQUEST:
            return signer.role == "operator"
        if topic is Topic.CORRECTION:
            return signer.role in self.correcting
        return not signer.role or signer.role in CONFIRMING_ROLES
