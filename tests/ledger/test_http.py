"""The ledger on HTTP: a real server, real sockets; who may read what, and an API that changes only on purpose."""

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from commonwatt.errors import StorageError
from commonwatt.registry import Status
from commonwatt.testing import ManualClock
from ledger import app, testing
from ledger.book import erased, found
from ledger.book.body import Hold, PaymentAnswer, PaymentRequest, Reverse, Transfer
from ledger.book.entry import sha256
from ledger.book.kinds import Subject
from ledger.book.payments import Verdict
from ledger.http import api as http_api
from ledger.http.api import ENTRY_TYPE, Api
from ledger.http.desk import Desk
from ledger.http.index import PartyIndex
from ledger.http.limits import CLIENTS_MAX, RateLimit
from ledger.http.problems import MEDIA_TYPE
from ledger.http.rights import sign_request
from ledger.log import merkle
from ledger.log.checkpoint import open_checkpoint
from ledger.log.note import Signer
from ledger.proof import tlog_proof as proof
from ledger.sequencer import Placed, Sequencer
from ledger.store.engine import engine_for
from ledger.store.sql import Store
from ledger.witness.policy import TlogPolicy

SNAPSHOT = Path(__file__).parents[1] / "vectors" / "openapi-ledger.json"
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


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Client]]:
    """Start servers; all are stopped at the end."""
    running = []

    def start(*, trial: bool = False, is_erased: bool = False, burst: int = 10_000) -> Client:
        directory = tmp_path_factory.mktemp("http")
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


@pytest.fixture(scope="module")
def client(serve: Callable[..., Client]) -> Client:
    """A client of a real (not trial) ledger."""
    return serve()


def place_of(client: Client, kind: str, role: str = "auditor") -> int:
    rows = client.get("/v1/entries", role=role).json["entries"]
    return next(row["place"] for row in rows if f"  {kind} " in row["text"])


def test_api_when_unchanged(serve: Callable[..., Client]) -> None:
    """The description is the committed one: who changes the API changes tests/vectors/openapi-ledger.json too."""
    described = serve().get("/openapi.json").json
    assert described == json.loads(SNAPSHOT.read_text())


def test_ledger_when_anyone_asks(client: Client) -> None:
    """Which ledger this is, is public."""
    about = client.get("/v1/ledger").json
    assert about["genesis_sha256"] == GENESIS_SHA256.hex()
    assert (about["trial"], about["commune"]) == (False, "testville")


def test_account_when_its_holder_asks(client: Client) -> None:
    """The holder sees balance and history, page by page; the pages together are everything."""
    ana = testing.ident("ana").hex()
    reply = client.get(f"/v1/accounts/{ana}", wallet="ana")
    assert reply.status == 200, reply.data
    assert reply.json["credits_mc"] == 900
    target, seen = f"/v1/accounts/{ana}/history?limit=1", []
    while target:
        page = client.get(target, wallet="ana").json
        seen += [row["place"] for row in page["entries"]]
        target = page["next"]
    whole = client.get(f"/v1/accounts/{ana}/history", wallet="ana").json
    assert [row["place"] for row in whole["entries"]] == seen
    assert len(seen) >= 3  # her admission, her mint, her payment
    assert whole["next"] is None


FORBIDDEN = [
    *("/v1/accounts/{ana}", "/v1/accounts/{ana}/history"),
    *("/v1/entries/{mint}", "/v1/entries/{transfer}", "/v1/entries/{admit}", "/tile/entries/000.p/{size}"),
]


@pytest.mark.parametrize("target", FORBIDDEN)
def test_entry_of_another_when_asked(client: Client, target: str) -> None:
    """Neither the public nor a neighbour reads what is ana's; auditors do."""
    log = client.get("/checkpoint").data.decode().splitlines()
    names = {"ana": testing.ident("ana").hex(), "size": log[1]}
    names |= {kind: str(place_of(client, kind)) for kind in ("mint", "transfer")}
    names["admit"] = str(client.get(f"/v1/accounts/{names['ana']}/history", wallet="ana").json["entries"][0]["place"])
    path = target.format(**names)
    assert client.get(path).status in (401, 403)
    assert client.get(path, wallet="eve").status == 403
    for role in ("steward", "townhall", "operator", "auditor"):
        assert client.get(path, role=role).status == 200, role
    assert client.get(path, role="aggregator").status == 401


