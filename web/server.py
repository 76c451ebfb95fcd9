"""Serves the pages of a commune: alone until SIGTERM or SIGINT, or beside whoever has other work to do."""

import asyncio
import logging
import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import uvicorn

from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.errors import CommonwattError, UserError
from commonwatt.i18n import _
from web import app, settings
from web.settings import WebSettings
from web.tls import serving as tls

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 30
END_S_MAX = 5
"""How long answers under way may take when the pages end."""
JOIN_S_MAX = 2 * END_S_MAX
LOOK_S = 1.0
"""How often `run` sees whether the pages are still there."""


def run(directory: Path, *, host: str, port: int, clock: str, told: dict[str, Any]) -> None:
    """Serve `directory` and nothing else. `told`: settings from the command line. UserError for what cannot be read
    or where nobody may listen; CommonwattError if the server ended by itself."""
    ends = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_ignored: ends.set())
    read = settings.load(directory, told)
    with Beside(directory, (host, port), clock=CivilClock.parse(clock), read=read) as pages:
        while not ends.wait(LOOK_S):
            if not pages.is_serving:
                raise CommonwattError(_("the server of the pages has ended; its log says why"))


class Beside:
    """The pages in a thread and an event loop of their own, while the `with` lasts (commonwatt/serving.py).

    Whatever a page does, the thread that entered goes on: a request that fails is answered 500, and a server that
    fails is logged. `read`: the settings, where they were read already.

    While it is entered: `address`, where it listens; `phone_url`, where phones get the local CA, if there is one.
    """

    address: tuple[str, int]
    phone_url: str | None

    def __init__(
        self,
        directory: Path,
        address: tuple[str, int],
        *,
        clock: CivilClock,
        database_url: str = "",
        read: WebSettings | None = None,
    ) -> None:
        read = read or settings.load(directory)
        self._address = address
        self._tls = tls.of(directory, read)
        pages = app.build(
            directory,
            read,
            clock=MonotonicClock(),
            wall=clock,
            database_url=database_url,
        )
        config = uvicorn.Config(
            pages,
            log_config=None,
            access_log=False,  # who reads what is nobody's business, and addresses may carry one-use links
            lifespan="off",
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=END_S_MAX,
            server_header=False,
            **(self._tls.words() if self._tls else {}),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="pages", daemon=True)
        self._stack = ExitStack()
        self._parts = pages.state.parts

    @property
    def is_serving(self) -> bool:
        """Whether the server lives."""
        return self._thread.is_alive()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._parts.close)
            self._listener = stack.enter_context(_listen(self._address))
            host, port = self._listener.getsockname()[:2]
            phone_page = stack.enter_context(self._tls.phone_page(host, port)) if self._tls else None
            stack.enter_context(self._parts.postman)
            self._stack = stack.pop_all()
        self.address, self.phone_url = (host, port), phone_page.url if phone_page else None
        log.info(
            "listening on %s://%s:%d", "https" if self._tls else "http", f"[{host}]" if ":" in host else host, port
        )
        if phone_page:
            log.info("phones come to trust it at %s", phone_page.url)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.should_exit = True
        self._thread.join(JOIN_S_MAX)
        self._stack.close()

    def _serve(self) -> None:
        try:
            asyncio.run(self._serve_until_told())
        except BaseException:  # also what uvicorn calls exit for: others live in this process
            log.exception("the pages have ended; start again to have them back")

    async def _serve_until_told(self) -> None:
        renewing = asyncio.create_task(self._tls.renew_for_ever(), name="tls") if self._tls else None
        await self._server.serve(sockets=[self._listener])
        if renewing is not None:
            renewing.cancel()


def _listen(address: tuple[str, int]) -> socket.socket:
    host, port = address
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UserError(
            _("cannot listen on {host}:{port}: {error}").format(host=host, port=port, error=error.strerror),
            to_do=_("choose another port, or 0 for a free one"),
        ) from error
