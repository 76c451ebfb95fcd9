"""The leaves of prepared mint-runs as they are kept: pages of mints (docs/spec/pages.md)."""

from typing import Any

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from commonwatt import page
from commonwatt.identity import ID_SIZE
from commonwatt.page import ROWS_MAX, Column
from ledger.book.fields import HASH_SIZE
from ledger.book.mint_arrays import MintArrays

_INTEGERS = ("source", "energy_wh", "amount_mc", "association_mc", "lines")


def write(connection: sa.Connection, run_id: bytes, mints: MintArrays) -> None:
    """Keep the leaves of a run, in their order."""
    columns: dict[str, Column] = {
        "nonce": mints.nonces,
        "account": numbers.of(connection).of(connection, mints.account_ids),
        "source": mints.sources,
        "energy_wh": mints.energy_wh,
        "amount_mc": mints.amount_mc,
        "association_mc": mints.association_mc,
        "lines": mints.lines,
        "lines_root": mints.lines_roots,
    }
    rows = []
    for part, first in enumerate(range(0, len(mints), ROWS_MAX)):
        some = {name: column[first : first + ROWS_MAX] for name, column in columns.items()}
        rows.append({"run_id": run_id, "part": part, "columns": page.encode(some)})
    connection.execute(sa.insert(schema.run_page), rows)


def delete(connection: sa.Connection, run_id: bytes) -> None:
    """Take the leaves of a run away."""
    connection.execute(sa.delete(schema.run_page).where(schema.run_page.c.run_id == run_id))


def read(connection: sa.Connection, run: sa.Row[Any]) -> MintArrays:
    """The leaves of a row of the table `run`."""
    table = schema.run_page.c
    query = sa.select(table.columns).where(table.run_id == run.id).order_by(table.part)
    pages = [page.decode(data) for data in connection.execute(query).scalars()]
    columns = page.concatenate(pages, ("account", *_INTEGERS))
    nonces, roots = (
        np.concatenate([found[name] for found in pages] or [np.empty((0, size), dtype=np.uint8)])
        for name, size in (("nonce", ID_SIZE), ("lines_root", HASH_SIZE))
    )
    return MintArrays(
        nonces=nonces,
        account_ids=numbers.of(connection).ids(columns["account"]),
        sources=columns["source"],
        energy_wh=columns["energy_wh"],
        amount_mc=columns["amount_mc"],
        association_mc=columns["association_mc"],
        lines=columns["lines"],
        lines_roots=roots,
        window_start_s=run.window_start_s,
        window_end_s=run.window_end_s,
    )
