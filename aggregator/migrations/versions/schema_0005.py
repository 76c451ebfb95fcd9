"""Readings, settled states, claims, leaves and lines in pages of columns instead of a row each."""

from collections.abc import Iterable, Sequence
from typing import Any

import cbor2
import numpy as np
import sqlalchemy as sa
from alembic import op

from aggregator.evidence import store
from commonwatt import block, cose, page

revision = "0005"
down_revision = "0004"

_DEVICES_PER_CHUNK = 4096
_INTERVAL_S = 900
_WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_REGISTERS = (1, 2, 3)


def upgrade() -> None:
    """Make the pages, fill them, drop the tables."""
    _create()
    connection = op.get_bind()
    numbers = _number(connection)
    _readings(connection, numbers)
    _settled(connection, numbers)
    _claims(connection, numbers)
    _leaves(connection, numbers)
    _lines(connection, numbers)
    for name in ("reading", "settled", "claim", "run_mint", "mint_line"):
        op.drop_table(name)


def _create() -> None:
    def key(name: str) -> "sa.Column[int]":
        return sa.Column(name, _WHOLE, primary_key=True, nullable=False, autoincrement=False)

    def octets(name: str, *, primary_key: bool = False) -> "sa.Column[bytes]":
        return sa.Column(name, sa.LargeBinary, primary_key=primary_key, nullable=False)

    op.create_table("number", key("number"), octets("id"), sa.UniqueConstraint("id"))
    op.create_table(
        "reading_page",
        sa.Column("id", _WHOLE, primary_key=True, autoincrement=True),
        sa.Column("time_s", sa.BigInteger, nullable=False),
        octets("columns"),
        sqlite_autoincrement=True,
    )
    op.create_index("reading_page_by_time", "reading_page", ["time_s"])
    op.create_table("past_page", key("time_s"), key("chunk"), key("closing_s"), octets("columns"))
    op.create_table("settled_page", key("chunk"), octets("columns"))
    op.create_table("claim_page", key("closing_s"), key("part"), octets("columns"))
    op.create_table("run_page", octets("run_id", primary_key=True), key("part"), octets("columns"))
    op.create_table(
        "line_page",
        key("window_start_s"),
        octets("first_account", primary_key=True),
        octets("columns"),
        octets("block_sha256s"),
    )


def _number(connection: sa.Connection) -> dict[bytes, int]:
    """Every device that ever sent, and every account that ever earned."""
    earned = connection.exec_driver_sql("SELECT account FROM claim UNION SELECT account FROM mint_line").scalars()
    names = {*earned, *(kept.device for kept in store.all_blocks(connection))}
    numbers = {name: number for number, name in enumerate(sorted(names))}
    _insert(connection, "number", [{"number": number, "id": name} for name, number in numbers.items()])
    return numbers


