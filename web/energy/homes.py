"""What the pages of energy read: whose homes there are, their days, and one day quarter by quarter."""

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.impact import alike, day_sums, measured
from aggregator.impact.alike import Alike
from aggregator.impact.balance import Balance
from aggregator.impact.home_days import HomeDays
from aggregator.impact.measured import Commune
from aggregator.impact.periods import Period
from aggregator.impact.similar import Alone
from aggregator.privacy import cells, public
from aggregator.privacy.public import PublicTotal
from aggregator.privacy.rule import Withheld
from aggregator.reading import NothingMeasuredError, reading
from aggregator.settling import claim_pages
from aggregator.settling.interval import Source
from aggregator.statements import requests
from aggregator.statements.requests import Request
from commonwatt.clock import Protocolar
from commonwatt.page import Integers
from commonwatt.units import INTERVAL_S
from ledger.book import mint
from ledger.book.admissions import DeviceAccount
from ledger.book.kinds import DeviceRole
from web.book.books import Books
from web.book.said import Said
from web.names import Names

log = logging.getLogger(__name__)

LOOK_EVERY_S = 10.0
"""Protocol time after which a visit looks for newly closed intervals."""
PATIENCE_S, FIRST_PATIENCE_S = 0.1, 5.0
"""How long a page waits for the newest days: it tells what is there, and of an empty file it can tell nothing."""


@dataclass(frozen=True, slots=True)
class Home:
    """A site of somebody's, with what people call it and its meters."""

    site: bytes
    name: str
    devices: tuple[DeviceAccount, ...]

    @property
    def has_roof(self) -> bool:
        """Whether something there makes energy."""
        return any(device.role is DeviceRole.PRODUCTION for device in self.devices)

    @property
    def plugs(self) -> list[bytes]:
        """Its sub-meters."""
        return [device.device for device in self.devices if device.role is DeviceRole.SUB_METER]


@dataclass(frozen=True, slots=True)
class Quarters:
    """A home by quarter of an hour. `matched_wh`: what came from neighbours; `given_wh`: what went to them."""

    balance: Balance
    matched_wh: Integers
    given_wh: Integers


@dataclass(frozen=True, slots=True)
class Moved:
    """What a home moved away from a peak, or into a surplus, the last time."""

    start_s: int
    usual_wh: int
    used_wh: int
    credited_wh: int


