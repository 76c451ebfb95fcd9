"""The public pages: the town, its log, its open data."""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from aggregator.privacy import opendata
from aggregator.privacy.public import PublicTotal
from aggregator.privacy.rule import Withheld
from commonwatt.i18n import LANGUAGES, _
from commonwatt.units import INTERVAL_S
from web import chart
from web.chart import Bar, Line
from web.looks import Looks, Words
from web.manners import LANGUAGE_COOKIE, language_of
from web.month import Month
from web.public import figures, proofs
from web.public.town import Town, TownReader

log = logging.getLogger(__name__)

_CURVE_QUARTERS = 96
_YEAR_S = 365 * 86_400


class PublicPages:
    """Routes over one commune."""

    def __init__(self, reader: TownReader, looks: Looks) -> None:
        self._reader, self._looks = reader, looks

    def routes(self) -> list[Route]:
        """Every public address."""
        return [
            Route("/", self.town, name="town"),
            Route("/log", self.log, name="log"),
            Route("/verify", self.verify, name="verify"),
            Route("/data", self.data, name="data"),
            Route("/data/energy-15min-{month}.csv", self.month, name="month"),
            Route("/language", self.language, name="language"),
        ]

    def town(self, request: Request) -> Response:
        """The commune at a glance."""
        return self._answer(request, "town.html", lambda town, words: _town(town, words, self._reader.zone))

    def log(self, request: Request) -> Response:
        """The public log, who witnesses it, and how a stranger checks it."""
        return self._answer(request, "log.html", lambda town, _words: {"head": town.head})

    def verify(self, request: Request) -> Response:
        """Where the reader's own browser checks a proof."""

        def values(town: Town, _words: Words) -> dict[str, Any]:
            told = town.constitution.model_dump(mode="json")
            return {"constitution": proofs.as_script(told), "sentences": proofs.as_script(proofs.words())}

        return self._answer(request, "verify.html", values)

    def data(self, request: Request) -> Response:
        """The open data, by month."""
        return self._answer(request, "data.html", lambda _town, _words: {"months": self._reader.months()})

    def month(self, request: Request) -> Response:
        """The public totals of a month (UTC), as CSV."""
        month = Month.parse(request.path_params["month"])
        rows = self._reader.totals(month.start_s, month.next.start_s) if month is not None else []
        if not rows:
            raise HTTPException(404)
        return Response(opendata.csv_of(rows), media_type="text/csv; charset=utf-8")

    def language(self, request: Request) -> Response:
        """Remember the language that was chosen, and go back to the page; only to one of ours."""
        chosen = request.query_params.get("lang", "")
        path = request.query_params.get("to", "/")
        answer = RedirectResponse(path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/", 303)
        if chosen in LANGUAGES:
            answer.set_cookie(
                LANGUAGE_COOKIE, chosen, max_age=_YEAR_S, samesite="lax", secure=request.url.scheme == "https"
            )
        return answer

    def missing(self, request: Request, error: Exception) -> Response:
        """A page for what is not there, or not to be asked for that way."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self._answer(request, "missing.html", lambda _town, _words: {"status": status}, status)

    def unreadable(self, request: Request, error: Exception) -> Response:
        """What the commune's files do not give now is no reader's mistake: it is logged, and told without details."""
        log.error("%s: %s", request.url.path, error)
        page = self._looks.page("unreadable.html", language_of(request), lambda _words: {}, request.url.path)
        return HTMLResponse(page, 503, {"Retry-After": "60"})

    def _answer(self, request: Request, template: str, values: Any, status: int = 200) -> Response:
        town, language = self._reader.look(), language_of(request)

        def make(words: Words) -> dict[str, Any]:
            return {"facts": town.facts, **values(town, words)}

        page = self._looks.page(template, language, make, request.url.path)
        return HTMLResponse(page, status, {"Vary": "Accept-Language, Cookie", "Content-Language": language})


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
