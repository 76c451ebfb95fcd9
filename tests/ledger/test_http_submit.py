"""Entries sent over HTTP: placed once, refused by name, proven while the log grows; files, rates and the index."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from commonwatt.registry import Status
from commonwatt.testing import ManualClock
from ledger import testing
from ledger.book.kinds import Subject
from ledger.http.index import PartyIndex
from ledger.http.limits import CLIENTS_MAX, RateLimit
from ledger.http.problems import MEDIA_TYPE
from ledger.log import merkle
from ledger.log.checkpoint import open_checkpoint
from ledger.proof import tlog_proof as proof
from ledger.witness.policy import TlogPolicy
from tests.ledger.http_server import LOG, REAL_GENESIS, Client, Reply, pay, serving, signed


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Client]]:
    """Start servers; all are stopped at the end."""
    with serving(tmp_path_factory.mktemp) as start:
        yield start


@pytest.fixture(scope="module")
def client(serve: Callable[..., Client]) -> Client:
    """A client of a real (not trial) ledger."""
    return serve()


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
        with ThreadPoolExecutor(8) as pool:  # together they are placed in batches, so that this takes no minute
            statuses = [reply.status for reply in pool.map(client.submit, entries)]
        stop.set()
        assert statuses == [201] * len(entries)

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
