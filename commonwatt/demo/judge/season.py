"""Which days a home's saving is measured over (docs/spec/settlement.md, "Savings"): periods, true-ups, local days."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from commonwatt.demo.judge.evidence import Closing
from commonwatt.demo.judge.known import Measured, Site
from commonwatt.demo.judge.policies import SAVINGS, Policy
from commonwatt.demo.judge.saved import Saved, saved
from commonwatt.demo.judge.stated import Part


@dataclass(frozen=True, slots=True)
class Period:
    """Reported days `[begins, ends)` of those who joined on a day."""

    joined: date
    begins: date
    ends: date
    start_s: int
    end_s: int
    is_true_up: bool
    sites: tuple[Site, ...]


class Season:
    """What is due in the window that a closing ends, and what homes saved in it."""

    def __init__(
        self,
        measured: Measured,
        taking: Sequence[Part],
        sites: Sequence[Site],
        closing: Closing,
        policy: Policy,
        weather: Mapping[tuple[str, int], int],
    ) -> None:
        self._measured = measured
        self._taking = taking
        self._sites = sites
        self._closing = closing
        self._policy = policy
        self._table: Any = policy.sources[SAVINGS].table
        self._weather = weather
        self._station: str = self._table.get("station", "")

    def due(self) -> Iterator[Period]:
        """Periods that are told in the window, each followed by its true-up: those that ended in it, or if a
        thermometer is asked so many days before."""
        wait = timedelta(days=int(self._table.get("weather_days", 5)) if self._station else 0)
        length = int(self._table.get("period_days", 21))
        together = int(self._table.get("true_up_periods", 3))
        window_start_s = self._closing.end_s - self._policy.window_s
        for first_s in sorted({part.from_s for part in self._taking}):
            joined = datetime.fromtimestamp(first_s, self._policy.zone).date()
            number = 1
            while (told_s := self._midnight_s(joined + timedelta(length * number) + wait)) <= self._closing.end_s:
                ends = joined + timedelta(days=length * number)
                chosen = self._chosen(first_s, self._midnight_s(ends))
                if told_s > window_start_s and chosen:
                    yield self._period(joined, ends, length, chosen, is_true_up=False)
                    if number % together == 0:
                        yield self._period(joined, ends, length * together, chosen, is_true_up=True)
                number += 1

    def measured(self, period: Period) -> dict[Site, Saved]:
        """What each home of a period saved, against the homes that never took part."""
        baseline = int(self._table.get("baseline_days", 28))
        ever = {part.site for part in self._taking}
        homes = [*period.sites, *(site for site in self._sites if site.id not in ever)]
        days = [period.joined + timedelta(days=at) for at in range(-baseline, 0)]
        days += [period.begins + timedelta(days=at) for at in range((period.ends - period.begins).days)]
        use = {site.id: [self._used_wh(site, day) for day in days] for site in homes}
        outdoor = [self._weather.get((self._station, day.toordinal())) for day in days] if self._station else None
        chosen = {site.id for site in period.sites}
        answers = saved(use, chosen, baseline, self._table.get("measure", {}), outdoor)
        return {site: answers[site.id] for site in period.sites}

    def _period(self, joined: date, ends: date, length: int, chosen: tuple[Site, ...], *, is_true_up: bool) -> Period:
        begins = ends - timedelta(days=length)
        span = (self._midnight_s(begins), self._midnight_s(ends))
        return Period(joined, begins, ends, *span, is_true_up, chosen)

    def _chosen(self, first_s: int, end_s: int) -> tuple[Site, ...]:
        """Who joined then and has not left."""
        here = [p for p in self._taking if p.from_s == first_s and (p.until_s is None or p.until_s >= end_s)]
        by_id = {site.id: site for site in self._sites}
        return tuple(by_id[part.site] for part in here if part.site in by_id)

    def _used_wh(self, site: Site, day: date) -> int | None:
        start_s, end_s = self._midnight_s(day), self._midnight_s(day + timedelta(days=1))
        return self._measured.used_wh(site.devices, start_s, end_s, self._closing)

    def _midnight_s(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=self._policy.zone).timestamp())
