"""The operator's requests over HTTP: bad input first, then taken once, shown, and told to gateways."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

import pytest

from aggregator.asking import judging
from aggregator.asking.desk import RequestDesk, Taken
from aggregator.asking.http import BURST, RequestPages
from aggregator.asking.judging import Refused
from aggregator.asking.telling import RequestPublisher
from aggregator.commune.arrivals import Arrivals
from aggregator.commune.attributes import SiteFacts
from aggregator.commune.enacted import known_of
from aggregator.commune.places import Located, Places
from aggregator.commune.registry import Directory
from aggregator.policy.rules import Policy
from aggregator.private.store import PrivateStore
from aggregator.statements.requests import Request
from aggregator.statements.signers import Signers
from aggregator.statements.statement import EVERYBODY, SIGNED_SIZE_MAX, Statement, Topic, reason_of
from aggregator.testing import COMMUNE, GATEWAY, GENESIS, POLICY, TIME_S, commonwatt, ident, key, write_papers
from commonwatt import cose
from commonwatt.asked import ASKED, REQUESTS, Ask, Asked, Requests, ordered
from commonwatt.identity import save_key
from commonwatt.registry import Status
from commonwatt.testing import ManualClock
from ledger import testing as book
from ledger.book.body import SetStatus
from ledger.book.kinds import Subject
from ledger.inbox import LOOK_EVERY_S, Inbox
from ledger.log.published import PublishedLog
from ledger.saved import FILE, Saved, SavedState
from tests.aggregator.test_registry import RecordingLink

HOUR_S, DAY_S = 3600, 86_400
NOW_S = TIME_S + HOUR_S
RULES = Policy.parse(POLICY.text + "[shifting]\nrate_mc_per_kwh = 500\n", where="tests")
MILL = ident("mill lane")
PEAK = Statement(Topic.REQUEST, "peak", EVERYBODY, TIME_S + 6 * HOUR_S, TIME_S + 8 * HOUR_S)


def signed(statement: Statement = PEAK, by: str = "operator", genesis: bytes = GENESIS) -> bytes:
    return statement.sign(key(by), genesis)


class Server:
    """A running aggregator's inbox and the pages beside it; `ask` is what a client does, `turn` the aggregator's."""

    def __init__(self, works: Any) -> None:
        self.works = works
        write_papers(works.directory)
        (works.directory / "policy.toml").write_text(RULES.text)
        names = PrivateStore(works.directory / "private.db")
        names.enrol("feeders", "Mill Lane", MILL)
        names.save()
        works.clock.civil_s = NOW_S
        self.desk = RequestDesk(works.directory, clock=works.clock)
        self.protocol = ManualClock()
        self.pages = RequestPages(self.desk, ("127.0.0.1", 0), self.protocol)
        inbox = Inbox(works.directory, ledger=works.ledger, clock=works.clock)
        self._arrivals = Arrivals(works.directory, inbox=inbox, ledger=works.ledger, database=works.database)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.pages.port}"

    def ask(self, body: bytes | None = None, path: str = "/v1/requests", kind: str = "application/cose") -> Any:
        """Status, JSON and headers of a GET, or of a POST of this body, the aggregator running meanwhile."""
        request = urllib.request.Request(self.url + path, body, {"Content-Type": kind} if body is not None else {})

        def answer() -> Any:
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    return response.status, json.loads(response.read()), response.headers
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.loads(error.read()), error.headers

        return self.while_running(answer)

    def while_running(self, act: Any, *words: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(act, *words)
            while not answer.done():
                self.works.clock.protocol_s += LOOK_EVERY_S
                self._arrivals.step(self.works.intake, self.works.closer)
                wait([answer], timeout=0.01)
        return answer.result()


@pytest.fixture
def server(make_works: Any) -> Iterator[Server]:
    server = Server(make_works(policy=RULES))
    with server.pages:
        yield server


WRONG: list[tuple[bytes, str, int, str]] = [
    (signed(), "application/json", 415, "media-type"),
    (bytes(SIGNED_SIZE_MAX + 1), "application/cose", 413, "too-large"),
    (bytes(500_000), "application/cose", 413, "too-large"),
    (b"", "application/cose", 400, "malformed"),
    (b"peak at six", "application/cose", 400, "malformed"),
    (signed() + b"\x00", "application/cose", 400, "not-canonical"),
    (signed(by="steward"), "application/cose", 403, "not-the-operator"),
    (signed(by="stranger"), "application/cose", 403, "not-the-operator"),
    (signed(genesis=bytes(32)), "application/cose", 403, "not-the-operator"),
    (signed(replace(PEAK, what="rest")), "application/cose", 422, "not-a-request"),
    (signed(replace(PEAK, start_s=PEAK.start_s + 1)), "application/cose", 422, "not-a-request"),
    (signed(replace(PEAK, end_s=PEAK.start_s + 13 * HOUR_S)), "application/cose", 422, "not-a-request"),
    (signed(replace(PEAK, topic=Topic.CORRECTION)), "application/cose", 422, "not-a-request"),
    (signed(replace(PEAK, subject=ident("no line"))), "application/cose", 422, "unknown-feeder"),
    (signed(replace(PEAK, start_s=TIME_S)), "application/cose", 422, "has-begun"),
    (
        signed(replace(PEAK, start_s=PEAK.start_s + 32 * DAY_S, end_s=PEAK.end_s + 32 * DAY_S)),
        "application/cose",
        422,
        "too-far",
    ),
]


def test_requests_that_are_not_taken(server: Server) -> None:
    """Each has its status, its reason and a sentence; the log has nothing of it, and the next is taken."""
    size = server.works.ledger.size
    for body, kind, status, reason in WRONG:
        told = server.ask(body, kind=kind)
        assert (told[0], told[1]["type"]) == (status, f"/problems/{reason}"), told
        assert len(told[1]["detail"]) > 20
    assert server.works.ledger.size == size
    assert server.ask(signed())[0] == 201


def test_a_request_that_was_taken(server: Server) -> None:
    """One call, a clear answer; the same bytes again change nothing; everybody reads it, and so does settlement."""
    status, told, _headers = server.ask(signed())
    assert (status, told["kind"], told["counts"], told["feeder"]) == (201, "peak", True, None)
    assert (told["start_s"], told["end_s"], told["asked_s"]) == (PEAK.start_s, PEAK.end_s, NOW_S)
    assert "rewarded" in told["note"]
    again = server.ask(signed())
    assert (again[0], again[1]["place"]) == (200, told["place"])
    assert server.works.ledger.size == told["place"] + 1
    _status, shown, _headers = server.ask()
    (row,) = shown["requests"]
    assert row["place"] == told["place"]
    assert (shown["feeders"], shown["notice_s"], shown["timezone"]) == (
        {"Mill Lane": MILL.hex()},
        7200,
        "Europe/Paris",
    )
    assert [item.statement for item in server.works.closer.known.stated] == [PEAK]
    server.works.clock.civil_s = PEAK.end_s
    assert server.ask()[1]["requests"] == []
    assert len(server.ask(path="/v1/requests?all=1")[1]["requests"]) == 1


def test_a_request_that_comes_late(server: Server) -> None:
    """It stands, devices are told, and the answer says that nobody is rewarded."""
    server.works.clock.civil_s = PEAK.start_s - 7199
    status, told, _headers = server.ask(signed())
    assert (status, told["counts"]) == (201, False)
    assert "2 h" in told["note"]


def test_a_request_beside_another(server: Server) -> None:
    """Who is asked already is not asked for something else; whoever is not, may be."""
    place = server.ask(signed(replace(PEAK, subject=MILL)))[1]["place"]
    for other in (PEAK, replace(PEAK, subject=MILL, what="surplus", start_s=PEAK.start_s + 900)):
        status, told, _headers = server.ask(signed(other))
        assert (status, told["type"], told["place"]) == (409, "/problems/overlaps", place)
    assert server.ask(signed(replace(PEAK, start_s=PEAK.end_s, end_s=PEAK.end_s + 900)))[0] == 201


def test_a_flood_of_requests(server: Server) -> None:
    """A burst is answered, then it says how long to wait; after that, again."""
    for _ in range(BURST):
        assert server.ask(b"x")[0] == 400
    status, told, headers = server.ask(signed())
    assert (status, told["type"], headers["Retry-After"]) == (429, "/problems/too-many-requests", "2")
    server.protocol.protocol_s += 1
    assert server.ask(signed())[0] == 201


def test_what_is_not_there(server: Server) -> None:
    """A problem, to whoever reads or sends; of a body that does not say how long it is nothing is read."""
    for path, status in (("/", 404), ("/v1/requests/7", 404), ("/v1/requests?all=2", 400)):
        assert server.ask(path=path)[0] == status
        assert server.ask(signed(), path=path)[0] == 404
    with socket.create_connection(("127.0.0.1", server.pages.port)) as client, client.makefile("rb") as answer:
        client.sendall(
            b"POST /v1/requests HTTP/1.1\r\nContent-Type: application/cose\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        assert b"413" in answer.readline()


def test_a_request_while_nobody_has_the_ledger(server: Server) -> None:
    """It goes straight in; the aggregator finds it when it starts."""
    server.works.ledger.close()
    server.works.database.close()
    assert server.desk.take(signed()).known.request.start_s == PEAK.start_s  # type: ignore[union-attr]
    assert server.desk.take(signed()).is_repeat  # type: ignore[union-attr]


def test_a_request_that_the_ledger_does_not_answer(server: Server) -> None:
    """The aggregator hangs: it is taken back, and the answer says to come again."""

    class Impatient(ManualClock):
        def wait(self, seconds: float) -> None:
            self.protocol_s += 1000 * seconds

    desk = RequestDesk(server.works.directory, clock=server.works.clock, waiting=Impatient())
    with RequestPages(desk, ("127.0.0.1", 0), ManualClock()) as pages:
        request = urllib.request.Request(
            f"http://127.0.0.1:{pages.port}/v1/requests", signed(), {"Content-Type": "application/cose"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        with refused.value as error:
            assert (error.code, error.headers["Retry-After"]) == (503, "60")
    assert server.ask(signed())[0] == 201


def test_the_command_over_http(server: Server) -> None:
    """Announced by the commune's clock for a feeder by its name, and listed; a wrong commune is not signed for."""
    save_key(server.works.directory / "here.key", key("operator"))
    words = ("--url", server.url, "--key", server.works.directory / "here.key", "--genesis", GENESIS.hex())
    when = ("--from", "2024-07-15T08:00", "--to", "2024-07-15T10:00", "--kind", "peak")
    code, said, errors = server.while_running(
        lambda: commonwatt("operator", "announce", *when, "--feeder", "Mill Lane", *words)
    )
    assert (code, errors) == (0, "")
    assert "2024-07-15T08:00:00+02:00" in said
    code, said, _errors = server.while_running(lambda: commonwatt("operator", "requests", "--url", server.url))
    assert "2024-07-15 08:00 – 2024-07-15 10:00  peak      Mill Lane" in said
    for wrong, why in [
        ((*when, *words[:-1], "00" * 32), "genesis hash is another"),
        ((*when, "--feeder", "Moon Lane", *words), "no feeder is called 'Moon Lane'"),
        ((*when, *words), "at that time already"),
        ((*when, "--url", "http://127.0.0.1:1", *words[2:]), "not reached"),
        ((*when, "--url", "ftp://x", *words[2:]), "no address"),
        ((*when, "--url", server.url), "needs --key and --genesis"),
        (when, "name a commune's directory or --url"),
    ]:
        code, _said, errors = server.while_running(lambda wrong=wrong: commonwatt("operator", "announce", *wrong))
        assert code == 2
        assert why in errors


