"""The public pages: the town, its log, its open data."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from aggregator.privacy import opendata
from aggregator.privacy.public import PublicTotal
from aggregator.privacy.rule import Withheld
from commonwatt.i18n import LANGUAGES, _
from commonwatt.units import INTERVAL_S
from web import chart, phrases
from web.chart import Bar, Line
from web.door import Page
from web.looks import Looks, Words
from web.manners import inside, remember_language
from web.month import Month
from web.public import figures, proofs
from web.public.town import Town, TownReader
from web.roles import EVERYBODY
from web.visitor import Ask

_CURVE_QUARTERS = 96


class PublicPages:
    """Routes over one commune."""

    def __init__(self, reader: TownReader, looks: Looks) -> None:
        self._reader, self._looks = reader, looks

    def pages(self) -> list[Page]:
        """Every public address."""
        return [
            Page("town", "/", EVERYBODY, get=self.town),
            Page("log", "/log", EVERYBODY, get=self.log),
            Page("verify", "/verify", EVERYBODY, get=self.verify),
            Page("data", "/data", EVERYBODY, get=self.data),
            Page("month", "/data/energy-15min-{month}.csv", EVERYBODY, get=self.month),
            Page("language", "/language", EVERYBODY, get=self.language),
        ]

    def town(self, ask: Ask) -> Response:
        """The commune at a glance."""
        return self._answer(ask, "town.html", lambda town, words: _town(town, words, self._reader.zone))

    def log(self, ask: Ask) -> Response:
        """The public log, who witnesses it, and how a stranger checks it."""
        return self._answer(ask, "log.html", lambda town, _words: {"head": town.head})

    def verify(self, ask: Ask) -> Response:
        """Where the reader's own browser checks a proof."""

        def values(town: Town, _words: Words) -> dict[str, Any]:
            told = town.constitution.model_dump(mode="json")
            return {"constitution": phrases.as_script(told), "sentences": phrases.as_script(proofs.words())}

        return self._answer(ask, "verify.html", values)

    def data(self, ask: Ask) -> Response:
        """The open data, by month."""
        return self._answer(ask, "data.html", lambda _town, _words: {"months": self._reader.months()})

    def month(self, ask: Ask) -> Response:
        """The public totals of a month (UTC), as CSV."""
        month = Month.parse(ask.part("month"))
        rows = self._reader.totals(month.start_s, month.next.start_s) if month is not None else []
        if not rows:
            raise HTTPException(404)
        return Response(opendata.csv_of(rows), media_type="text/csv; charset=utf-8")

    def language(self, ask: Ask) -> Response:
        """Remember the language that was chosen, and go back to the page; only to one of ours."""
        chosen = ask.request.query_params.get("lang", "")
        answer = RedirectResponse(inside(ask.request.query_params.get("to", "/")), 303)
        if chosen in LANGUAGES:
            remember_language(answer, ask.request, chosen)
        return answer

    def _answer(self, ask: Ask, template: str, values: Callable[[Town, Words], dict[str, Any]]) -> Response:
        town = self._reader.look()
        return self._looks.answer(ask, template, lambda words: values(town, words))


def _town(town: Town, words: Words, zone: ZoneInfo) -> dict[str, Any]:
    week = figures.week(town.totals, zone)
    last = town.totals[-_CURVE_QUARTERS:]
    return {
        "week": week,
        "money": town.money,
        "sites": last[-1].sites if last else 0,
        "until_s": last[-1].start_s + INTERVAL_S if last else None,
        "week_chart": chart.bars(
            [Bar(_parts(day), words.weekday(day.day), _day_words(day, words)) for day in week.days],
            title=_("Use covered by neighbours and from outside, by day"),
        ),
        "day_chart": chart.lines(
            [Line("supply", [row.supply_wh for row in last]), Line("demand", [row.demand_wh for row in last])],
            list(_hours(last, words, zone)),
            title=_("Given to neighbours and asked of them, in the last 24 hours that are settled"),
        ),
        "reasons": [_reason(reason) for reason in week.withheld],
    }


def _parts(day: figures.Day) -> Sequence[tuple[str, int]]:
    return ("matched", day.matched_wh), ("outside", day.outside_wh)


def _day_words(day: figures.Day, words: Words) -> str:
    return _("{day}: {matched} from neighbours, {outside} from outside").format(
        day=words.day(day.day), matched=words.energy(day.matched_wh), outside=words.energy(day.outside_wh)
    )


def _hours(totals: Sequence[PublicTotal], words: Words, zone: ZoneInfo) -> Iterator[tuple[int, str]]:
    """A label every six hours of the local day, none at the very edges."""
    for at, row in enumerate(totals):
        local = _utc(row.start_s).astimezone(zone)
        if (local.hour % 6, local.minute) == (0, 0) and 2 < at < len(totals) - 3:
            yield at, words.clock(row.start_s)


def _reason(reason: Withheld) -> str:
    """Why a figure is not told, for those who miss it."""
    match reason:
        case Withheld.TOO_FEW_SITES:
            return _("Fewer than ten homes stood behind the total: it would say too much of each.")
        case Withheld.DOMINATED:
            return _("One or two homes made up most of the total: a home would be read off it.")
        case Withheld.DIFFERS_BY_FEW:
            return _("Together with what was told before, a few homes could be worked out.")
        case _:
            return _("It was not noted how much a single home stood for.")


def _utc(time_s: int) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)