def test_entries_when_listed(client: Client) -> None:
    """A list has what the asker may read: nothing of others, for anyone but auditors."""
    public = client.get("/v1/entries").json["entries"]
    assert {row["text"].split()[3] for row in public} == {"genesis", "policy"}
    eve = testing.ident("eve").hex()
    for row in client.get("/v1/entries", wallet="eve").json["entries"]:
        assert row in public or eve in row["text"]
    everything = client.get("/v1/entries", role="auditor").json["entries"]
    assert [row["place"] for row in everything] == list(range(len(everything)))
    texts = b"".join(client.get(f"/v1/entries?limit={n}", wallet="eve").data for n in (1, 7, 200))
    assert testing.ident("ana").hex().encode() not in texts
    assert b"bread" not in texts


def test_trial_when_anyone_reads(serve: Callable[..., Client]) -> None:
    """A trial ledger publishes its entries, bundles too."""
    trial = serve(trial=True)
    assert len(trial.get("/v1/entries").json["entries"]) == 5
    assert trial.get("/tile/entries/000.p/5").status == 200


def test_entry_when_it_was_erased(serve: Callable[..., Client]) -> None:
    """Its place says so, its proof is still there, and neither lists nor histories have it."""
    client = serve(trial=True, is_erased=True)
    for place in (3, 5):
        reply = client.get(f"/v1/entries/{place}")
        assert (reply.status, reply.json["type"]) == (410, "/problems/erased")
        assert reply.headers["content-type"] == MEDIA_TYPE
        assert client.get(f"/v1/entries/{place}/proof").status == 200
    assert [row["place"] for row in client.get("/v1/entries").json["entries"]] == [0, 1, 2, 4, 6]
    ana = testing.ident("ana").hex()
    assert client.get(f"/v1/accounts/{ana}", wallet="ana").status == 401, "nobody has this account any more"
    assert client.get(f"/v1/accounts/{ana}/history", role="auditor").status == 404


def wrong_headers(client: Client, target: str) -> dict[str, str]:
    ana, time_s = testing.ident("ana"), int(client.clock.now_s())

    def sign(**changes: Any) -> str:
        options = {"time_s": time_s, "method": "GET", "target": target, "account": ana} | changes
        genesis = options.pop("genesis", GENESIS_SHA256)
        return sign_request(testing.key(options.pop("signer", "ana")), genesis, **options)

    return {
        "another-scheme": "Bearer abc",
        "not-base64": "Commonwatt ***",
        "not-cose": "Commonwatt aGVsbG8=",
        "old": sign(time_s=time_s - 301),
        "from-the-future": sign(time_s=time_s + 301),
        "another-target": sign(target=target + "?limit=1"),
        "another-method": sign(method="POST"),
        "another-ledger": sign(genesis=testing.GENESIS_SHA256),
        "another-wallet": sign(signer="eve"),
        "unknown-account": sign(account=testing.ident("nobody")),
        "role-nobody-holds": sign(account=None, signer="eve"),
        "role-that-does-not-audit": sign(account=None, signer="aggregator"),
    }


def test_request_when_badly_signed(client: Client) -> None:
    """A header that is not good is refused, never passed over as if there were none."""
    target = f"/v1/accounts/{testing.ident('ana').hex()}"
    for name, header in wrong_headers(client, target).items():
        reply = client.get(target, header=header)
        assert reply.status == 401, name
        assert reply.headers["content-type"] == MEDIA_TYPE
        assert client.get("/v1/entries", header=header).status == 401, name


def test_submit_when_good_repeated_and_refused(client: Client) -> None:
    """201 at first, 200 with the same place again, 409 and 422 with the refusal's own name."""
    entry = pay("ana", "ben", 7, "milk")
    first, again = client.submit(entry), client.submit(entry)
    assert (first.status, again.status) == (201, 200)
    assert first.json["place"] == again.json["place"]
    assert (first.json["is_repeat"], again.json["is_repeat"]) == (False, True)
    other = testing.Transfer(testing.ident("ana"), testing.ident("ben"), 8, "milk")
    name = repr(testing.Transfer(testing.ident("ana"), testing.ident("ben"), 7, "milk"))
    conflict = client.submit(signed(other, "ana", entry_id=name))
    assert (conflict.status, conflict.json["type"]) == (409, "/problems/conflict")
    assert conflict.json["place"] == first.json["place"]
    for data, reason in [
        (pay("ana", "ben", 10**9), "insufficient-funds"),
        (pay("nobody", "ben", 1), "unknown-account"),
        (testing.pay("ana", "ben", 1), "bad-signature"),
        (b"hello", "malformed"),
        (testing.earned("ana", 5).encode(), "misplaced"),
    ]:
        refused = client.submit(data)
        assert (refused.status, refused.json["type"]) == (422, f"/problems/{reason}")
        assert refused.headers["content-type"] == MEDIA_TYPE
    assert client.submit(bytes(65_536)).status == 413
    assert client.submit(entry, content_type="text/plain").status == 415


