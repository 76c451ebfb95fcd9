"""/energy: a home's own use and production by day, week, month and year."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from starlette.exceptions import HTTPException
from starlette.responses import Response

from aggregator.commune import called
from aggregator.earning.local_time import day_of, start_of
from aggregator.impact import tables
from aggregator.impact.alike import KNOWN_PERMILLE_MIN, Alike
from aggregator.impact.carbon import NO_HOUR_S, Factors, emitted
from aggregator.impact.home_days import HomeDay
from aggregator.impact.periods import Period
from aggregator.impact.similar import Alone
from aggregator.privacy.rule import Withheld
from commonwatt.i18n import _
from web.door import Page
from web.energy import advice, pictures, slices
from web.energy.homes import Home, Homes
from web.energy.slices import Days, Slice, Sums
from web.energy.spans import Kind, Span
from web.looks import Looks, Words
from web.roles import MEMBERS
from web.visitor import Ask


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at. `today`: the local day that it is; `until_s`: the end of the last closed interval."""

    home: Home
    homes: list[Home]
    span: Span
    today: date
    until_s: int | None
    days: Days


class EnergyPages:
    """Routes of this room."""

    def __init__(self, directory: Path, homes: Homes, looks: Looks) -> None:
        self._homes, self._looks = homes, looks
        self._factors: Factors = tables.read(directory)

    def pages(self) -> list[Page]:
        """Every address of it."""
        return [
            Page("energy", "/energy", MEMBERS, get=self.latest),
            Page("energy-file", "/energy/{span}/{date}.csv", MEMBERS, get=self.file),
            Page("energy-span", "/energy/{span}/{date}", MEMBERS, get=self.span),
        ]

    def latest(self, ask: Ask) -> Response:
        """The newest day that is whole; in the beginning the newest."""
        self._homes.keep_up()
        until_s = self._homes.days.known_until_s() or ask.now_s
        day = day_of(until_s, self._homes.zone) - timedelta(days=1)
        first = self._homes.days.first_day()
        return self._show(ask, Span(Kind.DAY, max(day, first) if first else day))

    def span(self, ask: Ask) -> Response:
        """Another span."""
        self._homes.keep_up()
        return self._show(ask, _span(ask))

    def file(self, ask: Ask) -> Response:
        """One's own quarter-hours as CSV; of a year its days."""
        self._homes.keep_up()
        span = _span(ask)
        home, _all = self._home(ask)
        if home is None:
            raise HTTPException(404)
        period = Period(span.first, span.last, self._homes.zone)
        rows = self._days(home, span) if span.kind is Kind.YEAR else self._quarters(home, period)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        headers = {
            "Content-Disposition": f'attachment; filename="energy-{span}.csv"',
            "Cache-Control": "private, no-store",
        }
        return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)

    def _home(self, ask: Ask) -> tuple[Home | None, list[Home]]:
        """The home that is asked for, or the first; 404 for one that is not theirs."""
        homes = self._homes.of(ask.visitor.subject)
        wanted = ask.request.query_params.get("home")
        if wanted is None:
            return (homes[0] if homes else None), homes
        found = next((home for home in homes if home.site.hex() == wanted), None)
        if found is None:
            raise HTTPException(404)
        return found, homes

    def _show(self, ask: Ask, span: Span) -> Response:
        home, homes = self._home(ask)
        if home is None:
            return self._looks.answer(ask, "energy_none.html", lambda _words: {})
        zone, days = self._homes.zone, self._homes.days
        known: dict[date, HomeDay] = {}
        for each in {span, span.before, span.year_before}:
            known |= days.home(home.site, each.first, each.last)
        until_s = days.known_until_s()
        known_days = Days(known, days.first_day() or span.first, until_s or 0, zone)
        view = View(home, homes, span, day_of(ask.now_s, zone), until_s, known_days)
        return self._looks.answer(ask, "energy.html", lambda words: self._values(ask, view, words))

    def _values(self, ask: Ask, view: View, words: Words) -> dict[str, Any]:
        span, total = view.span, view.days.total(view.span)
        parts = self._slices(view)
        coming, moved = self._homes.asked(view.home.site, ask.now_s)
        return {
            "view": view,
            "title": span.title(words.locale),
            "switch": [(kind, Span.of(kind, _anchor(view))) for kind in Kind],
            "kind_names": _kind_names(),
            "step": {"before": self._before(view), "next": span.next if span.next.first <= view.today else None},
            "is_newest": ask.path == "/energy",
            "query": f"?home={view.home.site.hex()}" if len(view.homes) > 1 else "",
            "total": total,
            "lead": _lead(total, view.home, words),
            "used": pictures.used(parts, span.kind, words),
            "made": pictures.made(parts, span.kind, words) if total.made_wh else None,
            "earned": pictures.earned(parts, span.kind, words) if span.kind is not Kind.DAY else None,
            "rows": pictures.table(parts, span.kind, words),
            "beside": list(self._beside(view, total, words)),
            "alike": self._alike(view, total, words),
            "agrees": self._homes.consent_to_compare(ask.visitor.subject),
            "carbon": self._carbon(total),
            "plugs": self._plugs(view),
            "best": self._best(view) if span.kind is Kind.DAY else None,
            "coming": coming,
            "moved": moved,
            "due": self._homes.days.due(),
            "Kind": Kind,
        }

    def _slices(self, view: View) -> list[Slice]:
        if view.span.kind is not Kind.DAY:
            return slices.cut(view.days, view.span)
        period = Period(view.span.first, view.span.first, self._homes.zone)
        quarters = self._homes.quarters(view.home.site, period) if view.until_s else None
        return slices.hours(quarters, view.until_s or 0, self._homes.zone) if quarters is not None else []

    def _before(self, view: View) -> Span | None:
        first = self._homes.days.first_day()
        return view.span.before if first is not None and view.span.before.last >= first else None

    def _beside(self, view: View, total: Sums, words: Words) -> Iterator[str]:
        """The use beside the span before and the one a year before, or why not."""
        names = {
            Kind.DAY: (_("The day before"), _("A year before")),
            Kind.WEEK: (_("The week before"), _("A year before")),
            Kind.MONTH: (_("The month before"), _("A year before")),
            Kind.YEAR: (_("The year before"), ""),
        }[view.span.kind]
        if not self._is_over(view):
            yield _("It is not over yet: it is compared afterwards.")
            return
        for name, other in zip(names, (view.span.before, view.span.year_before), strict=True):
            if name:
                change = _change(total, view.days.total(other), words)
                yield _("{name}: {change}").format(name=name, change=change)

    def _is_over(self, view: View) -> bool:
        end_s = start_of(view.span.last + timedelta(days=1), self._homes.zone)
        return view.until_s is not None and end_s <= view.until_s

    def _alike(self, view: View, total: Sums, words: Words) -> str:
        """One sentence about homes like it."""
        if not self._is_over(view):
            return ""
        if total.known_permille < KNOWN_PERMILLE_MIN:
            return _("Too little of your home was measured to compare it with others.")
        period = Period(view.span.first, view.span.last, self._homes.zone)
        found = self._homes.like(view.home, period, view.span.last)
        if not isinstance(found, Alike):
            return _why_alone(found)
        return _("{homes} homes like yours ({how}) used {mean} on average, you used {used}: {change}.").format(
            homes=words.count(found.homes),
            how=_how(view.home, found),
            mean=words.energy(found.mean_wh),
            used=words.energy(total.used_wh),
            change=_more_or_less(total.used_wh, found.mean_wh, words),
        )

    def _carbon(self, total: Sums) -> dict[str, Any] | None:
        """CO2 of what came from outside and of what own sun and neighbours' sun replaced, with the average factor."""
        if not total.used_wh:
            return None
        outside, spared = (
            emitted([wh], np.array([NO_HOUR_S]), self._factors)
            for wh in (total.outside_wh, total.own_wh + total.neighbours_wh)
        )
        average = self._factors.average
        return {"outside_g": outside.grams, "spared_g": spared.grams, "average": average}

    def _plugs(self, view: View) -> list[tuple[str, int]]:
        names = self._homes.commune().names
        used = self._homes.days.plugs(view.home.plugs, view.span.first, view.span.last)
        return sorted(((called.name_of(names, device), wh) for device, wh in used.items()), key=lambda row: -row[1])

    def _best(self, view: View) -> advice.BestHours | None:
        if view.until_s is None:
            return None
        return advice.best_hours(
            self._homes.totals(view.until_s - advice.DAYS * 86_400, view.until_s), self._homes.zone
        )

    def _quarters(self, home: Home, period: Period) -> Iterator[list[object]]:
        yield ["start_utc", "import_wh", "export_wh", "production_wh", "used_wh", "from_neighbours_wh"]
        found = self._homes.quarters(home.site, period)
        if found is None:
            return
        balance = found.balance
        columns = (balance.import_wh, balance.export_wh, balance.production_wh, balance.consumption_wh)
        lists = [column.tolist() for column in (balance.known, *columns, found.matched_wh)]
        for start_s, is_known, *energies_wh in zip(balance.starts_s.tolist(), *lists, strict=True):
            if is_known:
                yield [datetime.fromtimestamp(start_s, UTC).strftime("%Y-%m-%dT%H:%MZ"), *energies_wh]

    def _days(self, home: Home, span: Span) -> Iterator[list[object]]:
        names = [name for name in HomeDay._fields if name != "day"]
        yield ["day", *names]
        for _day, row in sorted(self._homes.days.home(home.site, span.first, span.last).items()):
            yield [row.day.isoformat(), *row[1:]]


