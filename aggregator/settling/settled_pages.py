"""How far devices are settled, kept in pages of devices whose numbers follow each other: the table `settled_page`."""

from collections.abc import Iterator

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.settling.open_readings import DEVICES_PER_CHUNK, REGISTERS
from aggregator.settling.settlement import Settled
from aggregator.settling.settlement_columns import NOT_BEGUN, Accounts
from aggregator.sql import upsert
from commonwatt import page
from commonwatt.lookup import distinct
from commonwatt.page import UNKNOWN, Integers

_FIRST = "first_"
_TIMES = ("device", "time_s", "first_time_s")
_NAMES = (*_TIMES, *REGISTERS, *(_FIRST + name for name in REGISTERS))


def load(connection: sa.Connection, devices: Integers) -> Accounts:
    """The accounts of every device in the chunks of some devices, and of those that have none yet."""
    chunks = distinct(devices // DEVICES_PER_CHUNK).tolist()
    table = schema.settled_page.c
    query = sa.select(table.columns).where(table.chunk == sa.bindparam("chunk"))
    pages = [data for chunk in chunks for data in connection.execute(query, {"chunk": chunk}).scalars()]
    kept = page.concatenate([page.decode(data) for data in pages], _NAMES)
    everyone = np.union1d(kept["device"], devices)
    at = np.searchsorted(everyone, kept["device"])

    def column(name: str, missing: int) -> Integers:
        values = np.full(len(everyone), missing)
        values[at] = kept[name]
        return values

    return Accounts(
        everyone,
        column("time_s", NOT_BEGUN),
        column("first_time_s", NOT_BEGUN),
        {int(name): column(name, UNKNOWN) for name in REGISTERS},
        {int(name): column(_FIRST + name, UNKNOWN) for name in REGISTERS},
    )


def save(connection: sa.Connection, accounts: Accounts) -> None:
    """Keep accounts that `load` gave, changed."""
    chunks = accounts.devices // DEVICES_PER_CHUNK
    columns = {"device": accounts.devices, "time_s": accounts.times_s, "first_time_s": accounts.first_times_s}
    for prefix, registers_wh in (("", accounts.registers_wh), (_FIRST, accounts.first_wh)):
        for quantity, values in registers_wh.items():
            if (values != UNKNOWN).any():
                columns[f"{prefix}{quantity}"] = values
    begins = np.flatnonzero(np.r_[True, chunks[1:] != chunks[:-1]]).tolist()
    rows = [
        {
            "chunk": int(chunks[first]),
            "columns": page.encode({name: column[first:last] for name, column in columns.items()}),
        }
        for first, last in zip(begins, [*begins[1:], len(chunks)], strict=True)
    ]
    connection.execute(upsert(schema.settled_page), rows)


def first_settled(connection: sa.Connection, count: int) -> list[Settled]:
    """Some devices' accounts: those with the smallest numbers, `count` at most."""
    known, found = numbers.of(connection), list[Settled]()
    table = schema.settled_page.c
    for data in connection.execute(sa.select(table.columns).order_by(table.chunk)).scalars():
        found += _rows(page.decode(data), known)
        if len(found) >= count:
            break
    return found[:count]


def _rows(columns: dict[str, Integers], known: numbers.Numbers) -> Iterator[Settled]:
    for row, device in enumerate(known.names(columns["device"])):
        now_wh, first_wh = (
            {
                int(name): int(columns[prefix + name][row])
                for name in REGISTERS
                if prefix + name in columns and columns[prefix + name][row] != UNKNOWN
            }
            for prefix in ("", _FIRST)
        )
        yield Settled(device, int(columns["time_s"][row]), now_wh, int(columns["first_time_s"][row]), first_wh)