def test_submit_when_many_clients_do(client: Client) -> None:
    """Entries from many threads are each placed once; the published head follows."""
    before = client.get("/v1/ledger").json["size"]
    replies: list[Reply] = []
    threads = [
        threading.Thread(target=lambda n=number: replies.append(client.submit(pay("ana", "ben", 1, f"many {n}"))))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply.json["place"] for reply in replies) == list(range(before, before + 20))


def test_proof_when_fetched(client: Client) -> None:
    """The proof of any published entry is public: it has hashes only, and it verifies."""
    text = client.get("/v1/entries/0/proof")
    parsed = proof.parse(text.data)
    assert parsed.extra is None
    assert proof.check(parsed, merkle.leaf_hash(REAL_GENESIS), LOG, TlogPolicy()).checkpoint.size > 0
    assert client.get("/v1/entries/99999/proof").status == 404


def test_files_when_fetched(client: Client) -> None:
    """Checkpoint and hash tiles are public; names that are no tile's, and paths out of the log, are not there."""
    head, _ = open_checkpoint(client.get("/checkpoint").data, LOG)
    tile = client.get(f"/tile/0/000.p/{head.size}")
    assert (tile.status, len(tile.data)) == (200, 32 * head.size)
    assert "immutable" in tile.headers["cache-control"]
    for path in ("/tile/0/999", "/tile/../ledger.db", "/tile/%2e%2e/%2e%2e/ledger.db", "/tile/0/0", "/nothing"):
        reply = client.get(path)
        assert (reply.status, reply.headers["content-type"]) == (404, MEDIA_TYPE)
    assert client.get("/checkpoint.cosigned").status == 404


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/accounts/zz", 400),
        ("/v1/entries?limit=0", 400),
        ("/v1/entries?limit=201", 400),
        ("/v1/entries?after=-2", 400),
        ("/v1/entries/x", 400),
        ("/v1/entries/-1", 400),
        (f"/v1/entries/{2**63}", 400),
        (f"/v1/entries?after={2**63}", 400),
        ("/v1/accounts/" + "AB" * 16, 400),
        ("/v1/accounts/" + "ab" * 18, 400),
        ("/v1/ledger/", 404),
        ("/v2/ledger", 404),
        ("/v1/entries/99999", 404),
    ],
)
def test_parameters_when_wrong(client: Client, target: str, status: int) -> None:
    """A mistake is a problem with a type, not a stack trace."""
    reply = client.get(target)
    assert (reply.status, reply.headers["content-type"]) == (status, MEDIA_TYPE)
    assert reply.json["status"] == status


def test_rate_when_too_fast(serve: Callable[..., Client]) -> None:
    """After the burst a client waits as long as it is told, then may ask again."""
    slow = serve(trial=True, burst=3)
    assert [slow.get("/v1/ledger").status for _ in range(4)] == [200, 200, 200, 429]
    refused = slow.get("/v1/ledger")
    assert (refused.headers["retry-after"], refused.headers["content-type"]) == ("2", MEDIA_TYPE)
    slow.clock.advance(1)
    assert slow.get("/v1/ledger").status == 200


def test_rate_when_clients_are_many() -> None:
    """One client's haste is not another's, and their number is bounded."""
    limit = RateLimit(burst=1, per_s=1, clock=ManualClock())
    assert limit.wait_s("first") == 0
    assert limit.wait_s("first") == 1
    assert limit.wait_s("second") == 0
    for number in range(CLIENTS_MAX):
        limit.wait_s(str(number))
    assert limit.wait_s("first") == 0  # forgotten: it was unused longest


def test_index_when_lost_or_of_another_ledger(tmp_path: Path) -> None:
    """Derived: rebuilt when it is gone, when it belongs to another ledger, when it is ahead of a restored one."""
    with testing.village(tmp_path / "one", "ana", "ben") as one, testing.village(tmp_path / "two", "ana") as two:
        ana = testing.ident("ana")
        index = PartyIndex(tmp_path / "parties.db", one)
        assert index.places(ana, after=-1, limit=10) == [3]
        one.submit([testing.status(Subject.MEMBER, "ana", Status.SUSPENDED)])
        assert index.places(ana, after=-1, limit=10) == [3, 5]
        assert index.places(ana, after=3, limit=10) == [5]
        index.close()
        again = PartyIndex(tmp_path / "parties.db", two)
        assert again.places(ana, after=-1, limit=10) == [3]
        again.close()