def _span(ask: Ask) -> Span:
    found = Span.parse(ask.part("span"), ask.part("date"))
    if found is None:
        raise HTTPException(404)
    return found


def _anchor(view: View) -> date:
    """Where another length of span is looked at: the day itself, or the last one of a longer span that was."""
    return min(view.span.last, max(view.span.first, view.today))


def _kind_names() -> dict[Kind, str]:
    return {Kind.DAY: _("Day"), Kind.WEEK: _("Week"), Kind.MONTH: _("Month"), Kind.YEAR: _("Year")}


def _lead(total: Sums, home: Home, words: Words) -> str:
    """The span in a sentence or two."""
    if total.is_gap:
        return _("Nothing was measured in this time.")
    where = {
        "used": words.energy(total.used_wh),
        "own": words.energy(total.own_wh),
        "neighbours": words.energy(total.neighbours_wh),
        "outside": words.energy(total.outside_wh),
    }
    if home.has_roof or total.made_wh:
        says = _("You used {used}: {own} from your own roof, {neighbours} from neighbours, {outside} from outside.")
        says = says.format(**where)
        given = _("Your roof gave neighbours {given}.").format(given=words.energy(total.given_wh))
        says = f"{says} {given}" if total.given_wh else says
    else:
        says = _("You used {used}: {neighbours} from neighbours, {outside} from outside.").format(**where)
    if total.earned_mc > 0:
        earned = _("It earned you {amount} credits.").format(amount=words.credits(total.earned_mc))
        says = f"{says} {earned}"
    return says


