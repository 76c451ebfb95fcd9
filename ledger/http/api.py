"""The ledger on HTTP: submit, account, history, proofs, checkpoint, tiles. Described by /openapi.json."""

from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from commonwatt import __version__
from commonwatt.clock import Civil
from commonwatt.errors import FormatError
from commonwatt.units import INT64_MAX
from ledger.book import entry, fields, show
from ledger.book.accounts import NOTHING
from ledger.book.entry import SIZE_MAX
from ledger.book.state import State
from ledger.book.units import holder_of, unit_of
from ledger.http import problems as http_problems
from ledger.http.desk import Desk
from ledger.http.index import PartyIndex
from ledger.http.limits import RateLimit
from ledger.http.problems import Problem
from ledger.http.rights import NOBODY, Rights, read_header
from ledger.log import checkpoint, note
from ledger.log.published import BUNDLE_SIZE_MAX, COSIGNED, PublishedLog
from ledger.log.tiles import CHECKPOINT, ENTRIES, parse_path
from ledger.proof.tlog_proof import TlogProof
from ledger.proof.tree import PublishedTree
from ledger.sequencer import Refused, Sequencer

PAGE_MAX = 200
ENTRY_TYPE = "application/cose"
_TEXT = "text/plain; charset=utf-8"
_BINARY = "application/octet-stream"
_OCTETS = {"type": "string", "format": "binary"}
_IMMUTABLE = "public, max-age=31536000, immutable"

After = Annotated[int, Query(ge=-1, le=INT64_MAX, description="the last place already read")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="how many to look at")]
AccountId = Annotated[
    str, PathParameter(pattern="^([0-9a-f]{32}|[0-9a-f]{34})$", description="hex; with its number in another unit")
]
Place = Annotated[int, PathParameter(ge=0, le=INT64_MAX, description="the entry's place in the log")]


class About(BaseModel):
    """Which ledger this is."""

    commune: str
    origin: str = Field(description="the log's name in its checkpoints")
    genesis_sha256: str = Field(description="hex; what every signature is bound to")
    trial: bool
    unit: str
    size: int = Field(description="entries committed; the checkpoint may be a moment behind")


class Placed(BaseModel):
    """Durable, at this place."""

    place: int
    is_repeat: bool = Field(description="whether it had been there before this request")
    warned: list[str] = Field(description="accounts that it left past their soft limit, hex")
    size: int


class Account(BaseModel):
    """What an account holds. Amounts are whole milli-credits."""

    account: str
    unit: str = Field(
        description="energy, euro, mutual or hours; an account in another unit is the id and its number"
    )
    balance_mc: int
    free_mc: int = Field(description="the balance without what is promised")
    incoming_mc: int = Field(description="earned, and held back until it was looked at")
    soft_limit_mc: int = Field(description="how far below zero before the answer warns")
    hard_limit_mc: int = Field(description="how far below zero at most")
    debits_mc: int = Field(description="everything that ever went out")
    credits_mc: int = Field(description="everything that ever came in")
    status: str


class Entry(BaseModel):
    """One entry: as logged, and in words."""

    place: int
    entry: str = Field(description="hex; as logged")
    text: str


class Page(BaseModel):
    """Entries in the order of the log. `next`: the target of the next page; null at the end."""

    entries: list[Entry]
    next: str | None


class Api:
    """What the routes share. `log`: the published directory; `clock`: civil time, for signed requests."""

    def __init__(self, *, desk: Desk, log: Path, clock: Civil, limit: RateLimit) -> None:
        self.desk = desk
        self.limit = limit
        self._log = log
        self._clock = clock

    async def rights(self, request: Request) -> Rights:
        """Who asks. Nobody without a header; a header that is not good is refused, never passed over."""
        header = request.headers.get("authorization")
        if header is None:
            return NOBODY
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        now_s, method = self._clock.now_s(), request.method
        try:
            return await self.desk.ask(
                lambda ledger, _: read_header(header, ledger.state, now_s=now_s, method=method, target=target)
            )
        except FormatError as error:
            raise Problem(401, error.reason, str(error)) from error

    def published(self) -> PublishedLog:
        """The files as they are now."""
        return PublishedLog(self._log)

    def file(self, path: str, size_max: int) -> bytes:
        """One of them."""
        try:
            return self.published().read(path, size_max=size_max)
        except FormatError as error:
            raise Problem(404, "missing", f"{path} is not there") from error


