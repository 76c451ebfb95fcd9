"""Who signed a statement: a role of the constitution, or the holder of a wallet.

What was said stays said: a statement counts by the keys that were in force for its entry, whatever became of them.
So a wallet that gets another key takes nothing back, and a key says nothing before it is somebody's or after it was.
"""

from dataclasses import dataclass

from aggregator.statements.statement import Signed, Topic
from ledger.book.kinds import Kind
from ledger.book.state import State

CONFIRMING_ROLES = ("steward", "townhall")
"""Roles that may declare and confirm values beside members and merchants."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that may speak. `role`: what the constitution calls it, empty for a wallet; `id`: who it is: the
    holder's account, or for a role its name."""

    public_key: bytes
    role: str
    id: bytes


@dataclass(frozen=True, slots=True)
class Signers:
    """The keys that are or were in force by a state of the ledger. `place`: of a statement's entry in the log; None
    for one that would come next."""

    state: State

    def find(self, hint: bytes, place: int | None = None) -> Signer | None:
        """Who has the key of a hint and may speak there."""
        found = self.state.holder_at(hint, self.state.size if place is None else place)
        return None if found is None else Signer(found.public_key, found.role, found.account or found.role.encode())

    @property
    def correcting(self) -> frozenset[str]:
        """The roles that may take back what was paid: those that may reverse a payment."""
        quorum = self.state.founded.genesis.quorum(Kind.REVERSE)
        return frozenset() if quorum is None else frozenset(quorum.roles)

    @property
    def correcting_min(self) -> int:
        """So many of them together."""
        quorum = self.state.founded.genesis.quorum(Kind.REVERSE)
        return 0 if quorum is None else quorum.k

    def signer_of(self, signed: Signed, place: int | None = None) -> Signer | None:
        """Who signed, if the signature is good and this signer may state such a thing there."""
        signer = self.find(signed.message.kid, place)
        if signer is None or not self.may_state(signer, signed.statement.topic):
            return None
        return signer if signed.is_by(signer.public_key, self.state.genesis_sha256) else None

    def may_state(self, signer: Signer, topic: Topic) -> bool:
        """Requests are the operator's; values are declared and seen by people; corrections are for the roles."""
        if topic is Topic.REQUEST:
            return signer.role == "operator"
        if topic is Topic.CORRECTION:
            return signer.role in self.correcting
        return not signer.role or signer.role in CONFIRMING_ROLES
