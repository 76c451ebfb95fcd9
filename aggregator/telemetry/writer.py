"""Brings what waits in the journal to the server, whatever the server answers. Nothing is acknowledged but by it.

One step is one bunch. A bunch of which the server takes no line because one is malformed is cut in halves until the
bad line stands alone; it is set aside with the server's words, and every other line is written.
"""

import logging
from collections.abc import Sequence

from aggregator.telemetry.influx import Answer, InfluxSettings, Server, What
from aggregator.telemetry.journal import Journal, Waiting
from commonwatt.clock import Civil, Protocolar

log = logging.getLogger(__name__)

WRITTEN, ASIDE, RETRIED = "written", "aside", "retried"
"""Marks of the journal: points, points, requests."""

MALFORMED, TOO_LARGE = "malformed", "too-large"
"""Why a line is set aside."""


class Writer:
    """`trouble`: why points are not taken, in the server's words; None while they are."""

    def __init__(
        self, server: Server, journal: Journal, settings: InfluxSettings, *, civil: Civil, protocol: Protocolar
    ) -> None:
        self.trouble: str | None = None
        self._server = server
        self._journal = journal
        self._settings = settings
        self._civil = civil
        self._protocol = protocol
        self._next_s = float("-inf")
        self._pause_s = settings.retry_s
        self._count = settings.points_per_write

    def step(self) -> bool:
        """Write one bunch if it is time to; whether there may be more to write at once."""
        if self._protocol.monotonic_s() < self._next_s:
            return False
        with self._journal.transaction() as journal:
            rows = journal.next(self._count)
        if not rows:
            return False
        answer = self._bring(rows)
        if answer.what is What.TAKEN:
            self._is_well()
            return True
        self._wait(answer)
        return False

    def _bring(self, rows: Sequence[Waiting]) -> Answer:
        """Write rows; TAKEN if none of them waits any more, otherwise why the rest does."""
        answer = self._server.write([row.line for row in rows])
        if answer.what is What.TAKEN:
            with self._journal.transaction() as journal:
                journal.remove(rows)
                journal.count({WRITTEN: len(rows)})
            return answer
        if answer.what not in (What.MALFORMED, What.TOO_LARGE):
            return answer
        if len(rows) == 1:
            self._set_aside(rows[0], MALFORMED if answer.what is What.MALFORMED else TOO_LARGE, answer.says)
            return Answer(What.TAKEN)
        half = len(rows) // 2
        if answer.what is What.TOO_LARGE:
            self._count = max(1, half)  # the next bunches fit at once
        first = self._bring(rows[:half])
        return self._bring(rows[half:]) if first.what is What.TAKEN else first

    def _set_aside(self, row: Waiting, reason: str, says: str) -> None:
        log.error("the time-series database does not take a line, it is set aside (%s): %s", says, row.line)
        with self._journal.transaction() as journal:
            journal.set_aside(row, reason, says, int(self._civil.now_s()))
            journal.count({ASIDE: 1})

    def _is_well(self) -> None:
        if self.trouble is not None:
            log.info("the time-series database takes points again")
        self.trouble = None
        self._pause_s = self._settings.retry_s

    def _wait(self, answer: Answer) -> None:
        if answer.says != self.trouble:
            log.warning("the time-series database takes no points, they wait: %s", answer.says)
        self.trouble = answer.says
        with self._journal.transaction() as journal:
            journal.count({RETRIED: 1})
        pause_s = self._pause_s if answer.after_s is None else answer.after_s
        self._next_s = self._protocol.monotonic_s() + pause_s
        self._pause_s = min(2 * self._pause_s, self._settings.retry_s_max)
