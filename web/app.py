"""Wires the pages of one commune into an application; nothing runs until a server calls it."""

import logging
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from commonwatt.clock import CivilClock, Protocolar
from commonwatt.errors import CommonwattError
from commonwatt.i18n import _, speaking
from ledger.http.limits import RateLimit
from web.book.books import Books
from web.door import Door, Page
from web.drafts.pages import DraftPages
from web.facts import Facts
from web.identity.pages import IdentityPages
from web.looks import HERE, Looks
from web.manners import Manners, language_of
from web.public.pages import PublicPages
from web.public.town import Pinned, TownReader
from web.store.file import WebStore

log = logging.getLogger(__name__)

BURST = 60
"""Pages at once from one address."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the rooms are built from. `wall`: civil time; `clock`: protocol time."""

    directory: Path
    facts: Facts
    books: Books
    store: WebStore
    looks: Looks
    town: TownReader
    clock: Protocolar
    wall: CivilClock
    database_url: str = ""
    """The aggregator's database, where it is not what the directory's settings say."""

    def close(self) -> None:
        """Give the files back."""
        self.books.close()
        self.store.close()


def assemble(
    directory: Path, *, zone: ZoneInfo, clock: Protocolar, wall: CivilClock, database_url: str = ""
) -> Parts:
    """The parts of a commune's directory. UserError or StorageError if it is none that can be read."""
    facts, pinned = Facts.read(directory), Pinned()
    books = Books(directory, look=pinned)
    town = TownReader(
        *(directory, facts, books, pinned), zone=zone, clock=clock, wall=wall, database_url=database_url
    )
    return Parts(directory, facts, books, WebStore(directory), Looks(zone, facts), town, clock, wall, database_url)


def pages(parts: Parts) -> list[Page]:
    """Every page of every room, with who may see it."""
    return [
        *PublicPages(parts.town, parts.looks).pages(),
        *IdentityPages(parts.store, parts.books, parts.looks, parts.facts).pages(),
        *DraftPages(parts.store, parts.books, parts.looks, parts.facts).pages(),
    ]


def build(
    directory: Path, *, zone: ZoneInfo, clock: Protocolar, wall: CivilClock, per_s: float, database_url: str = ""
) -> Starlette:
    """The application of a commune's directory. UserError or StorageError if it is none that can be read.

    `per_s`: requests a second that one address may make in the long run. `database_url`: the aggregator's database,
    where it is not what the directory's settings say.
    """
    parts = assemble(directory, zone=zone, clock=clock, wall=wall, database_url=database_url)
    door = Door(store=parts.store, books=parts.books, looks=parts.looks, clock=wall)
    limit = RateLimit(burst=BURST, per_s=per_s, clock=clock)

    def missing(request: Request, error: Exception) -> Response:
        """What is not there, or not to be asked for that way."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        if "application/json" in request.headers.get("accept", ""):
            with speaking(language_of(request)):
                return JSONResponse({"error": _("That cannot be done."), "to_do": _("Load the page again.")}, status)
        page = parts.looks.page(
            "missing.html", language_of(request), lambda _words: {"status": status}, request.url.path
        )
        return HTMLResponse(page, status, {"Vary": "Accept-Language, Cookie"})

    def unreadable(request: Request, error: Exception) -> Response:
        """What fails here is no reader's mistake: it is logged, and told without details."""
        is_ours = not isinstance(error, CommonwattError)
        log.error("%s: %s", request.url.path, error, exc_info=error if is_ours else None)
        if "application/json" in request.headers.get("accept", ""):
            with speaking(language_of(request)):
                says = {"error": _("It cannot be done at the moment."), "to_do": _("Try again in a minute.")}
                return JSONResponse(says, 503)
        page = parts.looks.page("unreadable.html", language_of(request), lambda _words: {}, request.url.path)
        return HTMLResponse(page, 503, {"Retry-After": "60"})

    served = pages(parts)
    parts.looks.paths = frozenset(page.path for page in served)
    made = Starlette(
        routes=[
            *(door.route(page) for page in served),
            Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
        ],
        middleware=[Middleware(Manners, limit=limit), Middleware(GZipMiddleware, minimum_size=500)],
        exception_handlers={HTTPException: missing, CommonwattError: unreadable, Exception: unreadable},
    )
    made.state.parts = parts
    return made
