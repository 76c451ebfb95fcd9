"""What the operator asked for, on its way to devices: when to use less or more. Bytes: docs/spec/transport.cddl.

    [1, 12, [[1721066400, 1721073600, 1], [1721120400, 1721124000, 2]]]

The aggregator signs what each device is to hear; a gateway hands it on as it is, so a device believes no gateway.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from commonwatt import cbor, cose
from commonwatt.errors import FormatError
from commonwatt.identity import ID_SIZE, SigningKey
from commonwatt.units import INT64_MAX

VERSION = 1
ASKED, REQUESTS = "asked", "requests"
"""The kinds named in external_aad: what a device hears, and what a gateway does."""
ASKED_SIZE_MAX = 512
REQUESTS_SIZE_MAX = 4 * 1024 * 1024
ASKS_MAX = 16
ASK_S_MAX = 12 * 3600
PEAK, SURPLUS = 1, 2


class Ask(NamedTuple):
    """A window, civil seconds. `is_peak`: use less; otherwise more. In the order of messages."""

    start_s: int
    end_s: int
    is_peak: bool

    @property
    def kind(self) -> str:
        """As people and programs write it."""
        return "peak" if self.is_peak else "surplus"


def ordered(asks: Iterable[Ask]) -> tuple[Ask, ...]:
    """Each once, as messages have them: by start, end, and the peak first."""
    return tuple(sorted(set(asks), key=lambda ask: (ask.start_s, ask.end_s, not ask.is_peak)))


def current(asks: Iterable[Ask], now_s: float) -> Ask | None:
    """The one that counts now: of two at once the peak, then the one that began first."""
    running = [ask for ask in asks if ask.start_s <= now_s < ask.end_s]
    return min(running, key=lambda ask: (not ask.is_peak, ask.start_s), default=None)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one device is asked for: the log's first `log_size` entries say so. `asks` as `ordered` has them."""

    log_size: int
    asks: tuple[Ask, ...]

    def encode(self) -> bytes:
        """The payload that the aggregator signs."""
        rows = [[ask.start_s, ask.end_s, PEAK if ask.is_peak else SURPLUS] for ask in self.asks]
        return cbor.encode([VERSION, self.log_size, rows])

    def sign(self, key: SigningKey, genesis: bytes) -> bytes:
        """The message as a device gets it."""
        return cose.sign1(self.encode(), key, cose.external_aad(ASKED, genesis))

    @classmethod
    def parse(cls, payload: bytes) -> "Asked":
        """Read a payload; FormatError for anything that is none."""
        version, log_size, rows = _array(payload, 3, ASKED_SIZE_MAX)
        _require(version == VERSION and _is_uint(log_size), "another version, or no size")
        _require(type(rows) is list and len(rows) <= ASKS_MAX, f"not at most {ASKS_MAX} windows")
        asks = tuple(map(_ask, rows))
        _require(asks == ordered(asks), "the windows are not in order")
        return cls(log_size, asks)


@dataclass(frozen=True, slots=True)
class Requests:
    """What all devices are asked for. `everybody`: the signed Asked of those in no group; `groups`: another one, and
    the devices that it is for, ascending."""

    log_size: int
    everybody: bytes
    groups: tuple[tuple[bytes, tuple[bytes, ...]], ...]

    def encode(self) -> bytes:
        """The payload that the aggregator signs."""
        groups = [[signed, list(devices)] for signed, devices in self.groups]
        return cbor.encode([VERSION, self.log_size, self.everybody, groups])

    def sign(self, key: SigningKey, genesis: bytes) -> bytes:
        """The message as gateways get it."""
        return cose.sign1(self.encode(), key, cose.external_aad(REQUESTS, genesis))

    @classmethod
    def parse(cls, payload: bytes) -> "Requests":
        """Read a payload; FormatError for anything that is none. What is signed inside is not looked into."""
        version, log_size, everybody, rows = _array(payload, 4, REQUESTS_SIZE_MAX)
        _require(version == VERSION and _is_uint(log_size), "another version, or no size")
        _require(type(everybody) is bytes and type(rows) is list, "not bytes and an array")
        groups = tuple(map(_group, rows))
        devices = [device for _signed, devices in groups for device in devices]
        _require(len(set(devices)) == len(devices), "a device is in two groups")
        return cls(log_size, everybody, groups)

    def by_device(self) -> dict[bytes, bytes]:
        """The signed Asked of each device that is in a group."""
        return {device: signed for signed, devices in self.groups for device in devices}


def _ask(row: Any) -> Ask:
    _require(type(row) is list and len(row) == 3, "a window is an array of three")
    start_s, end_s, kind = row
    _require(_is_uint(start_s) and _is_uint(end_s), "times are unsigned integers")
    _require(0 < end_s - start_s <= ASK_S_MAX, "a window lasts twelve hours at most")
    _require(type(kind) is int and kind in (PEAK, SURPLUS), "neither peak nor surplus")
    return Ask(start_s, end_s, kind == PEAK)


def _group(row: Any) -> tuple[bytes, tuple[bytes, ...]]:
    _require(type(row) is list and len(row) == 2, "a group is an array of two")
    signed, devices = row
    _require(type(signed) is bytes and type(devices) is list, "not bytes and an array")
    _require(all(type(device) is bytes and len(device) == ID_SIZE for device in devices), "a device id is 16 bytes")
    _require(_ascend(devices), "the devices are not in order, or none")
    return signed, tuple(devices)


def _ascend(devices: Sequence[bytes]) -> bool:
    return bool(devices) and list(devices) == sorted(set(devices))


def _array(payload: bytes, size: int, size_max: int) -> list[Any]:
    value = cbor.decode(payload, size_max=size_max)
    _require(type(value) is list and len(value) == size and type(value[0]) is int, f"not an array of {size}")
    return list(value)


def _is_uint(value: object) -> bool:
    return type(value) is int and 0 <= value <= INT64_MAX


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise FormatError("malformed", otherwise)