def _change(now: Sums, then: Sums, words: Words) -> str:
    if min(now.known_permille, then.known_permille) < KNOWN_PERMILLE_MIN:
        return _("too little was measured to compare.")
    return _("{energy}; you used {change}.").format(
        energy=words.energy(then.used_wh), change=_more_or_less(now.used_wh, then.used_wh, words)
    )


def _more_or_less(now_wh: int, then_wh: int, words: Words) -> str:
    if then_wh <= 0:
        return _("nothing to compare with")
    permille = (now_wh - then_wh) * 1000 // then_wh
    if abs(permille) < 10:
        return _("as much")
    if permille > 0:
        return _("{share} more").format(share=words.share(permille))
    return _("{share} less").format(share=words.share(-permille))


def _how(home: Home, alike: Alike) -> str:
    parts = [_("with a roof of their own") if home.has_roof else _("without a roof of their own")]
    if alike.heating is not None:
        parts.append(
            {
                "electric": _("heated with electricity"),
                "heat-pump": _("heated by a heat pump"),
                "other": _("not heated with electricity"),
            }[alike.heating]
        )
    if alike.is_of_size:
        parts.append(_("of a similar size"))
    return ", ".join(parts)


def _why_alone(why: Alone | Withheld) -> str:
    match why:
        case Alone.SIZE_UNKNOWN:
            return _("Your home has not been measured for a week yet; then it is compared with homes of its size.")
        case Withheld.DOMINATED:
            return _("One or two homes use so much that the others' mean would tell theirs: it is not shown.")
        case Withheld.DIFFERS_BY_FEW:
            return _("Together with what was told before, a single home could be worked out: it is not shown.")
        case _:
            return _(
                "Fewer than ten similar homes let themselves be compared with in this time: with fewer, you would "
                "read off your neighbours' use."
            )