def test_a_desk_that_begins_with_what_the_leader_saved(server: Server) -> None:
    """It knows the requests before it and those after it, and does not take one again."""
    place = server.ask(signed())[1]["place"]
    works = server.works
    state = SavedState(works.directory / FILE, book.LOG_KEY)
    state.save(Saved(works.ledger.state, works.ledger._tree, works.ledger._signed))
    later = replace(PEAK, start_s=PEAK.end_s, end_s=PEAK.end_s + 900)
    assert server.ask(signed(later))[0] == 201
    desk = RequestDesk(works.directory, clock=works.clock)
    assert [row.request.start_s for row in desk.known()] == [PEAK.start_s, PEAK.end_s]
    again = desk.take(signed())
    assert isinstance(again, Taken)
    assert (again.known.request.place, again.is_repeat) == (place, True)


def test_requests_that_are_too_many() -> None:
    """The limit, and one over."""
    others = [
        Request(n, NOW_S, NOW_S + DAY_S + n * HOUR_S, NOW_S + DAY_S + n * HOUR_S + 900, True, None)
        for n in range(judging.STANDING_MAX)
    ]
    assert judging.check(PEAK, others[1:], (), NOW_S) is None
    assert judging.check(PEAK, others, (), NOW_S) == (Refused.TOO_MANY, None)
    assert len({judging.sentence(refused) for refused in Refused}) == len(Refused)


