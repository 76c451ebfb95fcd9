"""The lines behind mints as they are kept: pages of lines by account (docs/spec/pages.md)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.evidence import store
from aggregator.minting.valuation_columns import Window
from aggregator.settling.claim_pages import Claims
from commonwatt import page
from commonwatt.page import Column, Integers, Octets
from ledger.book.fields import HASH_SIZE

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


def of_account(connection: sa.Connection, account: int, after_s: int) -> Iterator[tuple[Claims, Octets]]:
    """The lines of an account (a number) in the windows that ended after a time, window by window, each with the hash
    of its block (n, 32)."""
    run = schema.run.c
    (name,) = numbers.of(connection).names(np.array([account]))
    windows = sa.select(run.window_start_s, run.window_end_s).where(run.window_end_s > after_s).distinct()
    for start_s, end_s in connection.execute(windows.order_by(run.window_start_s)).all():
        found = in_window(connection, start_s, name, account, end_s)
        if found is not None:
            yield found


def in_window(
    connection: sa.Connection, start_s: int, name: bytes, account: int, end_s: int
) -> tuple[Claims, Octets] | None:
    """The lines of an account (its id and its number) in the window of these times, in their order, each with the
    hash of its block (n, 32). One page is read, whoever it is for. None: there is no such window."""
    table = schema.line_page.c
    query = sa.select(table.columns, table.block_sha256s).where(
        table.window_start_s == start_s, table.first_account <= name
    )
    found = connection.execute(query.order_by(table.first_account.desc()).limit(1)).one_or_none()
    if found is None:
        return None
    columns = page.decode(found.columns)
    mine = columns["account"] == account
    hashes = np.frombuffer(found.block_sha256s, dtype=np.uint8).reshape(-1, HASH_SIZE)
    count = int(mine.sum())
    names = ("device", "start_s", "end_s", "source", "revision", "energy_wh", "amount_mc", "account")
    whole = [np.zeros(count, dtype=np.int64), np.full(count, end_s)]
    return Claims(*(columns[column][mine] for column in names), *whole), hashes[columns["block"][mine]]


def digests(connection: sa.Connection, evidence_ids: Integers, proofs: Sequence[bytes]) -> Octets:
    """SHA-256 of the blocks with these ids (n, 32); of id −n it is `proofs[n − 1]`."""
    wanted, at = np.unique(evidence_ids, return_inverse=True)
    found = store.hashes(connection, wanted[wanted > 0].tolist())
    found |= {-number: proof for number, proof in enumerate(proofs, 1)}
    hashes: Octets = numbers.octets((found[evidence_id] for evidence_id in wanted.tolist()), HASH_SIZE)[at]
    return hashes


def _cuts(accounts: Integers) -> Iterator[tuple[int, int]]:
    """First line and end of each page; lines of one account stay together."""
    begins = np.flatnonzero(np.r_[True, accounts[1:] != accounts[:-1]])
    first = 0
    while first < len(accounts):
        at = np.searchsorted(begins, first + LINES_PER_PAGE)
        end = int(begins[at]) if at < len(begins) else len(accounts)
        yield first, end
        first = end
