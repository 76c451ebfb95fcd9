"""Every route, asked by everyone: nobody without the right sees another member's entries, whatever the spelling."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from commonwatt.registry import Status
from commonwatt.testing import ManualClock
from ledger import app as ledgers
from ledger import testing
from ledger.book import found
from ledger.book.body import AdmitAccount, SetStatus
from ledger.book.entry import parse, sha256
from ledger.book.kinds import Kind, Subject
from ledger.http import api as http_api
from ledger.http.api import Api
from ledger.http.desk import Desk
from ledger.http.limits import RateLimit
from ledger.http.problems import MEDIA_TYPE
from ledger.http.rights import REQUEST_AGE_S_MAX, sign_request
from ledger.log import tiles
from ledger.sequencer import Placed

GENESIS = found.genesis_entry(
    testing.constitution(trial=False),
    entry_id=testing.ident("genesis"),
    time_s=testing.TIME_S,
    steward=testing.key("steward"),
)
GENESIS_SHA256 = sha256(GENESIS)
MEMBERS = ("ana", "ben", "eve", "sue", "rex")
"""Ana pays ben; eve has no part in it; sue is suspended, rex is revoked, and both were paid before."""
AUDITORS = ("steward", "townhall", "operator", "auditor")
ROUTES = {
    "/v1/ledger",
    "/v1/accounts/{account}",
    "/v1/accounts/{account}/history",
    "/v1/entries",
    "/v1/entries/{place}",
    "/v1/entries/{place}/proof",
    "/checkpoint",
    "/checkpoint.cosigned",
    "/tile/{path:path}",
}


@dataclass(frozen=True)
class Village:
    """The application, what it serves, and the entries behind it."""

    app: FastAPI
    entries: tuple[bytes, ...]

    def targets(self) -> list[str]:
        """Every target that there is: each route with every value that leads somewhere, and some that do not."""
        accounts = [testing.ident(name).hex() for name in (*MEMBERS, "association", "nobody")] + ["00" * 16]
        size = len(self.entries)
        pages = ["", "?limit=1", "?after=-1&limit=200", f"?after={size - 2}", "?after=2&limit=3"]
        found = ["/v1/ledger", "/checkpoint", "/checkpoint.cosigned", *(f"/v1/entries{page}" for page in pages)]
        for account in accounts:
            found += [f"/v1/accounts/{account}", *(f"/v1/accounts/{account}/history{page}" for page in pages)]
        for place in range(size + 1):
            found += [f"/v1/entries/{place}", f"/v1/entries/{place}/proof"]
        return found + [f"/{name.path}" for name in tiles.names(size)] + ["/tile/entries/000", "/tile/entries/001"]

    def ask(self, target: str, header: str = "") -> tuple[int, bytes]:
        """Status and body of a GET, through the application's own stack."""
        path, _, query = target.partition("?")
        headers = [(b"host", b"ledger")] + ([(b"authorization", header.encode())] if header else [])
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("ledger", 80),
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        body = b"".join(message.get("body", b"") for message in sent)
        kind = dict(sent[0]["headers"])[b"content-type"].decode()
        status: int = sent[0]["status"]
        assert (status >= 400) == (kind == MEDIA_TYPE), (target, status, kind)
        return status, body

    def everything(self, asker: "Asker") -> bytes:
        """All that one asker ever gets from any route."""
        answers = [self.ask(target, asker(target)) for target in self.targets()]
        return b"\n".join(body for status, body in answers if status == 200)


Asker = Callable[[str], str]
"""From a target to the header that goes with it."""


def wallet(name: str, **changes: Any) -> Asker:
    return lambda target: header(name, target, account=testing.ident(name), **changes)


def role(name: str, **changes: Any) -> Asker:
    return lambda target: header(name, target, **changes)


def header(signer: str, target: str, **changes: Any) -> str:
    fields: dict[str, Any] = {"time_s": testing.TIME_S, "method": "GET", "target": target, **changes}
    return sign_request(testing.key(signer), fields.pop("genesis", GENESIS_SHA256), **fields)


def nobody(_target: str) -> str:
    return ""


def signed(body: Any, *signers: str) -> bytes:
    return testing.signed(body, *signers, genesis=GENESIS_SHA256)


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    """A real (not trial) ledger behind its API."""
    directory = tmp_path_factory.mktemp("rights")
    desk = Desk(open_ledger=lambda: _filled(directory), index=directory / "parties.db", on_failure=_no_failure)
    clock = ManualClock(civil_s=testing.TIME_S)
    limit = RateLimit(burst=10**9, per_s=1, clock=clock)
    app = http_api.build(Api(desk=desk, log=directory / "log", clock=clock, limit=limit))
    size = asyncio.run(desk.ask(lambda ledger, _: ledger.size))
    entries = asyncio.run(desk.ask(lambda ledger, _: tuple(ledger.entry(place) for place in range(size))))
    yield Village(app, entries)
    desk.close()


def _no_failure(error: Exception) -> None:
    raise AssertionError from error