def publisher(clock: ManualClock) -> RequestPublisher:
    return RequestPublisher(commune=COMMUNE, genesis=GENESIS, key=key("aggregator"), clock=clock)


def read(link: RecordingLink) -> tuple[Requests, dict[bytes | None, tuple[Ask, ...]]]:
    """The newest message, and what everybody (None) and each device in a group is asked for."""
    topic, payload, retain = link.sent[-1]
    assert (topic, retain) == (f"cw/{COMMUNE}/{ident(GATEWAY).hex()}/requests", True)
    told = Requests.parse(_payload(payload, REQUESTS))
    signed_by = {None: told.everybody, **told.by_device()}
    return told, {who: Asked.parse(_payload(data, ASKED)).asks for who, data in signed_by.items()}


def _payload(data: bytes, kind: str) -> bytes:
    message = cose.parse1(data, size_max=10**6)
    assert message.is_signed_by(key("aggregator").public_key, cose.external_aad(kind, GENESIS))
    return message.payload


def entries(works: Any, *statements: Statement) -> list[tuple[int, bytes]]:
    """The log, with these requests behind it."""
    about = ident("association")
    rows = [
        book.signed(SetStatus(Subject.ASSOCIATION, about, Status.ACTIVE, reason_of(signed(row))), "aggregator")
        for row in statements
    ]
    policies = [
        (place, data) for place, data in enumerate(PublishedLog(works.directory / "log").entries()) if place == 1
    ]
    return [*policies, *enumerate(rows, 100)]


