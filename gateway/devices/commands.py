"""Signed commands on their way to devices: verified, kept, handed over in order, the same bytes all the way.

    cw/<commune>/<gateway>/cmd/<device>  →  cw/<device>/cmd        docs/spec/command.cddl

A device obeys each counter once, so handing over again is harmless; it happens whenever the device says that it is
there. A command is forgotten when the device's state names its counter or a later one, when a relay command makes the
ones before it pointless, or when it has waited `KEPT_S`. One command alone, retained, would not do: a schedule that
follows a relay command does not repeat it.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from commonwatt import cbor, cose, topics
from commonwatt.errors import FormatError
from commonwatt.identity import ID_SIZE, key_hint
from commonwatt.mqtt import Message
from gateway.database import Database
from gateway.upstream.uplink import Publisher

log = logging.getLogger(__name__)

VERSION = 1
SIZE_MAX = 512
COUNTER_MAX = 2**64 - 1
RELAY = 1
PER_DEVICE_MAX = 8
"""Commands that wait for one device; one more pushes out the oldest, which a sender may repeat."""
PENDING_MAX = 4096
"""Of all devices; one more is not taken."""
KEPT_S = 7 * 86_400
"""How long a command waits for its device (age clock): "relay off" of last month surprises people."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the commune. `replaces_earlier`: what was commanded before it no longer matters."""

    device: bytes
    counter: int
    replaces_earlier: bool
    signed: bytes


@dataclass(frozen=True, slots=True)
class Commander:
    """Whose commands are passed on: the commune's command key; None passes none."""

    public_key: bytes | None
    genesis: bytes

    def read(self, signed: bytes, device: bytes) -> Command:
        """Check in the order of docs/spec/command.cddl; FormatError names the first check that fails."""
        message = cose.parse1(signed, size_max=SIZE_MAX)
        command = _parse(message.payload, signed)
        if self.public_key is None or message.kid != key_hint(self.public_key):
            raise FormatError("unknown-key", "not signed by the key that command_public_key names")
        if command.device != device:
            raise FormatError("wrong-device", f"for {command.device.hex()}, sent to {device.hex()}")
        if not message.is_signed_by(self.public_key, cose.external_aad("command", self.genesis)):
            raise FormatError("bad-signature", "not a command of this commune")
        return command


