"""What people said in the log that is no payment: policies, reviews of held spans, statements. Gathered while the log
is followed, so that no page reads it from its beginning."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from aggregator.commune import enacted
from aggregator.policy.rules import Policy
from aggregator.policy.schedule import Enacted
from aggregator.settling.reviews import Review
from aggregator.statements import statement as statements
from aggregator.statements.signers import Signers
from aggregator.statements.values import Stated
from ledger.book import body, entry
from ledger.book.entry import SignedEntry
from ledger.book.state import State
from ledger.follower import Look

_SIGNED = b"\xd2"
_TELLING = (statements.PREFIX.encode(), b"release ", b"reject ", b"grace_s")
"""One of them stands in every entry that is looked for; most others need not be parsed."""


@dataclass(slots=True)
class Said:
    """By the place and civil time of their entries, in the order of the log."""

    policies: list[Enacted] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    reasons: set[str] = field(default_factory=set)
    """Texts that hold a signed statement."""
    _stated: list[tuple[int, SignedEntry]] = field(default_factory=list)
    _judged: list[Stated | None] = field(default_factory=list)
    """Of the first of them. By the keys of its place it counts or does not, for ever: each is verified once."""

    def __call__(self, first: int, entries: Sequence[bytes]) -> None:
        """See entries from the place `first` on."""
        for place, data in enumerate(entries, first):
            if data[:1] == _SIGNED and any(word in data for word in _TELLING):
                self._see(place, entry.parse(data))

    def stated(self, state: State) -> list[Stated]:
        """The statements whose signers might speak where they stand; `state`: of as many entries at least."""
        signers = Signers(state)
        for place, signed in self._stated[len(self._judged) :]:
            self._judged.append(enacted.stated_of(place, signed, signers))
        return [row for row in self._judged if row is not None]

    def _see(self, place: int, parsed: object) -> None:
        if not isinstance(parsed, SignedEntry):
            return
        said, time_s = parsed.entry.body, parsed.entry.time_s
        if isinstance(said, body.Policy):
            policy = Policy.parse(said.text, where=f"the policy at {place} of the log")
            self.policies.append(Enacted(place, time_s, policy))
        elif isinstance(said, body.SetStatus):
            if (review := enacted.review_of(place, parsed)) is not None:
                self.reviews.append(review)
            elif statements.read(said) is not None:
                self._stated.append((place, parsed))
                self.reasons.add(said.reason)


def together(looks: Iterable[Look]) -> Look:
    """One look that shows what it sees to several."""
    each = tuple(looks)

    def look(first: int, entries: Sequence[bytes]) -> None:
        for one in each:
            one(first, entries)

    return look
