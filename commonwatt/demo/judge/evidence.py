"""The aggregator's database, opened read-only: the evidence as received, and what it was concluded from.

Blocks are checked and read here from docs/spec/block.cddl: signature, chain, registers.
"""

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from commonwatt.demo.judge.book import Device
from commonwatt.demo.judge.columns import read_page
from commonwatt.demo.judge.declared import Declared
from commonwatt.demo.judge.pages import read_blocks
from commonwatt.demo.judge.report import Findings
from commonwatt.demo.judge.signatures import UnreadableError, read_cbor, read_signed

REGISTER_REPLACED = 4  # a flag of a block
INCREMENT_SIZES = {64: 1, 69: 2, 70: 4}  # RFC 8746: uint8, uint16 and uint32, little-endian


@dataclass(frozen=True, slots=True)
class Reading:
    """The registers of a device at one time (by quantity, Wh), and the evidence that gave them."""

    time_s: int
    registers_wh: Mapping[int, int]
    evidence_id: int
    seq: int
    received_s: int
    block_sha256: bytes
    is_replaced: bool = False  # the first at a multiple of 900 s in a block whose flags say that the register is new


@dataclass(frozen=True, slots=True)
class Closing:
    """One closed interval `[end_s − 900, end_s)` and what was known when it closed."""

    end_s: int
    evidence_id_max: int
    conflict_id_max: int
    figures: tuple[int, int, int, int]  # supply, demand, matched, unallocated, in Wh
    log_size: int = 0  # how many entries of the log were known


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the judge takes from aggregator.db. Rows of conclusions stay as the database has them."""

    readings: Mapping[bytes, list[Reading]]
    blocks: int
    received: list[tuple[int, int]]  # id and civil time of receipt of every block
    missing_blocks: int
    closings: list[Closing]
    frozen_from: Mapping[bytes, int]
    claims: list[tuple[Any, ...]]
    held: list[tuple[Any, ...]]
    mint_lines: list[tuple[Any, ...]]
    told: list[tuple[Any, ...]]
    declared: list[Declared]
    weather: Mapping[tuple[str, int], int]  # tenths of a degree by station and day, 1 being 0001-01-01


def read_evidence(path: Path, devices: Mapping[bytes, Device], findings: Findings) -> Evidence:
    """Read the database and check every block in it."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        rows = read_blocks(database)
        closings = _rows(
            database,
            "SELECT end_s, evidence_id_max, conflict_id_max, supply_wh, demand_wh, matched_wh, unallocated_wh,"
            " log_size FROM closing ORDER BY end_s",
        )
        frozen = _rows(database, "SELECT device, MIN(id) FROM conflict GROUP BY device")
        held = _rows(database, "SELECT device, start_s, end_s, reason, energy_wh, closing_s FROM held")
        names = dict(_rows(database, "SELECT number, id FROM number"))
        claims = _claims(database, names)
        lines = _lines(database, names)
        told = _rows(
            database,
            "SELECT source, site, start_s, revision, end_s, reason, expected_wh, used_wh, credited_wh, held_wh,"
            " closing_s FROM told",
        )
        declared = [
            Declared(*row)
            for row in _rows(
                database,
                "SELECT site, from_s, installed_wp, contracted_va, latitude, longitude, tilt_deg, azimuth_deg,"
                " storage_wh FROM declared ORDER BY from_s",
            )
        ]
        weather = {(row[0], row[1]): row[2] for row in _rows(database, "SELECT station, day, mean_dc FROM weather")}
    database.close()
    ends_s = [row[0] for row in closings]
    sizes = [row[7] for row in closings]
    findings.expect("closings that knew less of the log than the one before", sorted(sizes), sizes)
    findings.expect("intervals closed out of turn", [], [b for a, b in pairwise(ends_s) if b != a + 900])
    return Evidence(
        _read_blocks(rows, devices, findings),
        len(rows),
        sorted((row[0], row[4]) for row in rows),
        _check_chains(rows, findings),
        [Closing(row[0], row[1], row[2], tuple(row[3:7]), row[7]) for row in closings],
        dict(frozen),
        claims,
        held,
        lines,
        told,
        declared,
        weather,
    )


