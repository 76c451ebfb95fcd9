"""What the commune's energy came to, and where its own aims stand: the figures of `commonwatt impact` and
`commonwatt indicators`, each with its factor and source."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from starlette.responses import Response

from aggregator.impact import indicators, measured, of_commune, periods, progress, tables, words
from aggregator.impact.of_home import Impact
from aggregator.impact.progress import Progress
from aggregator.reading import NothingMeasuredError, reading
from commonwatt.clock import Protocolar
from commonwatt.errors import UserError
from commonwatt.i18n import _
from web.door import Page
from web.looks import Looks
from web.roles import Role
from web.visitor import Ask

TOWN = frozenset((Role.STEWARD, Role.TOWNHALL))
FRESH_S = 600.0
"""Whole weeks change once a week; whoever looks more often is shown the same."""


@dataclass(frozen=True, slots=True)
class Found:
    """The last whole week of the commune, why something of it is not told, and the aims."""

    impact: Impact | None
    withheld: dict[str, str]
    aims: list[Progress]


class ImpactPages:
    """Routes of this room."""

    def __init__(
        self, directory: Path, looks: Looks, *, zone: ZoneInfo, clock: Protocolar, database_url: str = ""
    ) -> None:
        self._directory, self._looks, self._zone, self._clock = directory, looks, zone, clock
        self._database_url = database_url
        self._lock = threading.Lock()
        self._seen: tuple[float, Found] | None = None

    def pages(self) -> list[Page]:
        """Its one address."""
        return [Page("impact", "/money/impact", TOWN, get=self.impact)]

    def impact(self, ask: Ask) -> Response:
        """The page."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            if self._seen is None or now_s - self._seen[0] >= FRESH_S:
                self._seen = now_s, self._read()
            found = self._seen[1]
        return self._looks.answer(ask, "impact.html", lambda _words: _told(found))

    def _read(self) -> Found:
        try:
            with reading(self._directory, self._database_url) as connection:
                end_s = measured.closed_until_s(connection)
        except NothingMeasuredError:
            return Found(None, {}, [])
        factors = tables.read(self._directory)
        week = periods.period(None, None, end_s=end_s, zone=self._zone)
        impact, withheld = of_commune.read(self._directory, "commune", week, factors, database_url=self._database_url)
        return Found(impact, withheld, self._aims(end_s, factors))

    def _aims(self, end_s: int, factors: Any) -> list[Progress]:
        path = self._directory / indicators.FILE
        if not path.exists():
            return []
        try:
            rows = indicators.read(path)
        except UserError:
            return []  # `commonwatt indicators` names the mistake
        return progress.read(self._directory, rows, None, end_s, self._zone, factors, database_url=self._database_url)


def _told(found: Found) -> dict[str, Any]:
    names, reasons = words.names(), words.reasons()
    lines = list(words.lines(found.impact, _("The commune"))) if found.impact is not None else []
    return {
        "first": found.impact.period.first if found.impact is not None else None,
        "last": found.impact.period.last if found.impact is not None else None,
        "lines": [line.strip() for line in lines[1:]],
        "withheld": [(names.get(name, name), reasons.get(why, why)) for name, why in found.withheld.items()],
        "aims": [[line.strip() for line in progress.lines(row)] for row in found.aims],
    }
