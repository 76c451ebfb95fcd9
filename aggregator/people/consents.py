"""What a member agrees to, each purpose by itself with its last day: given, renewed, taken back, and the story of it.

A change counts at once, because statistics and comparisons read it each time (aggregator/privacy/cells.py). Its
commitment comes into the log when a steward brings it there (`commonwatt people log`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from aggregator.commune.attributes import OWN_DASHBOARD, PURPOSES, MemberFacts, Purpose
from aggregator.private.person import Person
from aggregator.private.store import PrivateStore
from commonwatt import settings

EVERY: tuple[Purpose, ...] = (*PURPOSES, OWN_DASHBOARD)
DAYS_MAX = 3 * 366
"""Nobody agrees for longer at once: who does not remember it has not agreed."""
ENDS_SOON_DAYS = 30


@dataclass(frozen=True, slots=True)
class Change:
    """What changed at a civil second: a purpose's last day from then on; None: it was taken back."""

    at_s: int
    purpose: Purpose
    last: date | None


def given(store: PrivateStore, member: bytes) -> dict[Purpose, date]:
    """The last day by purpose, of those agreed to; it may be over."""
    return _read(store.attributes(member), store.name_of(member))


def ending(consents: dict[Purpose, date], today: date) -> list[tuple[Purpose, date]]:
    """Those that end within ENDS_SOON_DAYS."""
    return [(purpose, last) for purpose, last in consents.items() if 0 <= (last - today).days < ENDS_SOON_DAYS]


def give(store: PrivateStore, member: Person, purpose: Purpose, last: date | None, *, at_s: int) -> bool:
    """Agree to a purpose until a day, or take it back (None); whether that is new. Does not save. What was agreed to
    altogether (`consent_until`) is spelled by purpose from then on, or it would bring back what is taken back."""
    days = given(store, member.id)
    days.pop(purpose, None)
    if last is not None:
        days[purpose] = last
    spelled = {name: day.isoformat() for name, day in sorted(days.items())}
    return store.amend(member, {"consent_until": None, "consent": spelled or None}, at_s=at_s) is not None


def story(store: PrivateStore, member: bytes) -> Iterator[Change]:
    """Every change, the newest first."""
    changes: list[Change] = []
    before: dict[Purpose, date] = {}
    for record in store.records(member):
        after = _read(record.read(), store.name_of(member))
        changes += [
            Change(record.at_s, purpose, after.get(purpose))
            for purpose in EVERY
            if after.get(purpose) != before.get(purpose)
        ]
        before = after
    return reversed(changes)


def _read(attributes: dict[str, Any], where: str) -> dict[Purpose, date]:
    return dict(settings.validate(MemberFacts, attributes, where=where).consents)
