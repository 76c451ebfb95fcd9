"""From where to where in the log a key of a wallet or of a role was in force.

What people sign for the rules to act on (aggregator/statements/) is looked at again and again, long after wallets got
other keys. Which key counted at a place follows from the entries before it, as all of a state does; no rule asks.
Since which place the present key of an account is in force stands beside it (subjects.py).
"""

from dataclasses import dataclass, field

from commonwatt.identity import key_hint


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose a key is: an account's wallet, or of a role of the constitution."""

    public_key: bytes
    role: str = ""
    account: bytes = b""


@dataclass(frozen=True, slots=True)
class Tenure:
    """The key counted for the entries after the one at `since`, up to and with the one at `until`."""

    holder: Holder
    since: int
    until: int

    def covers(self, place: int) -> bool:
        """Whether the entry at this place could be signed by it."""
        return self.since < place <= self.until


@dataclass(slots=True)
class Tenures:
    """`past`: those that ended, by the hint of their key; suspended and active again, a key has several. `roles`:
    since which place keys of roles are in force, by hint; those of the genesis entry are not there."""

    past: dict[bytes, list[Tenure]] = field(default_factory=dict)
    roles: dict[bytes, int] = field(default_factory=dict)

    def end(self, holder: Holder, since: int, until: int) -> None:
        """The entry at `until` ended what began at `since`."""
        self.past.setdefault(key_hint(holder.public_key), []).append(Tenure(holder, since, until))

    def find(self, hint: bytes, place: int) -> Holder | None:
        """Whose key of a hint counted at a place, if that ended since."""
        return next((row.holder for row in self.past.get(hint, ()) if row.covers(place)), None)
