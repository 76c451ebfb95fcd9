"""What annotations show: what came into the log, in a sentence each, neighbours of one kind and second together.

No sentence names a person, a home or a device.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aggregator.statements import statement as statements
from aggregator.statements.statement import Topic
from aggregator.telemetry.point import Point
from commonwatt.i18n import _
from commonwatt.registry import Status
from ledger.book import body, entry
from ledger.book.entry import SignedEntry
from ledger.book.kinds import Subject
from ledger.log.published import PublishedLog
from ledger.log.tiles import ENTRIES, WIDTH, TileName

PLACES_MAX = 64 * WIDTH
"""Places of the log that are looked at in one step."""
_SIGNED = b"\xd2"

ADMISSION, DEVICE, POLICY, FIRMWARE, REQUEST = "admission", "device", "policy", "firmware", "request"
KINDS = (ADMISSION, DEVICE, POLICY, FIRMWARE, REQUEST)


@dataclass(frozen=True, slots=True)
class Event:
    """One entry's. `what`: how neighbours are told apart."""

    kind: str
    time_s: int
    what: str


def since(log: PublishedLog, place: int) -> tuple[list[Event], int]:
    """The events of a bounded number of entries from a place on, and the place behind them."""
    size = log.unverified_checkpoint().size
    until = min(size, place + PLACES_MAX)
    found = []
    for start in range(place // WIDTH * WIDTH, until, WIDTH):
        bundle = log.bundle(TileName(ENTRIES, start // WIDTH, min(WIDTH, size - start)))
        for at, data in enumerate(bundle, start):
            if place <= at < until and data[:1] == _SIGNED:
                parsed = entry.parse(data)
                assert isinstance(parsed, SignedEntry)
                if (event := _event(parsed)) is not None:
                    found.append(event)
    return found, max(place, until)


def _event(signed: SignedEntry) -> Event | None:
    said, time_s = signed.entry.body, signed.entry.time_s
    if isinstance(said, body.Admission):
        return Event(ADMISSION, time_s, said.subject.name.lower())
    if isinstance(said, body.Policy):
        return Event(POLICY, time_s, str(said.policy_version))
    if not isinstance(said, body.SetStatus):
        return None
    stated = statements.read(said)
    if stated is not None:
        return Event(REQUEST, time_s, stated.statement.what) if stated.statement.topic is Topic.REQUEST else None
    if said.subject in (Subject.DEVICE, Subject.GATEWAY) and said.status is not Status.ACTIVE:
        return Event(DEVICE, time_s, said.status.name.lower())
    return None


def points(events: Iterable[Event]) -> Iterator[Point]:
    """One for each kind and second."""
    groups: dict[tuple[str, int], Counter[str]] = {}
    for event in events:
        groups.setdefault((event.kind, event.time_s), Counter())[event.what] += 1
    for (kind, time_s), whats in groups.items():
        fields: dict[str, int | str] = {"count": whats.total()}
        fields["text"] = "; ".join(_sentence(kind, *item) for item in whats.items())
        yield Point("event", time_s, fields, {"kind": kind})


def _sentence(kind: str, what: str, count: int) -> str:
    if kind == ADMISSION:
        return _("Admitted: {count} × {what}").format(count=count, what=what)
    if kind == POLICY:
        return _("Policy {version} came into the log").format(version=what)
    if kind == FIRMWARE:
        return _("Firmware {version} runs on a first device").format(version=what)
    if kind == REQUEST:
        return _("The operator announced a {what}").format(what=what)
    return _("Devices {what}: {count}").format(what=what, count=count)
