"""Keeps the telemetry sink busy with what is durable and not yet written."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aggregator.commune.registry import Directory
from aggregator.sql import Database
from aggregator.telemetry import points as telemetry
from aggregator.telemetry.points import Cursor, Point
from commonwatt.clock import Protocolar

COUNTS_EVERY_S = 10.0
"""How often the counts of messages go to the dashboards."""


class Sink(Protocol):
    """Where points go, one bunch at a time."""

    cursor: Cursor

    @property
    def is_idle(self) -> bool:
        """Whether the last bunch was written."""
        ...

    def hand_over(self, points: Sequence[Point], cursor: Cursor) -> None:
        """Give the next bunch and the cursor behind it."""
        ...


class TelemetryFeed:
    """Hands bunches over when the sink is idle; never waits for it."""

    def __init__(self, sink: Sink, *, database: Database, clock: Protocolar) -> None:
        self._sink = sink
        self._database = database
        self._clock = clock
        self._counts_at_s = 0.0

    def step(self, directory: Directory, state: Mapping[str, Any]) -> None:
        """Hand over the next points if the last ones were written."""
        if not self._sink.is_idle:
            return
        with self._database.transaction() as connection:
            points, cursor = telemetry.since(connection, self._sink.cursor, directory)
        if state and self._clock.monotonic_s() >= self._counts_at_s:
            self._counts_at_s = self._clock.monotonic_s() + COUNTS_EVERY_S
            points.append(telemetry.pipeline(state))
        if points or cursor != self._sink.cursor:
            self._sink.hand_over(points, cursor)
