"""The lines behind mints as they are kept: pages of lines by account (docs/spec/pages.md)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.minting.valuation_columns import Window
from commonwatt import page
from commonwatt.page import Column, Integers

LINES_PER_PAGE = 4096
"""Lines of one page at least, but for the last: a proof reads one page, whoever it is for."""


def write(connection: sa.Connection, window: Window) -> None:
    """Keep the lines of a window."""
    known, lines = numbers.of(connection), window.lines
    columns: dict[str, Column] = {
        "account": window.line_accounts,
        "source": window.line_sources,
        "salt": lines.salts,
        "device": window.line_devices,
        "start_s": lines.starts_s,
        "end_s": lines.ends_s,
        "revision": lines.revisions,
        "energy_wh": lines.energy_wh,
        "amount_mc": lines.amount_mc,
    }
    rows = []
    for first, end in _cuts(window.line_accounts):
        _ids, at, block = np.unique(window.line_evidence[first:end], return_index=True, return_inverse=True)
        some = {name: column[first:end] for name, column in columns.items()}
        (account,) = known.names(window.line_accounts[first : first + 1])
        rows.append(
            {
                "window_start_s": window.mints.window_start_s,
                "first_account": account,
                "columns": page.encode({**some, "block": block.astype(np.int64)}),
                "block_sha256s": lines.block_sha256s[first:end][at].tobytes(),
            }
        )
    connection.execute(sa.insert(schema.line_page), rows)


def read(connection: sa.Connection, window_start_s: int) -> Iterator[dict[str, Any]]:
    """The columns of each page of a window's lines; devices and accounts are numbers."""
    table = schema.line_page.c
    query = sa.select(table.columns).where(table.window_start_s == window_start_s).order_by(table.first_account)
    for data in connection.execute(query).scalars():
        yield page.decode(data)


def _cuts(accounts: Integers) -> Iterator[tuple[int, int]]:
    """First line and end of each page; lines of one account stay together."""
    begins = np.flatnonzero(np.r_[True, accounts[1:] != accounts[:-1]])
    first = 0
    while first < len(accounts):
        at = np.searchsorted(begins, first + LINES_PER_PAGE)
        end = int(begins[at]) if at < len(begins) else len(accounts)
        yield first, end
        first = end
