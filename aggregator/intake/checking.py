"""Stage "verify": form, device, standing and signature of blocks, and what evidence and settlement take from them.

Values in, values out, so that it runs in this process or in others (aggregator/intake/workers.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from aggregator.settling import registers
from commonwatt.block import Block
from commonwatt.identity import key_hint
from commonwatt.refusal import Refusal
from commonwatt.registry import DeviceRecord, verify_by_hint
from commonwatt.transport import sha256
from commonwatt.units import INTERVAL_S


class Checked(NamedTuple):
    """A block that is what it says. A plain tuple, because thousands a second cross from one process to another.

    `readings`: time and stored registers of those that settlement looks at. `reading_count`: of all.
    """

    device: bytes
    seq: int
    prev: bytes
    start_s: int
    end_s: int
    sha256: bytes
    reading_count: int
    readings: tuple[tuple[int, bytes], ...]


class Keys(NamedTuple):
    """Who may sign blocks. `device_by_hint`: hints of COSE messages are unique among all keys of a ledger."""

    device_by_hint: Mapping[bytes, bytes]
    devices: dict[bytes, DeviceRecord]

    @classmethod
    def of(cls, devices: Iterable[DeviceRecord]) -> "Keys":
        """The keys of these devices."""
        by_id = {record.device: record for record in devices}
        return cls({key_hint(record.public_key): device for device, record in by_id.items()}, by_id)


def check(blocks: Sequence[bytes], keys: Keys) -> list[Checked | Refusal]:
    """Each block, or the first failing check in the documented order."""
    return [_check(signed, keys) for signed in blocks]


def _check(signed: bytes, keys: Keys) -> Checked | Refusal:
    answer = verify_by_hint(signed, keys.device_by_hint, keys.devices)
    if isinstance(answer, Refusal):
        return answer
    block = answer.block
    return Checked(
        answer.device,
        block.seq,
        block.prev,
        block.start_s,
        block.end_s,
        sha256(signed),
        len(block.channels[0].increments_wh) + 1,
        _readings(block),
    )


def _readings(block: Block) -> tuple[tuple[int, bytes], ...]:
    quantities = [channel.quantity for channel in block.channels]
    return tuple(
        (time_s, registers.encode_ascending(quantities, registers_wh))
        for time_s, registers_wh in block.readings()
        if time_s % INTERVAL_S == 0
    )
