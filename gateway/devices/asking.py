"""What the operator asks for, handed on to devices: the aggregator signed it for them, so it stays as it is.

    cw/<commune>/<gateway>/requests  →  cw/<device>/asked, retained        docs/spec/transport.cddl

The newest message is kept, so that a gateway that restarts without its line still tells its devices. A device gets it
when it says that it is there, and again whenever it is another one.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any

from commonwatt import topics
from commonwatt.asked import Ask, Asked, Requests, current, ordered
from commonwatt.errors import FormatError
from commonwatt.mqtt import Message
from gateway.database import Database
from gateway.upstream.trusted import Aggregator
from gateway.upstream.uplink import Publisher

log = logging.getLogger(__name__)

SHOWN_MAX = 16
"""Windows that status.json lists."""


class AskingDesk:
    """What devices are asked for. `receive` writes, so it runs inside a transaction; `hand_over` after it."""

    def __init__(self, *, database: Database, aggregator: Aggregator, commune: str, gateway: bytes) -> None:
        self.ignored: Counter[str] = Counter()
        self.handed_over = 0
        self._database, self._aggregator = database, aggregator
        self._topic = topics.of_gateway(commune, gateway, topics.REQUESTS)
        self._known: Requests | None = None
        self._asked: dict[bytes, Asked] = {}
        """What each signed message inside says."""
        self._by_device: dict[bytes, bytes] = {}
        self._devices: set[bytes] = set()
        self._told: dict[bytes, bytes] = {}
        self._due: set[bytes] = set()
        self._connection = 0
        rows = database.execute("SELECT value FROM meta WHERE key = 'requests'")
        if rows:
            self._recall(bytes(rows[0][0]))

    def subscriptions(self) -> list[str]:
        """What to listen to upstream."""
        return [self._topic]

    def receive(self, message: Message) -> bool:
        """Take what came from upstream, what cannot be believed is counted with its reason; False if it is none."""
        if message.topic != self._topic:
            return False
        try:
            self._take(message.payload)
        except FormatError as error:
            self.ignored[error.reason] += 1
            log.warning("ignored a message on %s: %s", message.topic, error)
        return True

    def heard(self, device: bytes) -> None:
        """A device is there."""
        self._devices.add(device)
        self._want(device)

    def hand_over(self, link: Publisher, connection: int) -> None:
        """Tell devices what they were not told yet; everybody on another connection (`connection` counts them)."""
        if link.is_up and connection != self._connection:
            self._connection = connection
            self._told.clear()
            self._want(*self._devices)
        for device in sorted(self._due):
            signed = self._signed_for(device)
            if signed is None or not link.publish(topics.of_device(device, topics.ASKED), signed, retain=True):
                return
            self._told[device] = signed
            self._due.discard(device)
            self.handed_over += 1

    def asks(self, meters: Iterable[bytes], now_s: float) -> tuple[Ask, ...]:
        """What is not over and somebody here is asked for: who was heard, and our own `meters`; nobody: everybody."""
        whom = {self._signed_for(device) for device in (*self._devices, *meters)} or {self._signed_for(b"")}
        found = (self._asked[signed].asks for signed in whom if signed is not None)
        return ordered(ask for asks in found for ask in asks if ask.end_s > now_s)

    def described(self, meters: Iterable[bytes], now_s: float) -> dict[str, Any]:
        """For status.json."""
        asks = self.asks(meters, now_s)
        now = current(asks, now_s)
        return {
            "log_size": None if self._known is None else self._known.log_size,
            "now": None if now is None else now.kind,
            "until_s": None if now is None else now.end_s,
            "windows": [{"start_s": a.start_s, "end_s": a.end_s, "kind": a.kind} for a in asks[:SHOWN_MAX]],
            "handed_over": self.handed_over,
            "devices": len(self._told),
            "waiting": len(self._due),
        }

    def _take(self, signed: bytes) -> None:
        before = self._known
        self._believe(signed)
        if self._known != before:
            self._database.execute("INSERT OR REPLACE INTO meta VALUES ('requests', ?)", (signed,))
            self._want(*self._devices)

    def _recall(self, kept: bytes) -> None:
        try:
            self._believe(kept)
        except FormatError as error:
            log.warning("the requests in the spool are not believed any more, waiting for others: %s", error)

    def _believe(self, signed: bytes) -> None:
        """Take a message with everything in it; one of a smaller log would take windows back, so it is refused."""
        requests = self._aggregator.requests(signed)
        if self._known is not None and requests.log_size < self._known.log_size:
            raise FormatError("older-requests", f"log size {requests.log_size}, known {self._known.log_size}")
        inside = {requests.everybody, *(asked for asked, _devices in requests.groups)}
        self._asked = {asked: self._aggregator.asked(asked) for asked in inside}
        self._known, self._by_device = requests, requests.by_device()

    def _want(self, *devices: bytes) -> None:
        self._due.update(device for device in devices if self._told.get(device) != self._signed_for(device))

    def _signed_for(self, device: bytes) -> bytes | None:
        return None if self._known is None else self._by_device.get(device, self._known.everybody)