def _readings(connection: sa.Connection, numbers: dict[bytes, int]) -> None:
    """Those that wait, by time; of the others what the evidence says."""
    waiting: dict[int, list[Any]] = {}
    rows = "SELECT time_s, device, seq, registers, received_s, evidence_id FROM reading ORDER BY time_s, device, seq"
    for time_s, device, seq, registers, received_s, evidence_id in connection.exec_driver_sql(rows).fetchall():
        row = (numbers[device], seq, received_s, evidence_id, 0, dict(cbor2.loads(registers)))
        waiting.setdefault(time_s, []).append(row)
    names = ("device", "seq", "received_s", "evidence_id", "flags")
    _insert(
        connection,
        "reading_page",
        [{"time_s": time_s, "columns": _encoded(names, some)} for time_s, some in waiting.items()],
    )
    waits = {(time_s, row[3]) for time_s, some in waiting.items() for row in some}
    past: dict[tuple[int, int], list[Any]] = {}
    closing_s = connection.exec_driver_sql("SELECT coalesce(max(end_s), 0) FROM closing").scalar()
    for kept in store.all_blocks(connection):
        if not kept.signed:
            continue
        read = block.parse(cose.parse1(kept.signed, size_max=block.SIGNED_SIZE_MAX).payload)
        quantities = [channel.quantity for channel in read.channels]
        number = numbers[kept.device]
        for time_s, values in read.readings():
            if time_s % _INTERVAL_S == 0 and (time_s, kept.id) not in waits:
                known = (number, kept.seq, kept.id, dict(zip(quantities, values, strict=True)))
                past.setdefault((time_s, number // _DEVICES_PER_CHUNK), []).append(known)
    _insert(
        connection,
        "past_page",
        [
            {
                "time_s": time_s,
                "chunk": chunk,
                "closing_s": closing_s,
                "columns": _encoded(("device", "seq", "evidence_id"), some),
            }
            for (time_s, chunk), some in past.items()
        ],
    )


def _settled(connection: sa.Connection, numbers: dict[bytes, int]) -> None:
    chunks: dict[int, list[Any]] = {}
    for device, time_s, registers, first_time_s, first in connection.exec_driver_sql(
        "SELECT device, time_s, registers, first_time_s, first_registers FROM settled ORDER BY device"
    ).fetchall():
        kept = (dict(cbor2.loads(registers)), dict(cbor2.loads(first)))
        chunks.setdefault(numbers[device] // _DEVICES_PER_CHUNK, []).append(
            (numbers[device], time_s, first_time_s, *kept)
        )
    names = ("device", "time_s", "first_time_s")
    _insert(
        connection,
        "settled_page",
        [{"chunk": chunk, "columns": _encoded(names, some, "first_")} for chunk, some in chunks.items()],
    )


def _claims(connection: sa.Connection, numbers: dict[bytes, int]) -> None:
    names = ("device", "start_s", "end_s", "source", "revision", "energy_wh", "amount_mc", "account", "evidence_id")
    closings: dict[int, list[Any]] = {}
    for closing_s, device, *middle, account, evidence_id in connection.exec_driver_sql(
        "SELECT closing_s, device, start_s, end_s, source, revision, energy_wh, amount_mc, account, evidence_id"
        " FROM claim ORDER BY closing_s, device, start_s, source, revision"
    ).fetchall():
        closings.setdefault(closing_s, []).append((numbers[device], *middle, numbers[account], evidence_id))
    _insert(
        connection,
        "claim_page",
        [{"closing_s": at, "part": 0, "columns": _encoded(names, some)} for at, some in closings.items()],
    )


def _leaves(connection: sa.Connection, numbers: dict[bytes, int]) -> None:
    runs: dict[bytes, list[Any]] = {}
    rows = connection.exec_driver_sql("SELECT run_id, leaf FROM run_mint ORDER BY run_id, position").fetchall()
    for run_id, leaf in rows:
        _version, _kind, nonce, account, source, _start_s, _end_s, *amounts, root = cbor2.loads(leaf)
        runs.setdefault(run_id, []).append((nonce, numbers[account], source, *amounts, root))
    names = ("nonce", "account", "source", "energy_wh", "amount_mc", "association_mc", "lines", "lines_root")
    _insert(
        connection,
        "run_page",
        [{"run_id": run_id, "part": 0, "columns": _encoded(names, some)} for run_id, some in runs.items()],
    )


def _lines(connection: sa.Connection, numbers: dict[bytes, int]) -> None:
    """One page a window: whoever upgrades is a pilot."""
    names = ("account", "source", "salt", "device", "start_s", "end_s", "revision", "energy_wh", "amount_mc", "block")
    windows: dict[int, list[Any]] = {}
    blocks: dict[int, dict[bytes, int]] = {}
    first: dict[int, bytes] = {}
    for window_s, account, source, salt, device, *figures, sha256 in connection.exec_driver_sql(
        "SELECT window_start_s, account, source, salt, device, start_s, end_s, revision, energy_wh, amount_mc,"
        " block_sha256 FROM mint_line ORDER BY window_start_s, account, source, position"
    ).fetchall():
        first.setdefault(window_s, account)
        known = blocks.setdefault(window_s, {})
        place = known.setdefault(sha256, len(known))
        row = (numbers[account], source, salt, numbers[device], *figures, place)
        windows.setdefault(window_s, []).append(row)
    _insert(
        connection,
        "line_page",
        [
            {
                "window_start_s": window_s,
                "first_account": first[window_s],
                "columns": _encoded(names, some),
                "block_sha256s": b"".join(blocks[window_s]),
            }
            for window_s, some in windows.items()
        ],
    )


def _encoded(names: Sequence[str], rows: Sequence[Sequence[Any]], second: str = "") -> bytes:
    """Rows as a page: the named columns, then dictionaries of registers."""
    columns: dict[str, Any] = {}
    for name, values in zip(names, zip(*rows, strict=True), strict=False):
        if isinstance(values[0], bytes):
            columns[name] = np.frombuffer(b"".join(values), dtype=np.uint8).reshape(len(values), -1)
        else:
            columns[name] = np.array(values, dtype=np.int64)
    for at, prefix in zip(range(len(names), len(rows[0])), ("", second), strict=False):
        for quantity in _REGISTERS:
            registers_wh = [row[at].get(quantity, page.UNKNOWN) for row in rows]
            if any(wh != page.UNKNOWN for wh in registers_wh):
                columns[f"{prefix}{quantity}"] = np.array(registers_wh, dtype=np.int64)
    return page.encode(columns)


def _insert(connection: sa.Connection, table: str, rows: Iterable[dict[str, Any]]) -> None:
    found = list(rows)
    if found:
        names = ", ".join(found[0])
        places = ", ".join(f":{name}" for name in found[0])
        connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({places})"), found)  # noqa: S608
