"""Serves the pages of a commune over HTTP until SIGTERM or SIGINT."""

import logging
import socket
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import uvicorn

from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.errors import UserError
from commonwatt.i18n import _
from web import app

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 30


def run(directory: Path, *, host: str, port: int, zone: str, clock: str, per_s: float) -> None:
    """Serve `directory`. UserError for what cannot be read or where nobody may listen."""
    try:
        days = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UserError(_("no such time zone: {zone!r}").format(zone=zone), to_do=_("write Europe/Paris")) from error
    pages = app.build(directory, zone=days, clock=MonotonicClock(), wall=CivilClock.parse(clock), per_s=per_s)
    server = uvicorn.Server(
        uvicorn.Config(pages, log_config=None, lifespan="off", timeout_keep_alive=KEEP_ALIVE_S, server_header=False)
    )
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise UserError(
            _("cannot listen on {host}:{port}: {error}").format(host=host, port=port, error=error.strerror),
            to_do=_("choose another --port, or 0 for a free one"),
        ) from error
    with listener:
        log.info("listening on http://%s:%d", host, listener.getsockname()[1])
        server.run(sockets=[listener])
