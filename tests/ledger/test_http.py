"""The ledger on HTTP: a real server, real sockets; who may read what, and an API that changes only on purpose."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import testing
from ledger.book.body import Hold, PaymentAnswer, PaymentRequest, Reverse, Transfer
from ledger.book.payments import Verdict
from ledger.http.problems import MEDIA_TYPE
from ledger.http.rights import sign_request
from tests.ledger.http_server import (
    GENESIS_SHA256,
    Client,
    serving,
    signed,
)

SNAPSHOT = Path(__file__).parents[1] / "vectors" / "openapi-ledger.json"


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Client]]:
    """Start servers; all are stopped at the end."""
    with serving(tmp_path_factory.mktemp) as start:
        yield start


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