def test_account_in_another_unit_when_its_holder_asks(client: Client) -> None:
    """Units stand apart; an answer warns past the soft limit, says what is free, and a hold shows as incoming."""
    hours, hearts = testing.account("ana:hours").hex(), testing.account("ana:mutual").hex()
    lent = signed(Transfer(testing.account("ana:mutual"), testing.account("ben:mutual"), 150, ""), "ana")
    reply = client.submit(lent)
    assert (reply.status, reply.json["warned"]) == (201, [hearts])
    account = client.get(f"/v1/accounts/{hearts}", wallet="ana").json
    assert (account["unit"], account["balance_mc"], account["soft_limit_mc"]) == ("mutual", -150, 100)
    assert client.get(f"/v1/accounts/{hours}", wallet="ana").json["hard_limit_mc"] == 8000
    assert client.get(f"/v1/accounts/{hearts}", wallet="ben").status == 403
    window = (testing.TIME_S + 9 * testing.WINDOW_S, testing.TIME_S + 10 * testing.WINDOW_S)
    assert client.submit(signed(Hold(testing.ident("ana"), 1, *window, 42, "odd"), "steward")).status == 201
    assert client.get(f"/v1/accounts/{testing.ident('ana').hex()}", wallet="ana").json["incoming_mc"] == 42
    assert client.get(f"/v1/accounts/{testing.ident('ana').hex()}05", wallet="ana").status == 400


def test_request_when_its_parties_read_it(client: Client) -> None:
    """Asking, answering and undoing concern payer and payee, and nobody else but auditors."""
    ask = signed(PaymentRequest(testing.ident("ben"), testing.ident("ana"), 7, True, "jam"), "ben", entry_id="ask")
    answers = [
        ask,
        signed(PaymentAnswer(testing.entry_id("ask"), Verdict.ACCEPT), "ana"),
        signed(PaymentAnswer(testing.entry_id("ask"), Verdict.SETTLE), "ana", entry_id="paid"),
        signed(Reverse(testing.entry_id("paid"), 3, "an error"), "steward", "townhall"),
    ]
    assert [client.submit(data).status for data in answers] == [201] * len(answers)
    for kind in ("payment-request", "payment-answer", "reverse"):
        place = place_of(client, kind)
        seen = {name: client.get(f"/v1/entries/{place}", wallet=name).status for name in ("ana", "ben", "eve")}
        assert seen == {"ana": 200, "ben": 200, "eve": 403}, kind
    history = client.get(f"/v1/accounts/{testing.ident('ben').hex()}/history", wallet="ben").json["entries"]
    assert sum("payment-" in row["text"] or "reverse" in row["text"] for row in history) == len(answers)


def test_method_when_not_allowed(client: Client) -> None:
    """Another method is told which ones there are."""
    request = urllib.request.Request(client.url + "/v1/ledger", method="DELETE")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    with caught.value as answer:
        assert (answer.code, answer.headers["allow"], answer.headers["content-type"]) == (405, "GET", MEDIA_TYPE)


def test_submit_when_its_type_has_parameters(client: Client) -> None:
    """RFC 9052 lets the media type carry a parameter; another type is refused before the body is read."""
    payment = pay("ana", "ben", 1, "with a parameter")
    assert client.submit(payment, 'application/cose; cose-type="cose-sign1"').status == 201
    assert client.submit(payment, "Application/COSE").status == 200
    assert client.submit(payment, "text/plain").status == 415


def test_proof_when_the_log_grows_meanwhile(serve: Callable[..., Client]) -> None:
    """While entries come in and partial tiles give way to full ones, every proof that is asked for verifies."""
    client = serve()
    entries = [pay("ana", "ben", 1, f"payment {number}") for number in range(260)]
    stop = threading.Event()

    def submit() -> None:
        for data in entries:
            assert client.submit(data).status == 201
        stop.set()

    writer = threading.Thread(target=submit)
    writer.start()
    count = 0
    while not stop.is_set() or count == 0:
        reply = client.get("/v1/entries/0/proof")
        assert reply.status == 200, reply.data
        proof.check(proof.parse(reply.data), merkle.leaf_hash(REAL_GENESIS), LOG, TlogPolicy())
        count += 1
    writer.join()
    assert count > 10
