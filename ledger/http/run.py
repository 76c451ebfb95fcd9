"""Builds and runs the ledger's HTTP server for a commune's directory: `commonwatt ledger run`."""

import asyncio
import logging
import socket
from contextlib import suppress
from pathlib import Path

import uvicorn

from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.errors import StorageError
from ledger import app as ledgers
from ledger.http import api as http_api
from ledger.http.api import Api
from ledger.http.desk import Desk
from ledger.http.limits import RateLimit
from ledger.inbox import LOOK_EVERY_S, Inbox

log = logging.getLogger(__name__)

INDEX = "parties.db"
BURST = 100
"""Requests that one address may make at once: a wallet that starts, with some pages of history."""
KEEP_ALIVE_S = 30


def run(directory: Path, *, host: str, port: int, clock: str, per_s: float) -> None:
    """Serve until SIGTERM or SIGINT; StorageError when the store failed meanwhile."""
    failures: list[StorageError] = []
    civil = CivilClock.parse(clock)

    def fail(error: StorageError) -> None:
        failures.append(error)
        server.should_exit = True  # no retry: after a failed commit nobody knows what is on the disk

    desk = Desk(open_ledger=lambda: ledgers.open_ledger(directory), index=directory / INDEX, on_failure=fail)
    limit = RateLimit(burst=BURST, per_s=per_s, clock=MonotonicClock())
    api = Api(desk=desk, log=directory / ledgers.LOG, clock=civil, limit=limit)
    server = uvicorn.Server(
        uvicorn.Config(http_api.build(api), log_config=None, lifespan="off", timeout_keep_alive=KEEP_ALIVE_S)
    )
    try:
        with socket.create_server((host, port)) as listener:
            log.info("listening on http://%s:%d", host, listener.getsockname()[1])
            asyncio.run(_serve(server, listener, desk, directory))
    finally:
        desk.close()
    if failures:
        raise failures[0]


async def _serve(server: uvicorn.Server, listener: socket.socket, desk: Desk, directory: Path) -> None:
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(_look_into_inbox(desk, directory), name="inbox")
        await server.serve(sockets=[listener])
        looking.cancel()


async def _look_into_inbox(desk: Desk, directory: Path) -> None:
    """Carry out what commands lay there, in the desk's turn, until cancelled or the store fails."""
    box = await desk.ask(lambda ledger, _index: Inbox(directory, ledger=ledger, clock=MonotonicClock()))
    with suppress(StorageError):  # the desk has told: the server is ending
        while True:
            await desk.ask(lambda _ledger, _index: box.step())
            await asyncio.sleep(LOOK_EVERY_S)