def build(api: Api) -> FastAPI:
    """The application. Nothing runs until a server calls it."""
    app = FastAPI(
        title="Commonwatt ledger",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses=http_problems.RESPONSES,
        redirect_slashes=False,  # one spelling of a path, which is what is signed
    )
    http_problems.install(app)

    @app.middleware("http")
    async def limit(request: Request, call_next):  # type: ignore[no-untyped-def]
        wait_s = api.limit.wait_s(request.client.host if request.client else "")
        if wait_s > 0:
            refused = http_problems.respond(429, "too-many-requests", f"wait {wait_s:.1f} s")
            refused.headers["Retry-After"] = str(int(wait_s) + 1)
            return refused
        return await call_next(request)

    _ledger_routes(app, api)
    _entry_routes(app, api)
    _file_routes(app, api)
    return app


def _ledger_routes(app: FastAPI, api: Api) -> None:
    Asker = Annotated[Rights, Depends(api.rights)]  # noqa: N806 - a type

    @app.get("/v1/ledger", summary="Which ledger this is")
    async def about() -> About:
        return await api.desk.ask(lambda ledger, _: _about(ledger))

    @app.get("/v1/accounts/{account}", summary="What an account holds; for its holder and auditors")
    async def account(account: AccountId, rights: Asker) -> Account:
        ident = _readable(account, rights)
        return await api.desk.ask(lambda ledger, _: _account(ledger.state, ident))

    @app.get(
        "/v1/accounts/{account}/history", summary="The entries that name an account; for its holder and auditors"
    )
    async def history(
        account: AccountId,
        rights: Asker,
        after: After = -1,
        limit: Limit = 50,
    ) -> Page:
        ident = _readable(account, rights)

        rows = await api.desk.ask(lambda ledger, index: _history(ledger, index, ident, after, limit))
        more = f"/v1/accounts/{account}/history?after={rows[-1].place}&limit={limit}" if len(rows) == limit else None
        return Page(entries=rows, next=more)


def _entry_routes(app: FastAPI, api: Api) -> None:
    Asker = Annotated[Rights, Depends(api.rights)]  # noqa: N806 - a type

    @app.post(
        "/v1/entries",
        status_code=201,
        summary="Submit a signed entry; answered when it is durable",
        responses={200: {"model": Placed, "description": "It was there already"}},
        openapi_extra={"requestBody": {"required": True, "content": {ENTRY_TYPE: {"schema": _OCTETS}}}},
    )
    async def submit(request: Request, response: Response) -> Placed:
        data = await _body(request)
        answer, size = await api.desk.submit(data)
        if isinstance(answer, Refused):
            raise http_problems.of_refusal(answer.refusal, answer.place)
        if answer.is_repeat:
            response.status_code = 200
        warned = [account.hex() for account in answer.warned]
        return Placed(place=answer.place, is_repeat=answer.is_repeat, warned=warned, size=size)

    @app.get("/v1/entries", summary="The entries that the asker may read")
    async def entries(
        rights: Asker,
        after: After = -1,
        limit: Limit = 50,
    ) -> Page:
        rows, last, size = await api.desk.ask(lambda ledger, _: _page(ledger, rights, after, limit))
        more = f"/v1/entries?after={last}&limit={limit}" if last + 1 < size else None
        return Page(entries=rows, next=more)

    @app.get("/v1/entries/{place}", summary="One entry; for its parties, auditors, or everyone if it is public")
    async def one(place: Place, rights: Asker) -> Entry:
        return await api.desk.ask(lambda ledger, _: _read_one(ledger, rights, place))

    @app.get("/v1/entries/{place}/proof", response_class=PlainTextResponse, summary="C2SP tlog-proof; hashes only")
    def proof(place: Place) -> Response:
        log = api.published()
        head = log.checkpoint_bytes()  # read once: the publisher may be replacing it
        size = checkpoint.parse(note.parse(head).text).size
        if place >= size:
            raise Problem(404, "missing", f"the published log has {size} entries")
        hashes = PublishedTree(log.tile, size).inclusion(place)
        data = TlogProof(place, tuple(hashes), head).encode()
        return Response(data, media_type=_TEXT)


