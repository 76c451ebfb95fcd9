"""Wires the pages of one commune into an application; nothing runs until a server calls it."""

from pathlib import Path
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from commonwatt.clock import CivilClock, Protocolar
from commonwatt.errors import CommonwattError
from ledger.http.limits import RateLimit
from web.looks import HERE, Looks
from web.manners import Manners
from web.public.pages import PublicPages
from web.public.town import TownReader

BURST = 60
"""Requests at once from one address: a page with its stylesheet, many times over."""


def build(
    directory: Path, *, zone: ZoneInfo, clock: Protocolar, wall: CivilClock, per_s: float, database_url: str = ""
) -> Starlette:
    """The application of a commune's directory. UserError or StorageError if it is none that can be read.

    `per_s`: requests a second that one address may make in the long run. `database_url`: the aggregator's database,
    where it is not what the directory's settings say.
    """
    looks = Looks(zone)
    reader = TownReader(directory, zone=zone, clock=clock, wall=wall, database_url=database_url)
    pages = PublicPages(reader, looks)
    limit = RateLimit(burst=BURST, per_s=per_s, clock=clock)

    def missing(request: Request, error: Exception) -> Response:
        return pages.missing(request, error)

    def unreadable(request: Request, error: Exception) -> Response:
        return pages.unreadable(request, error)

    return Starlette(
        routes=[*pages.routes(), Mount("/static", StaticFiles(directory=HERE / "static"), name="static")],
        middleware=[Middleware(Manners, limit=limit), Middleware(GZipMiddleware, minimum_size=500)],
        exception_handlers={HTTPException: missing, CommonwattError: unreadable},
    )
