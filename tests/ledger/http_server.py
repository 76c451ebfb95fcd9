"""The ledger on real sockets for tests: a server in a thread, and a client that signs as whom a test names."""

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from commonwatt.errors import StorageError
from commonwatt.registry import Status
from commonwatt.testing import ManualClock
from ledger import app, testing
from ledger.book import erased, found
from ledger.book.entry import sha256
from ledger.book.kinds import Subject
from ledger.http import api as http_api
from ledger.http.api import ENTRY_TYPE, Api
from ledger.http.desk import Desk
from ledger.http.limits import RateLimit
from ledger.http.rights import sign_request
from ledger.log import merkle
from ledger.log.note import Signer
from ledger.sequencer import Placed, Sequencer
from ledger.store.engine import engine_for
from ledger.store.sql import Store

REAL = testing.constitution(trial=False)


REAL_GENESIS = found.genesis_entry(
    REAL, entry_id=testing.ident("genesis"), time_s=testing.TIME_S, steward=testing.key("steward")
)


GENESIS_SHA256 = sha256(REAL_GENESIS)


LOG = Signer(testing.ORIGIN, testing.LOG_KEY).verifier


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.data)


class Client:
    """Asks over a socket, signed as whom a test names."""

    def __init__(self, url: str, genesis: bytes, clock: ManualClock) -> None:
        self.url = url
        self._genesis = genesis
        self.clock = clock

    def get(self, target: str, *, wallet: str = "", role: str = "", header: str = "") -> Reply:
        if wallet or role:
            account = testing.ident(wallet) if wallet else None
            time_s = int(self.clock.now_s())
            header = sign_request(
                testing.key(wallet or role),
                self._genesis,
                time_s=time_s,
                method="GET",
                target=target,
                account=account,
            )
        headers = {"Authorization": header} if header else {}
        return self._send(urllib.request.Request(self.url + target, headers=headers))

    def submit(self, data: bytes, content_type: str = ENTRY_TYPE) -> Reply:
        headers = {"Content-Type": content_type}
        return self._send(urllib.request.Request(self.url + "/v1/entries", data=data, headers=headers))

    def _send(self, request: urllib.request.Request) -> Reply:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Reply(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, dict(error.headers), error.read())


def signed(*arguments: Any, **options: Any) -> bytes:
    return testing.signed(*arguments, **options, genesis=GENESIS_SHA256)


def fill(ledger: Sequencer) -> Sequencer:
    """A real ledger: ana, ben and eve; ana earned and paid ben."""
    bodies = [
        (testing.POLICY, "steward", "townhall"),
        *((account(name), "steward") for name in ("association", "ana", "ben", "eve")),
    ]
    entries = [signed(body, *signers) for body, *signers in bodies]
    answers = ledger.submit(entries)
    assert all(isinstance(answer, Placed) for answer in answers), answers
    testing.mint(ledger, [testing.earned("ana", 900, 100)])
    ledger.submit([pay("ana", "ben", 5, "bread")])
    ledger.publish()
    return ledger


def erase_ana(directory: Path) -> Sequencer:
    """A trial ledger whose entries 3 and 5, all that ana had, are empty."""
    with testing.village(directory, "ana", "ben") as ledger:
        ledger.submit([testing.status(Subject.MEMBER, "ana", Status.REVOKED)])
        slots = [(data, merkle.leaf_hash(data)) for data in map(ledger.entry, range(ledger.size))]
        body = erased.compose(testing.ident("ana"), slots, ledger.state, "asked for")
        assert body is not None
        (answer,) = ledger.submit([testing.signed(body, "steward", "townhall")])
        assert isinstance(answer, Placed)
        ledger.publish()
    with Store(engine_for(f"sqlite:///{directory / 'ledger.db'}")) as store:
        store.erase([3, 5])
    return app.open_parts(directory, Signer(testing.ORIGIN, testing.LOG_KEY))


def account(name: str) -> Any:
    subject = Subject.ASSOCIATION if name == "association" else Subject.MEMBER
    return testing.AdmitAccount(subject, testing.ident(name), testing.key(name).public_key, testing.commitment(name))


def pay(payer: str, payee: str, amount_mc: int, memo: str = "") -> bytes:
    body = testing.Transfer(testing.ident(payer), testing.ident(payee), amount_mc, memo)
    return signed(body, payer)


@contextmanager
def serving(make_directory: Callable[[str], Path]) -> Iterator[Callable[..., Client]]:
    """Start servers; all are stopped at the end."""
    running = []

    def start(*, trial: bool = False, is_erased: bool = False, burst: int = 10_000) -> Client:
        directory = make_directory("http")
        clock = ManualClock(civil_s=testing.TIME_S)
        failures: list[StorageError] = []

        def opened() -> Sequencer:
            if is_erased:
                return erase_ana(directory)
            if trial:
                village = testing.village(directory, "ana", "ben")
                village.publish()
                return village
            return fill(app.create_ledger(directory, REAL_GENESIS, testing.LOG_KEY))

        desk = Desk(open_ledger=opened, index=directory / "parties.db", on_failure=failures.append)
        limit = RateLimit(burst=burst, per_s=1, clock=clock)
        api = Api(desk=desk, log=directory / "log", clock=clock, limit=limit)
        listener = socket.create_server(("127.0.0.1", 0))  # listens already, so no client comes too early
        server = uvicorn.Server(uvicorn.Config(http_api.build(api), log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread, desk, listener, failures))
        genesis = testing.GENESIS_SHA256 if trial else GENESIS_SHA256
        return Client(f"http://127.0.0.1:{listener.getsockname()[1]}", genesis, clock)

    yield start
    for server, thread, desk, listener, failures in running:
        server.should_exit = True
        thread.join()
        desk.close()
        listener.close()
        assert failures == []
