"""The registry snapshot: which devices a gateway may believe. Bytes: docs/spec/transport.cddl.

The aggregator derives it from the log's first `log_size` entries and signs it; a gateway checks blocks
against it before it spools them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from commonwatt import block, cbor, cose
from commonwatt.errors import FormatError
from commonwatt.identity import ID_SIZE, KEY_SIZE
from commonwatt.refusal import Refusal
from commonwatt.units import INT64_MAX

VERSION = 1
SIZE_MAX = 4 * 1024 * 1024


class Status(IntEnum):
    """Where a device stands with the commune."""

    ACTIVE = 0
    SUSPENDED = 1
    REVOKED = 2


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """One admitted device: its key, where it stands, and the power that its readings must stay below."""

    device: bytes
    public_key: bytes
    status: Status
    rated_power_w: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The devices of a commune by id, as the log's first `log_size` entries left them."""

    log_size: int
    devices: dict[bytes, DeviceRecord]

    @classmethod
    def of(cls, log_size: int, devices: Iterable[DeviceRecord]) -> "Snapshot":
        """A snapshot of these records."""
        return cls(log_size, {record.device: record for record in devices})

    def encode(self) -> bytes:
        """The payload that the aggregator signs."""
        rows = [
            [r.device, r.public_key, int(r.status), r.rated_power_w]
            for r in sorted(self.devices.values(), key=lambda record: record.device)
        ]
        return cbor.encode([VERSION, self.log_size, rows])

    @classmethod
    def parse(cls, payload: bytes) -> "Snapshot":
        """Read a payload; FormatError for anything that is not a registry."""
        value = cbor.decode(payload, size_max=SIZE_MAX)
        try:
            version, log_size, rows = value
            if not (type(value) is list and type(version) is int and type(rows) is list):
                raise TypeError("not an array of a version, a size and an array")
            records = [_parse_device(row) for row in rows]
        except (TypeError, ValueError) as error:
            raise FormatError("malformed", f"not a registry: {error}") from error
        ids = [record.device for record in records]
        if version != VERSION or not _is_uint(log_size) or ids != sorted(set(ids)):
            raise FormatError("malformed", "another version, or the devices are not in order")
        return cls.of(log_size, records)


@dataclass(frozen=True, slots=True)
class Verified:
    """A block whose device, key and signature were checked; `signed` are the bytes as received."""

    device: bytes
    signed: bytes
    block: block.Block


def verify(signed: bytes, device: bytes, devices: Mapping[bytes, DeviceRecord]) -> Verified | Refusal:
    """Check one block of a known sender, in the documented order; the first failing check is the answer."""
    return _verify(signed, lambda _hint: device, devices)


def verify_by_hint(
    signed: bytes, device_by_hint: Mapping[bytes, bytes], devices: Mapping[bytes, DeviceRecord]
) -> Verified | Refusal:
    """The same for a block whose sender is told by its key's hint alone; hints are unique in a commune."""
    return _verify(signed, lambda hint: device_by_hint.get(hint, b""), devices)


def _verify(
    signed: bytes, device_of: Callable[[bytes], bytes], devices: Mapping[bytes, DeviceRecord]
) -> Verified | Refusal:
    try:
        message = cose.parse1(signed, size_max=block.SIGNED_SIZE_MAX)
        parsed = block.parse(message.payload)
    except FormatError as error:
        return REFUSAL_BY_REASON[error.reason]
    record = devices.get(device_of(message.kid))
    if record is None:
        return Refusal.UNKNOWN_DEVICE
    if record.status is Status.REVOKED:
        return Refusal.REVOKED_DEVICE
    if not message.is_signed_by(record.public_key, block.AAD):
        return Refusal.BAD_SIGNATURE
    return Verified(record.device, signed, parsed)


REFUSAL_BY_REASON = {
    "too-large": Refusal.TOO_LARGE,
    "malformed": Refusal.MALFORMED,
    "not-canonical": Refusal.NOT_CANONICAL,
}
"""What a FormatError of a block means to its sender."""


def _parse_device(row: Any) -> DeviceRecord:
    if type(row) is not list:
        raise ValueError("a device is an array")
    device, public_key, status, rated_power_w = row
    if type(device) is not bytes or len(device) != ID_SIZE:
        raise ValueError("a device id is 16 bytes")
    if type(public_key) is not bytes or len(public_key) != KEY_SIZE:
        raise ValueError("a public key is 32 bytes")
    if type(status) is not int:
        raise ValueError("a status is an integer")
    if not _is_uint(rated_power_w):
        raise ValueError("rated_power_w is an unsigned integer")
    return DeviceRecord(device, public_key, Status(status), rated_power_w)


def _is_uint(value: object) -> bool:
    return type(value) is int and 0 <= value <= INT64_MAX