class CommandDesk:
    """Commands that wait. `receive` and `heard` write, so they run inside a transaction; `hand_over` after it."""

    def __init__(self, *, database: Database, commander: Commander, commune: str, gateway: bytes) -> None:
        self.handed_over = self.obeyed = self.expired = self.pushed_out = 0
        self.refused: Counter[str] = Counter()
        self._database = database
        self._commander = commander
        self._topic = topics.of_gateway(commune, gateway, topics.COMMAND) + "/"
        self._pending: dict[bytes, dict[int, tuple[Command, int]]] = {}
        self._due: set[bytes] = set()
        for device, counter, replaces_earlier, signed, arrived_s in database.execute(_ALL):
            command = Command(device, int.from_bytes(counter, "big"), bool(replaces_earlier), signed)
            self._pending.setdefault(device, {})[command.counter] = (command, arrived_s)

    def subscriptions(self) -> list[str]:
        """What to listen to upstream."""
        return [self._topic + "+"]

    @property
    def pending(self) -> int:
        """Commands that wait for their device."""
        return sum(len(commands) for commands in self._pending.values())

    def receive(self, message: Message, now_s: int) -> bool:
        """Take a command from upstream, what cannot be passed on is counted with its reason; False if it is none."""
        if not message.topic.startswith(self._topic):
            return False
        try:
            self._keep(self._commander.read(message.payload, _addressee(message.topic)), now_s)
        except FormatError as error:
            self.refused[error.reason] += 1
            log.warning("a command on %s is not passed on: %s", message.topic, error)
        return True

    def heard(self, device: bytes, counter: int | None) -> None:
        """A device is there, and its state names the counter of the last command that it obeyed, if it does."""
        waiting = self._pending.get(device)
        if waiting is None:
            return
        if counter is not None:
            self.obeyed += self._forget(device, lambda command, _arrived_s: command.counter <= counter)
        self._due.add(device)

    def expire(self, now_s: int) -> None:
        """Forget what has waited too long (age clock)."""
        for device in list(self._pending):
            self.expired += self._forget(device, lambda _command, arrived_s: now_s - arrived_s > KEPT_S)

    def hand_over(self, link: Publisher) -> None:
        """Give devices that are there, or were just sent a command, what waits for them, oldest first."""
        for device in sorted(self._due):
            for _counter, (command, _arrived_s) in sorted(self._pending.get(device, {}).items()):
                if not link.publish(topics.of_device(device, topics.COMMAND), command.signed):
                    return  # the device's state comes again when there is a connection
                self.handed_over += 1
            self._due.discard(device)

    def _keep(self, command: Command, now_s: int) -> None:
        waiting = self._pending.get(command.device, {})
        newest = self._newest(command.device)
        if command.counter == newest:
            return  # the broker upstream retains it, and tells it on every connection
        if command.counter < newest:
            raise FormatError("stale", f"counter {command.counter}, taken before: {newest}")
        if self.pending >= PENDING_MAX:
            raise FormatError("no-room", f"{PENDING_MAX} commands wait already")
        if command.replaces_earlier:
            self._forget(command.device, lambda _command, _arrived_s: True)
        elif len(waiting) >= PER_DEVICE_MAX:
            oldest = min(waiting)
            self.pushed_out += self._forget(command.device, lambda other, _arrived_s: other.counter == oldest)
        counter = command.counter.to_bytes(8, "big")
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_newest_key(command.device), counter))
        self._database.execute(_INSERT, (command.device, counter, command.replaces_earlier, command.signed, now_s))
        self._pending.setdefault(command.device, {})[command.counter] = (command, now_s)
        self._due.add(command.device)

    def _newest(self, device: bytes) -> int:
        """The counter of the newest command ever taken for a device: one that has expired is not taken again."""
        rows = self._database.execute("SELECT value FROM meta WHERE key = ?", (_newest_key(device),))
        return int.from_bytes(rows[0][0], "big") if rows else 0

    def _forget(self, device: bytes, is_over: Callable[[Command, int], bool]) -> int:
        waiting = self._pending.get(device, {})
        over = [counter for counter, (command, arrived_s) in waiting.items() if is_over(command, arrived_s)]
        self._database.execute_many(_DELETE, [(device, counter.to_bytes(8, "big")) for counter in over])
        for counter in over:
            del waiting[counter]
        if not waiting:
            self._pending.pop(device, None)
        return len(over)


def _newest_key(device: bytes) -> str:
    return f"command/{device.hex()}"


def _addressee(topic: str) -> bytes:
    try:
        device = bytes.fromhex(topic.rpartition("/")[2])
    except ValueError:
        device = b""
    if len(device) != ID_SIZE:
        raise FormatError("wrong-device", f"{topic} names no device")
    return device


def _parse(payload: bytes, signed: bytes) -> Command:
    """What the gateway needs to know of a command; the device reads the rest strictly."""
    value = cbor.decode(payload, size_max=SIZE_MAX)
    try:
        version, device, counter, (kind, _what) = value
    except (TypeError, ValueError) as error:
        raise FormatError("malformed", "a command is an array of four") from error
    is_command = version == VERSION and type(version) is int and type(device) is bytes and len(device) == ID_SIZE
    if not is_command or type(counter) is not int or not 0 <= counter <= COUNTER_MAX or type(kind) is not int:
        raise FormatError("malformed", "not a command of version 1")
    return Command(device, counter, kind == RELAY, signed)


_ALL = "SELECT device, counter, replaces_earlier, signed, arrived_s FROM command ORDER BY device, counter"
_INSERT = "INSERT INTO command (device, counter, replaces_earlier, signed, arrived_s) VALUES (?, ?, ?, ?, ?)"
_DELETE = "DELETE FROM command WHERE device = ? AND counter = ?"