class Homes:
    """A commune's homes. One is enough for all threads."""

    def __init__(
        self,
        directory: Path,
        books: Books,
        names: Names,
        said: Said,
        *,
        zone: ZoneInfo,
        clock: Protocolar,
        database_url: str = "",
    ) -> None:
        self.zone = zone
        self._directory, self._books, self._names, self._clock = directory, books, names, clock
        self._said = said
        self._database_url = database_url
        self._lock = threading.Lock()
        self._commune: tuple[object, Commune] | None = None
        self._days: HomeDays | None = None
        self._agreed: tuple[Commune, Mapping[bytes, tuple[date, date]]] | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="home-days")
        self._working: tuple[float, Future[None]] | None = None
        self._ends = threading.Event()

    @property
    def days(self) -> HomeDays:
        """What every home did by day; the file is made when it is first asked for."""
        with self._lock:
            if self._days is None:
                self._days = HomeDays(self._directory, self.zone, database_url=self._database_url)
            return self._days

    def commune(self) -> Commune:
        """Who is there, as ledger and names say it now."""
        names = self._names.now()
        with self._books.now() as book:
            version = (book.size, names)
            if self._commune is None or self._commune[0] != version:
                devices = tuple(book.state.admissions.devices())
                self._commune = version, Commune(self._directory, devices, names, self._names.places())
            return self._commune[1]

    def of(self, account: bytes) -> list[Home]:
        """The homes of an account that have a meter, by name."""
        commune = self.commune()
        found: dict[bytes, list[DeviceAccount]] = {}
        for device in commune.devices:
            if device.account == account:
                found.setdefault(device.site, []).append(device)
        homes = [Home(site, commune.names.name_of(site), tuple(devices)) for site, devices in found.items()]
        return sorted(homes, key=lambda home: (home.name, home.site))

    def keep_up(self) -> None:
        """Have newly closed intervals summed, in a thread of its own; wait for it as long as a page may."""
        days = self.days
        now_s = self._clock.monotonic_s()
        with self._lock:
            if self._working is None or (
                self._working[1].done() and now_s - self._working[0] >= LOOK_EVERY_S and not self._ends.is_set()
            ):
                self._working = now_s, self._worker.submit(self._work, days)
            working = self._working[1]
        try:
            working.result(PATIENCE_S if days.known_until_s() else FIRST_PATIENCE_S)
        except NotYetError:
            log.info("%d days of homes are not summed yet", days.due())

    def _work(self, days: HomeDays) -> None:
        commune = self.commune()
        while not self._ends.is_set() and days.catch_up(commune, steps_max=1):
            pass

    def close(self) -> None:
        """End the work under way after its step."""
        self._ends.set()
        self._worker.shutdown(wait=True, cancel_futures=True)

    def quarters(self, site: bytes, period: Period) -> "Quarters | None":
        """A home by quarter of an hour; None before anything was measured."""
        commune = self.commune()
        devices = {device.device for device in commune.devices if device.site == site}
        try:
            with reading(self._directory, self._database_url) as connection:
                balance = measured.balance(connection, commune, site, period)
                given_wh = day_sums.given(balance.export_wh, day_sums.given_share(connection, period))
                return Quarters(balance, _matched(connection, devices, period), given_wh)
        except NothingMeasuredError:
            return None

    def like(self, home: Home, period: Period, today: date) -> Alike | Alone | Withheld:
        """What homes like it used in a period (aggregator/impact/alike.py)."""
        commune = self.commune()
        year = self.days.used(*_last_months(today))
        roofs = {device.site for device in commune.devices if device.role is DeviceRole.PRODUCTION}

        def of(site: bytes) -> alike.Home:
            located = commune.places.sites.get(site)
            heating = located.facts.heating if located else None
            return alike.Home(site, site in roofs, heating, alike.yearly_wh(*year.get(site, (0, 0))))

        members = commune.members()
        who = alike.agreed(self._comparable(commune), period)
        others = [of(site) for site, member in members.items() if member in who]
        used = self.days.used(period.first, period.last)
        return alike.mean(self._names.path, of(home.site), others, used, period)

    def consent_to_compare(self, account: bytes) -> bool:
        """Whether somebody lets others compare themselves with them now; nobody has to, to compare themselves."""
        return account in self._comparable(self.commune())

    def _comparable(self, commune: Commune) -> Mapping[bytes, tuple[date, date]]:
        with self._lock:
            if self._agreed is not None and self._agreed[0] is commune:
                return self._agreed[1]
        found = {}
        for member in set(commune.members().values()):
            consent = cells.consent_of(commune.names, member, "comparison")
            if consent is not None:
                found[member] = (consent.first, consent.last)
        with self._lock:
            self._agreed = commune, found
        return found

    def totals(self, start_s: int, end_s: int) -> list[PublicTotal]:
        """The commune's public totals of closed intervals."""
        try:
            with reading(self._directory, self._database_url) as connection:
                return list(public.between(connection, start_s, end_s))
        except NothingMeasuredError:
            return []

    def asked(self, site: bytes, now_s: int) -> tuple[list[Request], Moved | None]:
        """The operator's requests that are not over and concern a home, the next first; and what it moved last."""
        located = self._names.places().sites.get(site)
        feeder = located.feeder if located is not None else None
        try:
            with reading(self._directory, self._database_url) as connection:
                moved = connection.execute(
                    sa.select(_TOLD.start_s, _TOLD.expected_wh, _TOLD.used_wh, _TOLD.credited_wh)
                    .where(_TOLD.site == site, _TOLD.source == mint.SOURCE_SHIFTING, _TOLD.reason == 0)
                    .order_by(_TOLD.start_s.desc())
                    .limit(1)
                ).one_or_none()
        except NothingMeasuredError:
            moved = None
        with self._books.now() as book:
            stated = self._said.stated(book.state)
        coming = [row for row in requests.of(stated) if row.end_s > now_s and row.concerns(feeder)]
        return sorted(coming, key=lambda row: row.start_s), None if moved is None else Moved(*moved)


_TOLD = schema.told.c


def _matched(connection: sa.Connection, devices: set[bytes], period: Period) -> Integers:
    """What neighbours' supply covered in each interval, of claims made as it closed."""
    found = np.zeros(len(period.starts_s), np.int64)
    claims = claim_pages.read(connection, period.start_s, period.end_s)
    wanted = numbers.of(connection).find(numbers.octets(sorted(devices)))
    here = claims.where((claims.source == Source.MATCHED) & np.isin(claims.device, wanted))
    at = (here.end_s - period.start_s) // INTERVAL_S - 1
    is_inside = (at >= 0) & (here.end_s - here.start_s == INTERVAL_S)
    np.add.at(found, at[is_inside], here.energy_wh[is_inside])
    return found


def _last_months(day: date) -> tuple[date, date]:
    """The month of a day and the twelve before it, which are read as whole months."""
    return date(day.year - 1, day.month, 1), date(day.year + day.month // 12, day.month % 12 + 1, 1) - timedelta(
        days=1
    )
