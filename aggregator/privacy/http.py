"""`GET /v1/statistics` on HTTP: what `commonwatt statistics` answers, under the same rule and with the same memory.

A process of its own: no question is worth a late receipt. What is not told is a problem (RFC 9457) whose type ends in
the reason.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import sqlalchemy as sa

from aggregator.privacy import ask, cells
from aggregator.privacy.rule import Withheld
from aggregator.privacy.statistics import STEPS
from aggregator.reading import NothingMeasuredError
from commonwatt.bounded_http import Answer, Pages
from commonwatt.errors import StorageError, UserError
from commonwatt.i18n import _, preferred, speaking
from commonwatt.problems import as_json, problem
from commonwatt.state_pages import HEADERS

log = logging.getLogger(__name__)

PATH = "/v1/statistics"
PARAMETERS = ("cell", "from", "to", "by", "zone")
QUERY_CHARS_MAX = 1000
DAYS_MAX = 366
"""In one question on HTTP: whoever wants more asks again, and others have their turn."""


@dataclass(frozen=True, slots=True)
class _Question:
    cell: str
    days: list[cells.Day]
    step: str


class StatisticsPages:
    """Answers questions about a commune's directory while its `with` lasts, one at a time."""

    def __init__(self, directory: Path, address: tuple[str, int], *, database_url: str = "") -> None:
        self._directory = directory
        self._database_url = database_url
        self._turn = threading.Lock()
        self._pages = Pages(
            address,
            self.answer,
            headers=HEADERS,
            name="statistics-http",
            to_do=_("choose another port with --listen"),
            with_query=True,
        )

    @property
    def port(self) -> int:
        """Where it listens, while it does."""
        return self._pages.port

    def __enter__(self) -> "StatisticsPages":
        self._pages.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._pages.__exit__(*exception)

    def answer(self, target: str, accept_language: str) -> Answer:
        """What a question gets, in the language of who asks."""
        with speaking(preferred(accept_language)):
            parts = urlsplit(target)
            if parts.path != PATH:
                return problem(HTTPStatus.NOT_FOUND, "http", _("There is only {path}.").format(path=PATH))
            try:
                question = _read(parts.query)
            except UserError as error:
                return problem(HTTPStatus.BAD_REQUEST, "parameters", str(error))
            return self._tell(question)

    def _tell(self, question: _Question) -> Answer:
        try:
            with self._turn:
                rows = ask.ask(
                    self._directory, question.cell, question.days, question.step, database_url=self._database_url
                )
        except (StorageError, NothingMeasuredError) as error:
            log.warning("%s", error)
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", _("Nothing can be read just now."))
        except UserError as error:
            if isinstance(error.__cause__, sa.exc.SQLAlchemyError):
                log.warning("%s", error)
                return problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", _("Nothing can be read just now."))
            return problem(HTTPStatus.BAD_REQUEST, "parameters", str(error))
        told = [row.as_json() for row in rows]
        if any(row.figures for row in rows):
            return as_json(HTTPStatus.OK, {"cell": question.cell, "rows": told})
        reason = next(iter(rows[0].withheld.values()))
        status = HTTPStatus.NOT_FOUND if reason is Withheld.NOT_SETTLED else HTTPStatus.FORBIDDEN
        return problem(status, reason.value, _why(reason), more={"cell": question.cell, "rows": told})


def _read(query: str) -> _Question:
    """UserError names the parameter that is wrong."""
    pairs = parse_qsl(query[:QUERY_CHARS_MAX], keep_blank_values=True)
    given = dict(pairs)
    wrong = sorted(given.keys() - set(PARAMETERS))
    if wrong or len(given) < len(pairs):
        raise UserError(
            _("no parameter is called {name!r}, or one is there twice").format(name=", ".join(wrong)),
            to_do=", ".join(PARAMETERS),
        )
    step = given.get("by", "day")
    if step not in STEPS:
        raise UserError(_("{step!r} is no step").format(step=step), where="by", to_do=", ".join(STEPS))
    first = _date(given, "from")
    days = cells.days(first, _date(given, "to") if "to" in given else first, given.get("zone", "Europe/Paris"))
    if len(days) > DAYS_MAX:
        raise UserError(_("a question is of at most {count} days").format(count=DAYS_MAX), where="to")
    return _Question(given.get("cell", cells.COMMUNE), days, step)


def _date(given: Mapping[str, str], name: str) -> date:
    text = given.get(name, "")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UserError(_("{text!r} is no day").format(text=text), where=name, to_do="2026-07-01") from error


def _why(reason: Withheld) -> str:
    return {
        Withheld.NOT_SETTLED: _("The day is not over, or waits for late readings."),
        Withheld.TOO_FEW_SITES: _("Fewer than ten homes stand behind it."),
        Withheld.NOT_RECORDED: _("An earlier version did not note who stood behind these totals."),
        Withheld.DOMINATED: _("One home makes up too much of it."),
        Withheld.DIFFERS_BY_FEW: _("With what was told before, it would lay a few homes bare."),
    }[reason]