def _file_routes(app: FastAPI, api: Api) -> None:
    Asker = Annotated[Rights, Depends(api.rights)]  # noqa: N806 - a type

    @app.get(f"/{CHECKPOINT}", response_class=PlainTextResponse, summary="The signed head of the log (C2SP)")
    def head() -> Response:
        data = api.file(CHECKPOINT, note.NOTE_SIZE_MAX)
        return Response(data, media_type=_TEXT, headers={"Cache-Control": "max-age=2"})

    @app.get(f"/{COSIGNED}", response_class=PlainTextResponse, summary="The newest head that the quorum cosigned")
    def cosigned() -> Response:
        data = api.file(COSIGNED, note.NOTE_SIZE_MAX)
        return Response(data, media_type=_TEXT, headers={"Cache-Control": "max-age=2"})

    @app.get(
        "/tile/{path:path}",
        response_class=Response,
        summary="Tiles (C2SP); entry bundles are for auditors",
        responses={200: {"content": {_BINARY: {"schema": _OCTETS}}, "description": "The file"}},
    )
    async def tile(path: str, rights: Asker) -> Response:
        name = parse_path(f"tile/{path}")
        if name is None:
            raise Problem(404, "missing", "no tile has this name")
        if name.level == ENTRIES:
            is_trial = await api.desk.ask(lambda ledger, _: ledger.state.founded.genesis.trial)
            if not (is_trial or rights.is_auditor):
                raise Problem(403, "not-yours", "entry bundles are for auditors")
        data = api.file(name.path, BUNDLE_SIZE_MAX)
        cache = "private" if name.level == ENTRIES else _IMMUTABLE
        return Response(data, media_type=_BINARY, headers={"Cache-Control": cache})


async def _body(request: Request) -> bytes:
    """At most one entry; what is longer is not read to its end."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != ENTRY_TYPE:
        raise Problem(415, "media-type", f"send an entry as {ENTRY_TYPE}")
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > SIZE_MAX:
            raise Problem(413, "too-large", f"an entry has at most {SIZE_MAX} bytes")
    return bytes(data)


def _about(ledger: Sequencer) -> About:
    genesis = ledger.state.founded.genesis
    return About(
        commune=genesis.commune,
        origin=genesis.origin,
        genesis_sha256=ledger.state.genesis_sha256.hex(),
        trial=genesis.trial,
        unit=genesis.unit_name,
        size=ledger.size,
    )


def _readable(account: str, rights: Rights) -> bytes:
    """The id that a path names; who may not read it is told the same whether or not it exists."""
    try:
        ident = fields.account(bytes.fromhex(account), "an account")
    except FormatError as error:
        raise Problem(400, "parameters", "an account is 32 hex digits, or 34 in a unit beside energy") from error
    if rights == NOBODY:
        raise Problem(401, "not-signed", "sign the request with the account's wallet or an auditing role's key")
    if not rights.may_read(ident):
        raise Problem(403, "not-yours", "this account is another's")
    return ident


def _account(state: State, ident: bytes) -> Account:
    book, holder = state.book, holder_of(ident)
    found = state.admissions.account(holder)
    if ident not in book.accounts and (found is None or not state.founded.genesis.has_unit(unit_of(ident))):
        raise Problem(404, "unknown-account", "there is no such account")
    row, limits = book.accounts.get(ident, NOTHING), book.limits_of(ident)
    status = found[1].name.lower() if found else "active"
    return Account(
        account=ident.hex(),
        unit=unit_of(ident).name.lower(),
        balance_mc=row.balance_mc,
        free_mc=book.free_mc(ident),
        incoming_mc=book.incoming_mc.get(ident, 0),
        soft_limit_mc=limits.soft_mc,
        hard_limit_mc=limits.hard_mc,
        debits_mc=row.debits_mc,
        credits_mc=row.credits_mc,
        status=status,
    )


def _history(ledger: Sequencer, index: PartyIndex, ident: bytes, after: int, limit: int) -> list[Entry]:
    _account(ledger.state, ident)
    return [_entry(place, ledger.entry(place)) for place in index.places(ident, after=after, limit=limit)]


def _entry(place: int, data: bytes) -> Entry:
    return Entry(place=place, entry=data.hex(), text=show.describe(place, data, {}))


def _read_one(ledger: Sequencer, rights: Rights, place: int) -> Entry:
    """Unknown places and others' entries are told apart only as far as the public size tells anyway."""
    if not 0 <= place < ledger.size:
        raise Problem(404, "missing", f"the ledger has {ledger.size} entries")
    data = ledger.entry(place)
    if not data:
        raise Problem(410, "erased", "this entry was erased; its hash is still in the log")
    if not rights.may_read_entry(entry.parse(data), ledger.state, ledger.find_entry):
        raise Problem(403, "not-yours", "this entry is its parties' and the auditors'")
    return _entry(place, data)


def _page(ledger: Sequencer, rights: Rights, after: int, limit: int) -> tuple[list[Entry], int, int]:
    """Looks at `limit` places; those that may not be read are left out, so a page may be short."""
    rows, last = [], after
    for place, data in enumerate(ledger.entries(after + 1, after + 1 + limit), after + 1):
        last = place
        if data and rights.may_read_entry(entry.parse(data), ledger.state, ledger.find_entry):
            rows.append(_entry(place, data))
    return rows, last, ledger.size
