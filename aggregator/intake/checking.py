"""Stage "verify": form, device, standing and signature of blocks, and what evidence and settlement take from them.

Values in, values out, so that it runs in this process or in others (aggregator/intake/workers.py). Usual blocks are
read as columns (commonwatt/block_columns.py), the others one by one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from aggregator.intake import arrivals
from aggregator.intake.arrivals import Arrivals, Readings
from commonwatt import block, block_columns, cose
from commonwatt.block import LINK_SIZE
from commonwatt.block_columns import Columns
from commonwatt.evidence_page import HASH_SIZE, octets
from commonwatt.identity import HINT_SIZE, ID_SIZE, key_hint
from commonwatt.refusal import Refusal
from commonwatt.registry import DeviceRecord, Status, Verified, verify_by_hint
from commonwatt.transport import sha256
from commonwatt.units import INTERVAL_S


class Keys(NamedTuple):
    """Who may sign blocks. `device_by_hint`: hints of COSE messages are unique among all keys of a ledger."""

    device_by_hint: Mapping[bytes, bytes]
    devices: dict[bytes, DeviceRecord]

    @classmethod
    def of(cls, devices: Iterable[DeviceRecord]) -> "Keys":
        """The keys of these devices."""
        by_id = {record.device: record for record in devices}
        return cls({key_hint(record.public_key): device for device, record in by_id.items()}, by_id)


class Checked(NamedTuple):
    """What blocks are. `row`: for each of the arrivals, which block it is; `refused`: the other blocks by number,
    with the first failing check in the documented order."""

    row: list[int]
    arrivals: Arrivals
    refused: dict[int, Refusal]


def check(blocks: Sequence[bytes], keys: Keys) -> Checked:
    """Check blocks; arrivals are in their order."""
    refused: dict[int, Refusal] = {}
    parts, others = block_columns.read(blocks)
    rows: list[int] = []
    found: list[Arrivals] = []
    for columns in parts:
        good, part = _check_alike(blocks, columns, keys, refused)
        rows += good
        found.append(part)
    for row in others:
        answer = verify_by_hint(blocks[row], keys.device_by_hint, keys.devices)
        if isinstance(answer, Refusal):
            refused[row] = answer
        else:
            rows.append(row)
            found.append(_arrival(answer))
    if not rows:
        return Checked([], NONE, refused)
    order = np.argsort(rows, kind="stable")
    return Checked(sorted(rows), arrivals.take(arrivals.concatenate(found), order), refused)


_is_signed = cose.whole_verifier(block.AAD)


def _check_alike(
    blocks: Sequence[bytes], columns: Columns, keys: Keys, refused: dict[int, Refusal]
) -> tuple[list[int], Arrivals]:
    """Who signed blocks of one layout, and whether."""
    rows, good, devices, hashes = columns.row.tolist(), [], [], []
    hints = np.ascontiguousarray(columns.kid).view(f"V{HINT_SIZE}").ravel().tolist()
    for at, (row, hint) in enumerate(zip(rows, hints, strict=True)):
        record = keys.devices.get(keys.device_by_hint.get(hint, b""))
        if record is None:
            refused[row] = Refusal.UNKNOWN_DEVICE
        elif record.status is Status.REVOKED:
            refused[row] = Refusal.REVOKED_DEVICE
        elif not _is_signed(blocks[row], record.public_key):
            refused[row] = Refusal.BAD_SIGNATURE
        else:
            good.append(at)
            devices.append(record.device)
            hashes.append(sha256(blocks[row]))
    return [rows[at] for at in good], _arrivals(columns, np.array(good, dtype=np.int64), devices, hashes)


def _arrivals(columns: Columns, good: np.ndarray, devices: list[bytes], hashes: list[bytes]) -> Arrivals:
    count, start_s, step_s = columns.reading_count, columns.start_s[good], columns.step_s[good]
    times_s = start_s[:, None] + step_s[:, None] * np.arange(count)
    row, reading = np.nonzero(times_s % INTERVAL_S == 0)
    channels = len(columns.quantities)
    return Arrivals(
        device=octets(devices, ID_SIZE),
        seq=columns.seq[good],
        prev=columns.prev[good],
        start_s=start_s,
        end_s=start_s + step_s * (count - 1),
        sha256=octets(hashes, HASH_SIZE),
        reading_count=np.full(len(good), count),
        readings=Readings(
            row=np.repeat(row, channels),
            time_s=np.repeat(times_s[row, reading], channels),
            quantity=np.tile(np.array(columns.quantities, dtype=np.int64), len(row)),
            energy_wh=columns.energy_wh[good][row, :, reading].ravel(),
        ),
    )


def _arrival(verified: Verified) -> Arrivals:
    """The same of one block that was read alone."""
    read = verified.block
    columns = Columns(
        row=np.zeros(1, dtype=np.int64),
        kid=np.empty((1, HINT_SIZE), dtype=np.uint8),
        seq=np.array([read.seq]),
        prev=octets([read.prev], LINK_SIZE),
        start_s=np.array([read.start_s]),
        step_s=np.array([read.step_s]),
        quantities=tuple(channel.quantity for channel in read.channels),
        energy_wh=np.array([[registers_wh for _time_s, registers_wh in read.readings()]]).swapaxes(1, 2),
    )
    return _arrivals(columns, np.zeros(1, dtype=np.int64), [verified.device], [sha256(verified.signed)])


NONE = _arrivals(
    Columns(
        *(np.empty(0, dtype=np.int64), np.empty((0, HINT_SIZE), dtype=np.uint8), np.empty(0, dtype=np.int64)),
        *(np.empty((0, LINK_SIZE), dtype=np.uint8), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)),
        *((), np.empty((0, 0, 1), dtype=np.int64)),
    ),
    np.empty(0, dtype=np.int64),
    [],
    [],
)
"""No blocks."""
