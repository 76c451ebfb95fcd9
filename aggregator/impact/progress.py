"""Indicators beside what was measured: value, trend, what is due."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from aggregator.earning.local_time import day_of
from aggregator.impact import of_commune, periods, words
from aggregator.impact.carbon import Factors
from aggregator.impact.indicators import Indicator, Step
from aggregator.impact.periods import Period
from commonwatt.i18n import _


@dataclass(frozen=True, slots=True)
class Progress:
    """An indicator on a day. `value`: None if it cannot be told, `why_not` says why; `before`: of the span before."""

    indicator: Indicator
    day: date
    period: Period
    value: int | None
    before: int | None
    unit: str
    why_not: str | None

    @property
    def step(self) -> Step:
        """Where it stands in the circle."""
        return self.indicator.step(self.day)

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        row, value = self.indicator, self.value
        return {
            **row.model_dump(mode="json", include={"id", "name", "measure", "baseline", "target", "responsible"}),
            "target_date": row.target_date.isoformat(),
            "review_date": row.review_date.isoformat(),
            "day": self.day.isoformat(),
            "first": self.period.first.isoformat(),
            "last": self.period.last.isoformat(),
            "unit": self.unit,
            "value": value,
            "before": self.before,
            "expected": row.expected(self.period.last),
            "progress_permille": None if value is None else row.progress_permille(value),
            "on_track": None if value is None else row.is_on_track(value, self.period.last),
            "why_not": self.why_not,
            "step": self.step.value,
            "overdue": [action.text for action in row.overdue(self.day)],
        }


def read(
    directory: Path,
    indicators: Sequence[Indicator],
    day: date | None,
    end_s: int,
    zone: ZoneInfo,
    factors: Factors,
    *,
    database_url: str = "",
) -> list[Progress]:
    """Each indicator over its latest whole weeks before a day (None: the last closed interval's)."""
    today = day or day_of(end_s, zone)
    sunday = min(today - timedelta(days=today.isoweekday()), periods.latest_whole_week(end_s, zone))
    found = []
    for row in indicators:
        period = Period(sunday - timedelta(days=row.days - 1), sunday, zone)
        impact, withheld = of_commune.read(directory, "commune", period, factors, database_url=database_url)
        figure = next((figure for figure in impact.figures if figure.name == row.measure), None)
        earlier = next(
            (item.value for item in impact.comparisons if (item.name, item.with_) == (row.measure, "before")), None
        )
        why_not = None if figure else withheld.get(row.measure, "not-measured-enough")
        value, unit = (figure.value, figure.unit) if figure else (None, _unit(row.measure))
        found.append(Progress(row, today, period, value, earlier, unit, why_not))
    return found


def _unit(measure: str) -> str:
    if measure.startswith("self_"):
        return "permille"
    return {"peak": "W", "co2_": "g"}.get(measure[:4], "Wh")


def lines(progress: Progress) -> Iterator[str]:
    """What people read of one."""
    row, unit = progress.indicator, progress.unit
    yield f"{row.name} ({words.names()[row.measure]})"
    if progress.value is None:
        why = progress.why_not or ""
        yield "  " + _("not told: {why}").format(why=words.reasons().get(why, why))
    else:
        yield "  " + _("{value} from {first} to {last}; {state}").format(
            value=words.value(progress.value, unit),
            first=progress.period.first,
            last=progress.period.last,
            state=_state(progress, progress.value),
        )
        if progress.before is not None:
            yield "  " + _("the {days} days before: {value}").format(
                days=row.days, value=words.value(progress.before, unit)
            )
    yield "  " + _("from {baseline} ({since}) to {target} ({until}); {who}").format(
        baseline=words.value(row.baseline, unit),
        since=row.baseline_date,
        target=words.value(row.target, unit),
        until=row.target_date,
        who=row.responsible,
    )
    yield from (f"  {text}" for text in _due(progress))


def _state(progress: Progress, value: int) -> str:
    row, day = progress.indicator, progress.period.last
    if row.is_reached(value):
        return _("the target is reached")
    should = words.value(row.expected(day), progress.unit)
    if row.is_on_track(value, day):
        return _("on track (it should be at {should})").format(should=should)
    return _("behind (it should be at {should})").format(should=should)


def _due(progress: Progress) -> Iterator[str]:
    row, step = progress.indicator, progress.step
    if step is Step.ACT:
        last = max(row.reviews, key=lambda review: review.date)
        yield _("ACT: decide on the review of {day}: {finding}").format(day=last.date, finding=last.finding)
    elif step is Step.CHECK:
        yield _("CHECK: the review was due on {day}").format(day=row.review_date)
    else:
        yield _("next review: {day}").format(day=row.review_date)
    for action in row.actions:
        if not action.done:
            late = _("LATE") if action.by < progress.day else _("until")
            yield _("DO: {text} ({late} {day})").format(text=action.text, late=late, day=action.by)