def test_what_gateways_are_told(make_works: Any) -> None:
    """Everybody's windows to all, a feeder's to its devices alone; again when one is over or we reconnect."""
    works = make_works(policy=RULES)
    clock, link = ManualClock(NOW_S), RecordingLink()
    located = Located(ident("ana's"), None, None, MILL, None, SiteFacts())
    directory = Directory.of(works.ledger.state, Places({located.site: located}, {}, {}, {}))
    surplus = replace(PEAK, what="surplus", subject=MILL, start_s=PEAK.end_s, end_s=PEAK.end_s + HOUR_S)
    known = known_of(102, entries(works, PEAK, surplus), Signers(works.ledger.state))
    publish = publisher(clock)
    for _ in range(3):
        publish.step(link, directory, known)
    assert len(link.sent) == 1
    told, by = read(link)
    peak, more = Ask(PEAK.start_s, PEAK.end_s, True), Ask(surplus.start_s, surplus.end_s, False)
    assert told.log_size == 102
    assert by == {None: (peak,), ident("ana-main"): (peak, more), ident("ana-plug"): (peak, more)}
    clock.civil_s = PEAK.end_s
    publish.step(link, directory, known)
    assert read(link)[1] == {None: (), ident("ana-main"): (more,), ident("ana-plug"): (more,)}
    link.connects += 1
    link.is_up = False
    publish.step(link, directory, known)
    assert len(link.sent) == 2
    link.is_up = True
    publish.step(link, directory, known)
    assert len(link.sent) == 3


def test_what_gateways_are_told_of_many_requests(make_works: Any) -> None:
    """The next sixteen, in their order; somebody else's statements are none."""
    works = make_works(policy=RULES)
    link = RecordingLink()
    many = [replace(PEAK, start_s=PEAK.start_s + n * 900, end_s=PEAK.start_s + n * 900 + 900) for n in range(20)]
    known = known_of(200, entries(works, *reversed(many)), Signers(works.ledger.state))
    publisher(ManualClock(NOW_S)).step(link, works.intake.directory, known)
    expected = ordered(Ask(row.start_s, row.end_s, True) for row in many)[:16]
    assert read(link)[1] == {None: expected}
