"""Makes points of what is durable and of how everything stands, and puts them into the journal.

Whatever follows from the books is read behind a cursor that is kept in the same transaction as its points: an outage
of anything delays it and loses none. What is told of energy is remembered before it goes out, because no later answer
may differ from it by a few homes.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from aggregator import engines, numbers
from aggregator.commune.directory import CommuneDirectory
from aggregator.commune.places import Places
from aggregator.impact import carbon, tables
from aggregator.privacy import public, rule
from aggregator.privacy.memory import Told, remembering
from aggregator.privacy.rule import Withheld
from aggregator.private.store import PrivateStore
from aggregator.statements import requests
from aggregator.telemetry import asked, energies, events, gateways, mints, samples
from aggregator.telemetry.cells import Commune
from aggregator.telemetry.events import Event
from aggregator.telemetry.influx import InfluxSettings
from aggregator.telemetry.journal import Journal, Transaction
from aggregator.telemetry.point import Point
from aggregator.telemetry.samples import DAY_S, Seen
from commonwatt.clock import Protocolar
from commonwatt.errors import UserError
from commonwatt.units import INTERVAL_S
from ledger.app import LOG
from ledger.log.published import PublishedLog

INTERVALS_PER_STEP, WINDOWS_PER_STEP = 32, 32
"""Read in one step: the next one goes on."""

CLOSED, MINTED, LOGGED = "closed_s", "minted_s", "logged"
"""Cursors: the end of the last interval and window, civil seconds; the place in the log."""


class Feed:
    """For `with`. `slug`: the commune's; `database_url`: the aggregator's database, which is only read."""

    def __init__(
        self,
        journal: Journal,
        settings: InfluxSettings,
        *,
        directory: Path,
        database_url: str,
        slug: str,
        protocol: Protocolar,
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._directory = directory
        self._private_db = CommuneDirectory(directory).private_db
        self._slug = slug
        self._protocol = protocol
        self._zone = ZoneInfo(settings.zone)
        self._factors = tables.read(directory)
        self._engine = engines.read_only(database_url)
        self._commune: tuple[object, Commune, PrivateStore] | None = None
        self._next_sample_s = float("-inf")
        self._signatures: tuple[int, float] | None = None
        self._is_measured_new = True
        with journal.transaction() as transaction:
            marks = transaction.marks()
        self.closed_s = marks.get(CLOSED, 0)
        self._minted_s = marks.get(MINTED, 0)
        self.withheld: Mapping[str, int] = samples.counts_under(marks, "withheld.")

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    def step(self, seen: Seen, *, is_up: bool = True) -> bool:
        """Put what is new into the journal; whether there may be more at once. `is_up`: whether the server takes
        points."""
        with self._journal.transaction() as transaction:
            marks, waiting = transaction.marks(), transaction.waiting()
        is_full = waiting >= self._settings.journal_points_max
        with self._reading() as connection:
            commune = self._commune_of(seen)
            is_more = False
            if not is_full:
                is_more = self._energies(connection, commune, marks)
                is_more |= self._mints(connection, seen, marks)
                is_more |= self._events(marks)
                self._requests(connection, seen, commune, marks)
            now_s = self._protocol.monotonic_s()
            if now_s >= self._next_sample_s:
                self._next_sample_s = now_s + self._settings.sample_s
                self._sample(connection, seen, now_s, is_full=is_full, is_up=is_up)
        return is_more

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._engine.connect() as connection:
            numbers.of(connection).read(connection)
            yield connection

    def _commune_of(self, seen: Seen) -> Commune:
        """Who is where, read again when somebody was admitted."""
        if self._commune is None or self._commune[0] is not seen.directory:
            store = PrivateStore(self._private_db)
            places = Places.of(store)
            names = {person.id: person.name for table in _PLACES for person in store.people(table)}
            commune = Commune.of(seen.directory, places, names, self._slug)
            self._commune = seen.directory, commune, store
        return self._commune[1]

    def _energies(self, connection: sa.Connection, commune: Commune, marks: Mapping[str, int]) -> bool:
        """The next closed intervals, and the days that end with them."""
        rows = public.since(connection, marks.get(CLOSED, 0), limit=INTERVALS_PER_STEP)
        if not rows:
            return False
        withheld: Counter[str] = Counter()
        told: list[tuple[int, energies.Told]] = []
        with remembering(self._private_db) as memory:
            for interval in energies.read(connection, commune, rows):
                start_s, end_s = interval.start_s, interval.start_s + INTERVAL_S
                earlier = [found.sites for found in memory.during(start_s, end_s)]
                if earlier and interval.total.sites:
                    earlier.append(commune.ids(np.flatnonzero(interval.is_known)))
                for cell in energies.tell(commune, interval, withheld, _beside(earlier)):
                    told.append((start_s, cell))
                    if len(cell.sites):
                        sites = commune.ids(cell.sites)
                        memory.extend(Told(f"{asked.TELEMETRY}:{cell.cell.key}", start_s, end_s, sites))
        with self._journal.transaction() as journal:
            for start_s, found in told:
                journal.add([self._line(Point("energy_15m", start_s, found.figures, found.cell.tags))])
                journal.keep_total(start_s, found.cell.key, found.figures)
            for row in rows:
                self._close_day(journal, commune, row.end_s)
            journal.set_marks({CLOSED: rows[-1].end_s})
            journal.count(withheld)
            self.withheld = samples.counts_under(journal.marks(), "withheld.")
        self.closed_s = rows[-1].end_s
        return len(rows) == INTERVALS_PER_STEP

    def _close_day(self, journal: Transaction, commune: Commune, end_s: int) -> None:
        """If a local day ends here: its points, from the intervals as they were told."""
        end = datetime.fromtimestamp(end_s, self._zone)
        if (end.hour, end.minute) != (0, 0):
            return
        day = (end - timedelta(days=1)).date()
        start_s = int(datetime(day.year, day.month, day.day, tzinfo=self._zone).timestamp())
        expected = (end_s - start_s) // INTERVAL_S
        told = journal.totals(start_s, end_s)
        for cell in commune.cells:
            if (intervals := told.get(cell.key)) is None:
                continue
            figures = energies.of_day(list(intervals.values()), expected, cell.rating_w)
            journal.add([self._line(Point("energy_1d", start_s, figures, cell.tags))])
            journal.add([self._line(Point("impact_1d", start_s, self._impact(intervals, figures), cell.tags))])
        journal.forget_totals(start_s)

    def _impact(self, intervals: Mapping[int, Mapping[str, int]], day: Mapping[str, int]) -> dict[str, int | str]:
        """CO2 of a day from the quarter hours that were told, each by the factor of its hour."""
        names = ("self_consumption_permille", "self_sufficiency_permille", "sites", "sites_expected")
        fields: dict[str, int | str] = {name: day[name] for name in names if name in day}
        fields["participation_permille"] = day["sites"] * energies.PERMILLE // max(1, day["sites_expected"])
        for field, base in (("co2_imported_g", "import_wh"), ("co2_avoided_g", "solar_wh")):
            told = {start_s: row[base] for start_s, row in intervals.items() if base in row}
            if not told:
                continue
            starts_s = np.fromiter(told, dtype=np.int64)
            emitted = carbon.emitted(np.fromiter(told.values(), dtype=np.int64), starts_s, self._factors)
            fields |= {field: emitted.grams, "hourly_permille": emitted.hourly_permille}
            fields |= {"factor_ug_per_wh": emitted.mean_ug_per_wh or self._factors.average.ug_per_wh}
            fields["factor_source"] = emitted.basis
        return fields

    def _mints(self, connection: sa.Connection, seen: Seen, marks: Mapping[str, int]) -> bool:
        windows = mints.windows(connection, marks.get(MINTED, 0), WINDOWS_PER_STEP)
        if not windows:
            return False
        sites = {device: meter.site for device, meter in seen.directory.meters.items()}
        withheld: Counter[str] = Counter()
        lines: list[str] = []
        minted_wh = 0
        for window in windows:
            lines += map(self._line, mints.points(connection, window, sites, seen.policies, withheld))
            minted_wh += mints.energy_wh(connection, window)
        with self._journal.transaction() as journal:
            journal.add(lines)
            journal.set_marks({MINTED: windows[-1].end_s})
            journal.count({**withheld, "minted_wh": minted_wh})
        self._minted_s = windows[-1].end_s
        self._is_measured_new = True
        return len(windows) == WINDOWS_PER_STEP

    def _events(self, marks: Mapping[str, int]) -> bool:
        place = marks.get(LOGGED, 0)
        try:
            found, until = events.since(PublishedLog(self._directory / LOG), place)
        except UserError:
            return False  # nothing is published yet
        if until == place:
            return False
        with self._journal.transaction() as journal:
            journal.add(map(self._line, events.points(found)))
            journal.set_marks({LOGGED: until})
        return until - place == events.PLACES_MAX

    def _requests(self, connection: sa.Connection, seen: Seen, commune: Commune, marks: Mapping[str, int]) -> None:
        """What was asked when it is new; what came when windows were minted since."""
        for request in requests.of(seen.stated):
            if f"asked.{request.place}" not in marks and (point := asked.asked(request, commune)) is not None:
                self._add([point], {f"asked.{request.place}": 1})
            is_over = request.end_s <= self._minted_s
            if f"came.{request.place}" in marks or not is_over or not self._is_measured_new:
                continue
            withheld: Counter[str] = Counter()
            with remembering(self._private_db) as memory:
                may_be_told = asked.remembered(memory, request)
                came = asked.came(connection, request, commune, _count_in(withheld), may_be_told)
            if came is not None:
                self._add([came], {f"came.{request.place}": 1}, withheld)
        self._is_measured_new = False

    def _sample(self, connection: sa.Connection, seen: Seen, now_s: float, *, is_full: bool, is_up: bool) -> None:
        with self._journal.transaction() as journal:
            marks, waiting, aside = journal.marks(), journal.waiting(), journal.aside_by_reason()
        behind_s = max(0, int(seen.report["intervals"]["last_end_s"]) - marks.get(CLOSED, 0))
        points = [
            samples.pipeline(seen, self._signatures_per_min(seen, now_s)),
            *samples.refused(seen),
            *samples.held(connection, seen.civil_s),
            *samples.withheld(marks, seen.civil_s),
            *samples.money(seen, marks),
            samples.ledger(connection, self._directory, seen),
            *samples.witnesses(self._directory, seen),
            *samples.fleet(seen),
            *gateways.points(seen.gateways, self._gateway_names(), seen.directory.gateways, seen.civil_s),
            samples.telemetry(marks, waiting=waiting, behind_s=behind_s, is_up=is_up, civil_s=seen.civil_s),
            *samples.set_aside(aside, seen.civil_s),
        ]
        if is_full:
            with self._journal.transaction() as journal:
                journal.count({"skipped": len(points)})
            return
        days = {samples.day_mark(unit, seen.civil_s // DAY_S): row.turnover_mc for unit, row in seen.money.items()}
        fresh = {name: value for name, value in days.items() if name not in marks}
        for version, devices in gateways.fleet(seen.gateways)["firmware"].items():
            if devices and f"firmware.{version}" not in marks:
                fresh[f"firmware.{version}"] = 1
                points += events.points([Event(events.FIRMWARE, seen.civil_s, version)])
        self._add(points, fresh)

    def _signatures_per_min(self, seen: Seen, now_s: float) -> int | None:
        """Since the last sample, on the machine's own clock; None before the second."""
        count = samples.signatures(seen.report)
        before, self._signatures = self._signatures, (count, now_s)
        if before is None or now_s <= before[1]:
            return None
        return max(0, round((count - before[0]) * 60 / (now_s - before[1])))

    def _gateway_names(self) -> Mapping[bytes, str]:
        assert self._commune is not None
        return {person.id: person.name for person in self._commune[2].people("gateways")}

    def _add(self, points: list[Point], marks: Mapping[str, int], counts: Mapping[str, int] | None = None) -> None:
        with self._journal.transaction() as journal:
            journal.add(map(self._line, points))
            journal.set_marks(marks)
            journal.count(counts or {})

    def _line(self, point: Point) -> str:
        return point.line(self._slug)


_PLACES = ("quarters", "feeders", "transformers")


def _beside(earlier: list[frozenset[bytes]]) -> energies.MayBeTold:
    """Beside what was told of the same time by other ways or at other times, each answer beside those before it."""
    told = list(earlier)

    def may_be_told(sites: frozenset[bytes]) -> Withheld | None:
        reason = rule.check_earlier(sites, told) if told else None
        if reason is None and told:
            told.append(sites)
        return reason

    return may_be_told


def _count_in(withheld: Counter[str]) -> Any:
    def count(reason: Withheld) -> None:
        withheld[f"withheld.{reason.value}"] += 1

    return count
