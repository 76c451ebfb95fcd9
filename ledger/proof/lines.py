"""The lines behind a mint, read from the pages of an aggregator's database (docs/spec/pages.md)."""

from typing import Any

import numpy as np

from commonwatt import page
from commonwatt.evidence_file import Reading
from ledger.book.fields import HASH_SIZE
from ledger.book.mint import Line, Mint


def read(connection: Reading, mint: Mint) -> tuple[Line, ...]:
    """The lines of a mint in their order; none if there are none. The driver's errors, FormatError."""
    found = connection.execute(_PAGE, (mint.window_start_s, mint.account)).fetchone()
    number = connection.execute("SELECT number FROM number WHERE id = ?", (mint.account,)).fetchone()
    if found is None or number is None:
        return ()
    columns = page.decode(found[0])
    rows = np.flatnonzero((columns["account"] == number[0]) & (columns["source"] == mint.source)).tolist()
    return tuple(_line(connection, columns, row, found[1]) for row in rows)


_PAGE = """
SELECT columns, block_sha256s FROM line_page
WHERE window_start_s = ? AND first_account <= ? ORDER BY first_account DESC LIMIT 1
"""


def _line(connection: Reading, columns: dict[str, Any], row: int, digests: bytes) -> Line:
    figures = (int(columns[name][row]) for name in ("start_s", "end_s", "revision", "energy_wh", "amount_mc"))
    start_s, end_s, revision, energy_wh, amount_mc = figures
    number, place = int(columns["device"][row]), int(columns["block"][row]) * HASH_SIZE
    (device,) = connection.execute("SELECT id FROM number WHERE number = ?", (number,)).fetchone()
    digest = digests[place : place + HASH_SIZE]
    return Line(columns["salt"][row].tobytes(), device, start_s, end_s, revision, energy_wh, amount_mc, digest)