def _rows(database: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
    return database.execute(query).fetchall()


def _claims(database: sqlite3.Connection, names: Mapping[int, bytes]) -> list[tuple[Any, ...]]:
    """Device, start, end, source, revision, energy, amount, account and closing of every claim."""
    pages = _rows(database, "SELECT closing_s, columns FROM claim_page")
    figures = ("start_s", "end_s", "source", "revision", "energy_wh", "amount_mc")
    return [
        (names[row["device"]], *(row[name] for name in figures), names[row["account"]], closing_s)
        for closing_s, data in pages
        for row in read_page(data)
    ]


def _lines(database: sqlite3.Connection, names: Mapping[int, bytes]) -> list[tuple[Any, ...]]:
    """Start of the window, account and source, then the line as it is hashed, in the order of the pages."""
    query = "SELECT window_start_s, columns, block_sha256s FROM line_page ORDER BY window_start_s, first_account"
    figures = ("start_s", "end_s", "revision", "energy_wh", "amount_mc")
    return [
        (
            *(window_s, names[row["account"]], row["source"], row["salt"], names[row["device"]]),
            *(*(row[name] for name in figures), digests[32 * row["block"] : 32 * row["block"] + 32]),
        )
        for window_s, data, digests in _rows(database, query)
        for row in read_page(data)
    ]


def _read_blocks(
    rows: list[tuple[Any, ...]], devices: Mapping[bytes, Device], findings: Findings
) -> dict[bytes, list[Reading]]:
    """Every reading of every block, by device, in the order of seq."""
    readings: dict[bytes, list[Reading]] = defaultdict(list)
    for evidence_id, device, seq, sha256, received_s, signed in rows:
        where = f"evidence {evidence_id} of {device.hex()[:8]}, seq {seq}"
        if not signed:
            continue  # deleted: its hash is left
        try:
            message = read_signed(signed)
            block_seq, flags, registers = _read_block(message.payload)
        except (UnreadableError, ValueError, TypeError, KeyError) as error:
            findings.expect(where, "a block", str(error))
            continue
        findings.expect(f"{where}: hash", hashlib.sha256(signed).digest(), sha256)
        findings.expect(f"{where}: its own seq", seq, block_seq)
        by_device = device in devices and message.is_by(devices[device].public_key, "block")
        findings.expect(f"{where}: signed by the admitted device", True, by_device)
        for time_s, registers_wh in registers:
            is_replaced = bool(flags & REGISTER_REPLACED) and time_s == _first_whole(registers)
            place = (evidence_id, seq, received_s, sha256)
            readings[device].append(Reading(time_s, registers_wh, *place, is_replaced))
    return dict(readings)


def _first_whole(registers: list[tuple[int, dict[int, int]]]) -> int | None:
    """The time of the first reading at a multiple of 900 s."""
    return next((time_s for time_s, _ in registers if time_s % 900 == 0), None)


def _read_block(payload: bytes) -> tuple[int, int, list[tuple[int, dict[int, int]]]]:
    """The block's seq and flags, and time and registers at its start and after every step."""
    value: Any = read_cbor(payload)
    version, seq, _prev, start_s, step_s, flags, channels = value
    if version != 1:
        raise UnreadableError(f"version {version}")
    registers = {quantity: base_wh for quantity, base_wh, _ in channels}
    growths = {quantity: _increments(typed_array) for quantity, _, typed_array in channels}
    readings = [(start_s, dict(registers))]
    for step, growth in enumerate(zip(*growths.values(), strict=True)):
        for quantity, growth_wh in zip(growths, growth, strict=True):
            registers[quantity] += growth_wh
        readings.append((start_s + (step + 1) * step_s, dict(registers)))
    return seq, flags, readings


def _increments(typed_array: Any) -> list[int]:
    size, data = INCREMENT_SIZES[typed_array.tag], typed_array.value
    return [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]


def _check_chains(rows: list[tuple[Any, ...]], findings: Findings) -> int:
    """Each block names the one before it, also a frozen device's; answers how many blocks never came."""
    missing = 0
    before: tuple[bytes, int, bytes] = (b"", -1, bytes(16))
    for evidence_id, device, seq, sha256, _received_s, signed in rows:
        if device != before[0]:
            before = (device, -1, bytes(16))
        missing += seq - before[1] - 1
        if seq == before[1] + 1 and signed:
            prev = _prev(signed)
            findings.expect(f"evidence {evidence_id} of {device.hex()[:8]}, seq {seq}: prev", before[2], prev)
        before = (device, seq, sha256[:16])
    return missing


def _prev(signed: bytes) -> object:
    try:
        value: Any = read_cbor(read_signed(signed).payload)
        return value[2]
    except (UnreadableError, IndexError, TypeError):
        return "unreadable"
