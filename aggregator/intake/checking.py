"""Stage "verify": form, device, standing and signature of blocks, and what evidence and settlement take from them.

Values in, values out, so that it runs in this process or in others (aggregator/intake/workers.py). Usual blocks are
read as columns (commonwatt/block_columns.py), the others one by one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aggregator.intake import arrivals
from aggregator.intake.arrivals import Arrivals, Readings
from aggregator.intake.keys import HINT_END, Keys
from aggregator.intake.keys import NONE as NO_KEY
from commonwatt import block, block_columns, cose
from commonwatt.block import LINK_SIZE
from commonwatt.block_columns import Columns
from commonwatt.evidence_page import HASH_SIZE, Octets, names, octets
from commonwatt.identity import HINT_SIZE
from commonwatt.refusal import Refusal
from commonwatt.registry import Status, Verified, verify
from commonwatt.transport import sha256
from commonwatt.units import INTERVAL_S


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
        answer = _check_alone(blocks[row], keys)
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
    rows, good, hashes = columns.row.tolist(), [], []
    numbers = keys.find(columns.kid)
    known = np.flatnonzero(numbers != NO_KEY)
    public_keys = dict(zip(known.tolist(), names(keys.public_key[numbers[known]]), strict=True))
    revoked = set(known[keys.status[numbers[known]] == Status.REVOKED].tolist())
    for at, row in enumerate(rows):
        public_key = public_keys.get(at)
        if public_key is None:
            refused[row] = Refusal.UNKNOWN_DEVICE
        elif at in revoked:
            refused[row] = Refusal.REVOKED_DEVICE
        elif not _is_signed(blocks[row], public_key):
            refused[row] = Refusal.BAD_SIGNATURE
        else:
            good.append(at)
            hashes.append(sha256(blocks[row]))
    kept = np.array(good, dtype=np.int64)
    return [rows[at] for at in good], _arrivals(columns, kept, keys.device[numbers[kept]], hashes)


def _check_alone(signed: bytes, keys: Keys) -> Verified | Refusal:
    """One block that is read alone. Wherever a block is one, its hint is at the same place."""
    kid = signed[len(cose.HEAD) : HINT_END]
    number = int(keys.find(octets([kid], HINT_SIZE))[0]) if len(kid) == HINT_SIZE else NO_KEY
    known = [] if number == NO_KEY else [keys.record(number)]
    return verify(signed, known[0].device if known else b"", {record.device: record for record in known})


def _arrivals(columns: Columns, good: np.ndarray, devices: Octets, hashes: list[bytes]) -> Arrivals:
    count, start_s, step_s = columns.reading_count, columns.start_s[good], columns.step_s[good]
    times_s = start_s[:, None] + step_s[:, None] * np.arange(count)
    row, reading = np.nonzero(times_s % INTERVAL_S == 0)
    channels = len(columns.quantities)
    return Arrivals(
        device=devices,
        seq=columns.seq[good],
        prev=columns.prev[good],
        start_s=start_s,
        flags=columns.flags[good],
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
        flags=np.array([read.flags]),
        quantities=tuple(channel.quantity for channel in read.channels),
        energy_wh=np.array([[registers_wh for _time_s, registers_wh in read.readings()]]).swapaxes(1, 2),
    )
    return _arrivals(columns, np.zeros(1, dtype=np.int64), octets([verified.device]), [sha256(verified.signed)])


NONE = _arrivals(
    Columns(
        *(np.empty(0, dtype=np.int64), np.empty((0, HINT_SIZE), dtype=np.uint8), np.empty(0, dtype=np.int64)),
        *(np.empty((0, LINK_SIZE), dtype=np.uint8), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)),
        *(np.empty(0, dtype=np.int64), (), np.empty((0, 0, 1), dtype=np.int64)),
    ),
    np.empty(0, dtype=np.int64),
    octets([]),
    [],
)
"""No blocks."""