def _filled(directory: Path) -> Any:
    ledger = ledgers.create_ledger(directory, GENESIS, testing.LOG_KEY)
    admitted = [
        signed(
            AdmitAccount(
                Subject.ASSOCIATION if name == "association" else Subject.MEMBER,
                testing.ident(name),
                testing.key(name).public_key,
                testing.commitment(name),
            ),
            "steward",
        )
        for name in ("association", *MEMBERS)
    ]
    entries = [signed(testing.POLICY, "steward", "townhall"), *admitted]
    assert all(isinstance(answer, Placed) for answer in ledger.submit(entries))
    assert isinstance(testing.mint(ledger, [testing.earned("ana", 900, 100)]), Placed)
    payments = [
        signed(testing.Transfer(testing.ident("ana"), testing.ident(name), 5, f"memo for {name}"), "ana")
        for name in ("ben", "sue", "rex")
    ]
    changes = [
        signed(SetStatus(Subject.MEMBER, testing.ident(name), status, f"why {name}"), "steward")
        for name, status in (("sue", Status.SUSPENDED), ("rex", Status.REVOKED))
    ]
    assert all(isinstance(answer, Placed) for answer in ledger.submit([*payments, *changes]))
    ledger.publish()
    return ledger


def test_routes_when_one_is_added(village: Village) -> None:
    """Who adds a route that reads adds it here: every target below is asked by everyone."""
    routes = {route.path for route in village.app.routes if isinstance(route, APIRoute) and "GET" in route.methods}
    assert routes == ROUTES
    writing = {
        route.path for route in village.app.routes if isinstance(route, APIRoute) and "GET" not in route.methods
    }
    assert writing == {"/v1/entries"}


def test_everything_when_auditors_ask(village: Village) -> None:
    """The four auditing roles see every entry and every account."""
    seen = {name: village.everything(role(name)) for name in AUDITORS}
    assert len(set(seen.values())) == 1
    whole = seen["auditor"]
    assert all(data.hex().encode() in whole for data in village.entries)


STRANGERS: dict[str, Asker] = {
    "nobody": nobody,
    "eve": wallet("eve"),
    "a wallet that was never admitted": wallet("mallory"),
    "the aggregator, which mints but does not audit": role("aggregator"),
    "the log": role("log"),
    "eve's key for ana's account": lambda target: header("eve", target, account=testing.ident("ana")),
    "ana's key for no account": role("ana"),
    "rex, who is revoked": wallet("rex"),
    "ana, too late": wallet("ana", time_s=testing.TIME_S - REQUEST_AGE_S_MAX - 1),
    "ana, too early": wallet("ana", time_s=testing.TIME_S + REQUEST_AGE_S_MAX + 1),
    "ana, for another ledger": wallet("ana", genesis=bytes(32)),
    "ana, for another target": lambda _target: wallet("ana")("/v1/ledger?"),
    "ana, for another method": wallet("ana", method="POST"),
    "an auditor, for another ledger": role("auditor", genesis=bytes(32)),
    "an auditor, too late": role("auditor", time_s=testing.TIME_S - REQUEST_AGE_S_MAX - 1),
    "no signature at all": lambda _target: "Commonwatt AAAA",
    "another scheme": lambda target: wallet("ana")(target).replace("Commonwatt", "Bearer"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_everything_when_strangers_ask(village: Village, name: str) -> None:
    """All answers together hold no entry, id, amount or memo of ana's, nor anything between her and others."""
    seen = village.everything(STRANGERS[name])
    secrets = [testing.ident(member).hex() for member in ("ana", "ben", "sue")] + ["memo", "why", "900", "895"]
    if "eve" not in name and "rex" not in name:
        secrets += [testing.ident("eve").hex(), testing.ident("rex").hex()]
    assert [secret for secret in secrets if secret.encode() in seen] == []
    public = {place for place, data in enumerate(village.entries) if _kind(data) in (Kind.GENESIS, Kind.POLICY)}
    for place, data in enumerate(village.entries):
        is_own = name == "eve" and testing.ident("eve") in data
        assert (data.hex().encode() in seen) <= (place in public or is_own), place


@pytest.mark.parametrize("name", ["ana", "ben", "sue", "eve"])
def test_everything_when_members_ask(village: Village, name: str) -> None:
    """A member sees the public entries and those that name the own account: all of these and no others."""
    seen = village.everything(wallet(name))
    for place, data in enumerate(village.entries):
        is_public = _kind(data) in (Kind.GENESIS, Kind.POLICY)
        assert (data.hex().encode() in seen) == (is_public or testing.ident(name) in data), place
    others = {testing.ident(other).hex().encode() for other in MEMBERS} - {testing.ident(name).hex().encode()}
    for other in others:
        for page in ("", "/history"):
            target = f"/v1/accounts/{other.decode()}{page}"
            assert village.ask(target, wallet(name)(target))[0] == 403


def test_spellings_when_a_path_is_written_otherwise(village: Village) -> None:
    """Another spelling of a path is no way around the rights."""
    ana = testing.ident("ana").hex()
    size = len(village.entries)
    spellings = [
        f"/v1/accounts/{ana.upper()}",
        f"/v1/accounts/{ana}/",
        f"//v1/accounts/{ana}",
        f"/v1/accounts/{ana} ",
    ]
    spellings += [
        f"/v1/accounts/{ana[:2]} {ana[2:]}",
        "/tile/entries/0",
        f"/tile//entries/000.p/{size}",
        "/tile/../ledger.db",
    ]
    spellings += [
        f"/tile/entries/000.p/{size}/",
        f"/tile/0/../entries/000.p/{size}",
        "/tile/entries/000.p/0256",
        "/log/checkpoint",
    ]
    for target, asker in itertools.product(spellings, (nobody, wallet("eve"), wallet("ana"), role("auditor"))):
        status, body = village.ask(target, asker(target))
        assert status in (307, 400, 401, 403, 404), target
        assert b"895" not in body


def _kind(data: bytes) -> Kind | None:
    parsed = parse(data)
    return parsed.entry.kind if hasattr(parsed, "entry") else None
