"""What the operator asked for, told to gateways: retained, signed for devices, renewed when it changes.

One message for all gateways of the commune. Each has the registry of all devices anyway; what it learns beside it is
which of their ids share a line, while that line alone is asked for something.
"""

from collections.abc import Iterable, Sequence

from aggregator.commune.enacted import Known
from aggregator.commune.registry import Directory, Publishing
from aggregator.statements import requests
from aggregator.statements.requests import Request
from commonwatt import topics
from commonwatt.asked import ASKS_MAX, Ask, Asked, Requests, ordered
from commonwatt.clock import Civil
from commonwatt.identity import SigningKey


class RequestPublisher:
    """Publishes to every gateway at start, on change, when a window is over, and on each new connection."""

    def __init__(self, *, commune: str, genesis: bytes, key: SigningKey, clock: Civil) -> None:
        self._commune, self._genesis, self._key, self._clock = commune, genesis, key, clock
        self._seen: tuple[Known, Directory] | None = None
        self._until_s = float("-inf")
        self._content: tuple[object, ...] | None = None
        self._signed = b""
        self._done: tuple[int, bytes, Directory] | None = None

    def step(self, link: Publishing, directory: Directory, known: Known) -> None:
        """Publish what is new; a failed attempt is repeated at the next step."""
        now_s = self._clock.now_s()
        is_known = self._seen is not None and self._seen[0] is known and self._seen[1] is directory
        if not is_known or now_s >= self._until_s:
            self._look(directory, known, now_s)
        wanted = (link.connects, self._signed, directory)
        if self._done == wanted or not link.is_up:
            return
        sent = [
            link.publish(topics.of_gateway(self._commune, gateway, topics.REQUESTS), self._signed, retain=True)
            for gateway in directory.gateways
        ]
        if link.is_up and all(sent):
            self._done = wanted

    def _look(self, directory: Directory, known: Known, now_s: float) -> None:
        """Sign anew if something else stands; who hangs on which feeder is asked only for feeders that were asked."""
        self._seen = known, directory
        standing = [row for row in requests.of(known.stated) if row.end_s > now_s]
        self._until_s = min((row.end_s for row in standing), default=float("inf"))
        asked = sorted({row.feeder for row in standing if row.feeder is not None})
        devices = {feeder: directory.meters.on_feeder(feeder) for feeder in asked}
        everybody = asks_of(standing, None)
        groups = [(asks_of(standing, feeder), tuple(devices[feeder])) for feeder in asked if devices[feeder]]
        if self._content != (content := (everybody, *groups)):
            self._content = content
            self._signed = self._sign(known.size, everybody, groups)

    def _sign(
        self, size: int, everybody: Sequence[Ask], groups: Iterable[tuple[Sequence[Ask], tuple[bytes, ...]]]
    ) -> bytes:
        def signed(asks: Sequence[Ask]) -> bytes:
            return Asked(size, tuple(asks)).sign(self._key, self._genesis)

        told = Requests(size, signed(everybody), tuple((signed(asks), devices) for asks, devices in groups))
        return told.sign(self._key, self._genesis)


def asks_of(standing: Iterable[Request], feeder: bytes | None) -> tuple[Ask, ...]:
    """What whoever hangs on a feeder is asked for, the next sixteen."""
    return ordered(Ask(row.start_s, row.end_s, row.is_peak) for row in standing if row.concerns(feeder))[:ASKS_MAX]
