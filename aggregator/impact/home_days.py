"""home-days.db: what every home did and earned, by local day, so that a year is read at once.

Derived from the aggregator's database and made anew at will: whoever deletes it, or names another zone, waits for it
once. It follows the closings: days that got further readings are summed anew, windows that were minted are added.
Readable by its owner only; it holds no names.
"""

import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.earning.local_time import day_of
from aggregator.impact import day_sums
from aggregator.impact.day_sums import Shared
from aggregator.impact.measured import Commune
from aggregator.impact.periods import Period
from aggregator.reading import NothingMeasuredError, reading
from commonwatt.errors import StorageError
from commonwatt.i18n import _
from commonwatt.units import INTERVAL_S
from ledger.book import mint

FILE = "home-days.db"
VERSION = 1
_REMEMBERED = 32
"""Spans of which every home's use is kept in memory: half a megabyte each in a town of 5,000."""
DAYS_PER_STEP, WINDOWS_PER_STEP = 8, 24
"""Days and windows summed in one transaction: seconds in a town."""
_BUSY_S = 10.0
_COLUMN, _OTHER = {mint.SOURCE_PRODUCTION: 1, mint.SOURCE_MATCHED: 2}, 3
"""Where amounts are summed, by source."""

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS due (day INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS minted (window_start_s INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS energy (day INTEGER, site BLOB, quarters INTEGER, known INTEGER, import_wh INTEGER,
    export_wh INTEGER, production_wh INTEGER, local_wh INTEGER, used_wh INTEGER, given_wh INTEGER,
    PRIMARY KEY (day, site)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS plug (day INTEGER, device BLOB, known INTEGER, used_wh INTEGER, PRIMARY KEY (day, device))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shared (day INTEGER, site BLOB, is_minted INTEGER, matched_wh INTEGER,
    production_mc INTEGER, matched_mc INTEGER, other_mc INTEGER, PRIMARY KEY (day, site, is_minted)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS month (month INTEGER, site BLOB, known INTEGER, used_wh INTEGER, PRIMARY KEY (month, site))
    WITHOUT ROWID;
"""
_ADD_SHARED = """
INSERT INTO shared VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    matched_wh = matched_wh + excluded.matched_wh,
    production_mc = production_mc + excluded.production_mc, matched_mc = matched_mc + excluded.matched_mc,
    other_mc = other_mc + excluded.other_mc
"""


class HomeDay(NamedTuple):
    """One home's local day. Energies in Wh over the intervals that are known (`known` of `quarters`); `matched_wh`
    came from neighbours, `given_wh` went to them (day_sums.py); amounts as minted, after the association's share."""

    day: date
    quarters: int
    known: int
    import_wh: int
    export_wh: int
    production_wh: int
    local_wh: int
    used_wh: int
    given_wh: int = 0
    matched_wh: int = 0
    production_mc: int = 0
    matched_mc: int = 0
    other_mc: int = 0

    @property
    def earned_mc(self) -> int:
        """By every source."""
        return self.production_mc + self.matched_mc + self.other_mc


class HomeDays:
    """The open file; `catch_up` is called by one thread at a time, the rest by any."""

    def __init__(self, directory: Path, zone: ZoneInfo, *, database_url: str = "") -> None:
        self._directory, self._zone, self._database_url = directory, zone, database_url
        self._path = directory / FILE
        self._turn = threading.Lock()
        self._used: dict[tuple[date, date, int | None], dict[bytes, tuple[int, int]]] = {}
        with self._opened() as file:
            told = (VERSION, zone.key)
            file.executescript(_TABLES)
            found = dict(file.execute("SELECT name, value FROM meta WHERE name IN ('version', 'zone')"))
            if (found.get("version"), found.get("zone")) != told:
                _empty(file)
                file.executemany("REPLACE INTO meta VALUES (?, ?)", zip(("version", "zone"), told, strict=True))

    def catch_up(self, commune: Commune, *, steps_max: int | None = None) -> int:
        """Sum what is new, the newest days first; how much is still due. `steps_max`: so many steps."""
        with self._turn:
            try:
                with reading(self._directory, self._database_url) as connection:
                    numbers.of(connection).read(connection)
                    self._look(connection)
                    steps = 0
                    while left := self._step(connection, commune) + self._add_minted(connection, commune):
                        steps += 1
                        if steps_max is not None and steps >= steps_max:
                            break
                    return left
            except NothingMeasuredError:
                return 0

    def home(self, site: bytes, first: date, last: date) -> dict[date, HomeDay]:
        """A home's days of which anything is known, from the first to the last."""
        days = range(first.toordinal(), last.toordinal() + 1)
        with self._opened() as file:
            rows = _of_days(file, "energy", "site", site, days)
            found = {row[0]: HomeDay(date.fromordinal(row[0]), *row[2:]) for row in rows}
            for day, _site, _is_minted, *sums in _of_days(file, "shared", "site", site, days):
                if day in found:
                    before = found[day]
                    found[day] = HomeDay(*before[:9], *(a + b for a, b in zip(before[9:], sums, strict=True)))
        return {row.day: row for row in found.values()}

    def every(self, site: bytes) -> dict[date, HomeDay]:
        """All days of a home of which anything is known."""
        with self._opened() as file:
            first, last = file.execute("SELECT MIN(day), MAX(day) FROM energy").fetchone()
        return {} if first is None else self.home(site, date.fromordinal(first), date.fromordinal(last))

    def plugs(self, devices: Sequence[bytes], first: date, last: date) -> dict[bytes, int]:
        """What went through sub-meters in a span, Wh; those of which nothing is known are left out."""
        sums: Counter[bytes] = Counter()
        days = range(first.toordinal(), last.toordinal() + 1)
        with self._opened() as file:
            for device in devices:
                for _day, _device, known, used_wh in _of_days(file, "plug", "device", device, days):
                    sums[device] += used_wh if known else 0
        return dict(sums)

    def used(self, first: date, last: date) -> dict[bytes, tuple[int, int]]:
        """What every home used in a span, Wh, and over how many intervals; whole months are read as such. A look at
        every home: it is remembered until an interval closes."""
        key = (first, last, self.known_until_s())
        found = self._used.get(key)
        if found is None:
            if len(self._used) >= _REMEMBERED:
                self._used.clear()
            found = self._used[key] = self._read_used(first, last)
        return found

    def _read_used(self, first: date, last: date) -> dict[bytes, tuple[int, int]]:
        sums: dict[bytes, tuple[int, int]] = {}
        with self._opened() as file:
            for query, bounds in _spans(first, last):
                for site, known, used_wh in file.execute(query, bounds):
                    before = sums.get(site, (0, 0))
                    sums[site] = (before[0] + used_wh, before[1] + known)
        return sums

    def known_until_s(self) -> int | None:
        """The end of the last closed interval that was read; None before any."""
        with self._opened() as file:
            return _meta(file, "closed_s")

    def first_day(self) -> date | None:
        """The first day of which anything of any home is known."""
        with self._opened() as file:
            (day,) = file.execute("SELECT MIN(day) FROM energy").fetchone()
        return None if day is None else date.fromordinal(day)

    def due(self) -> int:
        """How many days are not summed yet."""
        with self._opened() as file:
            return int(file.execute("SELECT COUNT(*) FROM due").fetchone()[0])

    def forget(self, sites: Iterable[bytes], devices: Iterable[bytes]) -> None:
        """Erase homes, when their evidence goes."""
        with self._opened() as file:
            file.execute("PRAGMA secure_delete = ON")
            for table in ("energy", "shared", "month"):
                file.executemany(f"DELETE FROM {table} WHERE site = ?", [(site,) for site in sites])  # noqa: S608 ours
            file.executemany("DELETE FROM plug WHERE device = ?", [(device,) for device in devices])

    def _look(self, connection: sa.Connection) -> None:
        """Note the days that the closings since the last look have changed."""
        table = schema.closing.c
        closed_s = connection.scalar(sa.select(sa.func.max(table.end_s)))
        with self._opened() as file:
            before_s = _meta(file, "closed_s") or 0
            if closed_s is None:
                return
            if closed_s > before_s:
                past = schema.past_page.c
                times = sa.select(past.time_s).where(past.closing_s > before_s).distinct()
                days = {
                    day_of(time_s - more, self._zone).toordinal()
                    for time_s in connection.scalars(times).all()
                    for more in (0, 1)
                }
                file.executemany("INSERT OR IGNORE INTO due VALUES (?)", [(day,) for day in sorted(days)])
                file.execute("REPLACE INTO meta VALUES ('closed_s', ?)", (closed_s,))

    def _add_minted(self, connection: sa.Connection, commune: Commune) -> int:
        """Add some windows that were minted, the newest first, and lay what is not minted beside them; how many
        windows are left."""
        run = schema.run.c
        windows = sa.select(run.window_start_s, run.window_end_s).where(run.place.is_not(None)).distinct()
        rows = connection.execute(windows.order_by(run.window_start_s.desc())).all()
        with self._opened() as file:
            is_there = {row[0] for row in file.execute("SELECT window_start_s FROM minted")}
            fresh = [row.window_start_s for row in rows if row.window_start_s not in is_there]
            closed_s = _meta(file, "closed_s")
            for start_s in fresh[:WINDOWS_PER_STEP]:
                self._share(file, day_sums.minted(connection, commune, start_s), is_minted=True)
                file.execute("INSERT INTO minted VALUES (?)", (start_s,))
            if fresh or closed_s != _meta(file, "shared_s"):
                after_s = max((row.window_end_s for row in rows), default=0)
                file.execute("DELETE FROM shared WHERE is_minted = 0")
                self._share(file, day_sums.claimed(connection, commune, after_s), is_minted=False)
                file.execute("REPLACE INTO meta VALUES ('shared_s', ?)", (closed_s,))
        return max(0, len(fresh) - WINDOWS_PER_STEP)

    def _share(self, file: sqlite3.Connection, pages: Iterable[Shared], *, is_minted: bool) -> None:
        def ordinal(end_s: int) -> int:
            return day_of(end_s - INTERVAL_S, self._zone).toordinal()

        for page in pages:
            rows = page.sums(ordinal, _COLUMN, _OTHER)
            file.executemany(_ADD_SHARED, [(day, site, int(is_minted), *sums) for day, site, *sums in rows])

    def _step(self, connection: sa.Connection, commune: Commune) -> int:
        """Sum some days; how many are left."""
        with self._opened() as file:
            days = [row[0] for row in file.execute("SELECT day FROM due ORDER BY day DESC LIMIT ?", (DAYS_PER_STEP,))]
            for ordinal in days:
                day = date.fromordinal(ordinal)
                span = Period(day, day, self._zone)
                energies = [(ordinal, *row) for row in day_sums.energies(connection, commune, span)]
                file.execute("DELETE FROM energy WHERE day = ?", (ordinal,))
                file.executemany("INSERT INTO energy VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", energies)
                plugs = [(ordinal, *row) for row in day_sums.plugs(connection, commune, span)]
                file.execute("DELETE FROM plug WHERE day = ?", (ordinal,))
                file.executemany("INSERT INTO plug VALUES (?, ?, ?, ?)", plugs)
                file.execute("DELETE FROM due WHERE day = ?", (ordinal,))
            for month in {_month(date.fromordinal(day)) for day in days}:
                file.execute("DELETE FROM month WHERE month = ?", (month,))
                file.execute(
                    "INSERT INTO month SELECT ?, site, SUM(known), SUM(used_wh) FROM energy "
                    "WHERE day >= ? AND day < ? GROUP BY site",
                    (month, _first(month).toordinal(), _first(month + 1).toordinal()),
                )
            return int(file.execute("SELECT COUNT(*) FROM due").fetchone()[0])

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """One transaction. A file that another version or a crash left unreadable is named."""
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            with closing(sqlite3.connect(self._path, timeout=_BUSY_S)) as file:
                file.execute("PRAGMA journal_mode = WAL")
                file.execute("PRAGMA synchronous = NORMAL")
                with file:
                    yield file
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                _("the homes' days cannot be read: {cause}").format(cause=error),
                where=self._path,
                to_do=_("delete this file: it is made anew"),
            ) from error


def _empty(file: sqlite3.Connection) -> None:
    for table in ("meta", "due", "minted", "energy", "plug", "shared", "month"):
        file.execute(f"DELETE FROM {table}")  # noqa: S608 ours


def _meta(file: sqlite3.Connection, name: str) -> int | None:
    row = file.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def _of_days(
    file: sqlite3.Connection, table: str, column: str, identifier: bytes, days: range
) -> Iterator[tuple[int, ...]]:
    """The rows of one home: the key begins with the day, so each day is one look."""
    query = (
        "WITH RECURSIVE wanted(number) AS (SELECT ? UNION ALL SELECT number + 1 FROM wanted WHERE number + 1 < ?) "  # noqa: S608
        f"SELECT {table}.* FROM wanted JOIN {table} ON day = number AND {column} = ?"
    )
    return file.execute(query, (days.start, days.stop, identifier))


def _spans(first: date, last: date) -> Iterator[tuple[str, tuple[int, int]]]:
    """What to ask for a span: its whole months, and the days before and after them."""
    by_day = "SELECT site, SUM(known), SUM(used_wh) FROM energy WHERE day >= ? AND day < ? GROUP BY site"
    by_month = "SELECT site, SUM(known), SUM(used_wh) FROM month WHERE month >= ? AND month < ? GROUP BY site"
    start, end = first.toordinal(), last.toordinal() + 1
    months = _month(first) + (first.day > 1), _month(date.fromordinal(end))
    if months[0] >= months[1]:
        yield by_day, (start, end)
        return
    yield by_day, (start, _first(months[0]).toordinal())
    yield by_month, months
    yield by_day, (_first(months[1]).toordinal(), end)


def _month(day: date) -> int:
    return day.year * 12 + day.month - 1


def _first(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)
