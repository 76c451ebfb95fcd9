"""Reads evidence from an aggregator's database as a stranger does: read-only, also while the aggregator runs."""

from collections.abc import Iterator
from typing import Any, Protocol

from commonwatt.evidence_page import Page, decode
from commonwatt.units import INT64_MAX


class Reading(Protocol):
    """A connection to look with: SQLite's own, or one that takes SQLite's question marks."""

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """A cursor over the rows."""
        ...


def pages(connection: Reading, start_s: int = 0, end_s: int = INT64_MAX) -> Iterator[Page]:
    """Pages with blocks that may reach into `start_s` to `end_s` (civil, both included), the oldest first."""
    for places, sha256, signed in connection.execute(_PAGES, (end_s, start_s)):
        yield decode({"places": places, "sha256": sha256, "signed": signed})


_PAGES = """
SELECT places, sha256, signed FROM evidence_page WHERE start_s_min <= ? AND end_s_max >= ? ORDER BY page
"""
