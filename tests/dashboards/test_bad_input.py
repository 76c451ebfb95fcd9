"""Whatever a database answers, every line is written, waits, or lies aside with a reason; each is counted."""

import json
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest

from aggregator.telemetry import samples
from aggregator.telemetry.gateways import GatewayStates, points
from aggregator.telemetry.influx import InfluxServer, InfluxSettings
from aggregator.telemetry.journal import FILE, Journal
from aggregator.telemetry.point import Point, clean
from aggregator.telemetry.writer import ASIDE, RETRIED, WRITTEN, Writer
from aggregator.testing import commonwatt
from commonwatt import settings
from commonwatt.errors import StorageError, UserError
from commonwatt.mqtt import Message
from commonwatt.testing import ManualClock
from tests.dashboards.http_server import TAKEN, Database, Reply, Request, running
from tests.dashboards.servers import Influx
from tests.dashboards.stores import promql

RETRY_S, RETRY_S_MAX = 5.0, 60.0
ODD = "odd"


@pytest.fixture
def database() -> Iterator[Database]:
    """A running server; it takes everything."""
    with running() as server:
        yield server


class Desk:
    """A writer with its journal and a clock in hand."""

    def __init__(self, path, database: Database, *, count: int = 5000) -> None:
        settings = InfluxSettings(
            url=database.url,
            org="commune",
            bucket="watts",
            token="secret",
            retry_s=RETRY_S,
            retry_s_max=RETRY_S_MAX,
            points_per_write=count,
            timeout_s=5,
        )
        self.clock = ManualClock()
        self.journal = Journal(path / FILE)
        self.server = InfluxServer(settings)
        self.writer = Writer(self.server, self.journal, settings, civil=self.clock, protocol=self.clock)

    def add(self, *lines: str) -> None:
        with self.journal.transaction() as transaction:
            transaction.add(lines)

    def go(self) -> None:
        while self.writer.step():
            pass

    def state(self) -> tuple[int, list[tuple[str, str]], dict[str, int]]:
        """Lines that wait; reason and line of those aside; the marks."""
        with self.journal.transaction() as transaction:
            aside = [(row.reason, row.line) for row in transaction.aside()]
            return transaction.waiting(), aside, transaction.marks()

    def close(self) -> None:
        self.server.__exit__(None, None, None)
        self.journal.close()


@pytest.fixture
def desk(tmp_path, database) -> Iterator[Desk]:
    """A writer to the running server."""
    made = Desk(tmp_path, database)
    yield made
    made.close()


def lines(count: int) -> list[str]:
    return [Point("pipeline", 1_721_599_200 + at, {"held": at}).line("demo") for at in range(count)]


def refuse(*bad: str):
    """400 for every request in which one of the lines is, as a database does that parses all before it stores any."""

    def decide(request: Request) -> Reply:
        found = [line for line in request.lines if line in bad]
        if not found:
            return TAKEN
        says = f'{{"code": "invalid", "message": "unable to parse \'{found[0]}\': bad"}}'
        return Reply(400, says, {"Content-Type": "application/json"})

    return decide


def test_lines_when_they_arrive(desk, database):
    """The path of InfluxDB 2, seconds, the token; and nothing waits any more."""
    desk.add(*lines(3))
    desk.go()
    (request,) = database.requests
    assert request.path == "/api/v2/write?org=commune&bucket=watts&precision=s"
    assert request.headers["Authorization"] == "Token secret"
    assert request.lines == lines(3)
    assert desk.state() == (0, [], {WRITTEN: 3})


def test_400_when_one_line_of_a_thousand_is_bad(desk, database):
    """It alone is set aside, with the server's words; all others are written, each once."""
    sent = lines(1000)
    database.decide = refuse(sent[417])
    desk.add(*sent)
    desk.go()
    waiting, aside, marks = desk.state()
    assert (waiting, aside) == (0, [("malformed", sent[417])])
    assert marks == {WRITTEN: 999, ASIDE: 1}
    assert Counter(database.kept) == Counter(sent[:417] + sent[418:])
    assert len(database.requests) <= 2 * 10 + 1
    with desk.journal.transaction() as transaction:
        assert "unable to parse" in transaction.aside()[0].says
    assert desk.writer.trouble is None


@pytest.mark.parametrize("seed", range(5))
def test_400_when_any_lines_are_bad(tmp_path, database, seed):
    """Whichever and however many: the bad ones lie aside, the good ones are written once."""
    chance = random.Random(seed)
    sent = lines(chance.randint(1, 60))
    bad = [line for line in sent if chance.random() < 0.3]
    database.decide = refuse(*bad)
    desk = Desk(tmp_path, database, count=chance.randint(1, 20))
    desk.add(*sent)
    desk.go()
    waiting, aside, _marks = desk.state()
    assert waiting == 0
    assert [line for _reason, line in aside] == bad
    assert Counter(database.kept) == Counter(line for line in sent if line not in bad)
    desk.close()


def test_400_when_the_others_were_stored(desk, database):
    """InfluxDB 1 and 2 store the good lines of a bunch that they answer 400; writing them again is harmless."""
    sent = lines(8)

    def partial(request: Request) -> Reply:
        database.kept += [line for line in request.lines if line != sent[2]]
        return (
            Reply(400, '{"error": "partial write: field type conflict dropped=1"}')
            if sent[2] in request.lines
            else TAKEN
        )

    database.decide = partial
    desk.add(*sent)
    desk.go()
    assert desk.state()[:2] == (0, [("malformed", sent[2])])
    assert set(database.kept) == set(sent) - {sent[2]}


def test_429_when_the_server_says_how_long(desk, database):
    """Nobody asks before that; then the same lines come, once."""
    database.decide = lambda _request: Reply(429, "slow down", {"Retry-After": "37"})
    desk.add(*lines(2))
    desk.go()
    database.decide = lambda _request: TAKEN
    for seconds, requests in ((36.9, 1), (0.2, 2)):
        desk.clock.advance(seconds)
        desk.go()
        assert len(database.requests) == requests
    assert desk.state() == (0, [], {WRITTEN: 2, RETRIED: 1})


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(500, "boom"), "500 boom"),
        (Reply(503, '{"message": "starting"}'), "503 starting"),
        (Reply(502, "<html>Bad Gateway</html>"), "502 <html>Bad Gateway</html>"),
        (Reply(0, cut=True), None),
        (Reply(200, "<html>Welcome to this hotel</html>"), "200"),
        (Reply(401, '{"message": "unauthorized access"}'), "401 unauthorized access"),
        (Reply(404, '{"message": "bucket \\"watts\\" not found"}'), '404 bucket "watts" not found'),
    ],
    ids=["500", "503", "502", "half an answer", "any web page", "wrong token", "bucket gone"],
)
def test_points_when_the_server_cannot_take_any(desk, database, reply, says):
    """They wait, in their order, the pauses double up to a limit, and nothing is set aside; then all are written."""
    sent = lines(4)
    database.decide = lambda _request: reply
    desk.add(*sent)
    for pause_s in (RETRY_S, 2 * RETRY_S, 4 * RETRY_S, 8 * RETRY_S, RETRY_S_MAX, RETRY_S_MAX):
        before = len(database.requests)
        desk.go()
        desk.clock.advance(pause_s - 0.01)
        desk.go()
        assert len(database.requests) == before + 1
        assert desk.writer.trouble is not None
        assert says is None or desk.writer.trouble == says
        desk.clock.advance(0.02)
    assert desk.state() == (4, [], {RETRIED: 6})
    database.decide = lambda _request: TAKEN
    desk.go()
    assert database.kept == sent
    assert desk.writer.trouble is None


def test_413_when_a_bunch_is_too_large(tmp_path, database):
    """Halves are tried until they fit, and the next bunches begin so; a line that fits nowhere is set aside."""
    database.decide = lambda request: TAKEN if len("\n".join(request.lines)) < 400 else Reply(413, "too large")
    huge = Point("event", 7, {"text": "x" * 190, "count": 1}, {"kind": "y" * 200}).line("demo")
    desk = Desk(tmp_path, database, count=32)
    desk.add(*lines(40), huge, *lines(3))
    desk.go()
    waiting, aside, _marks = desk.state()
    assert (waiting, aside) == (0, [("too-large", huge)])
    assert len(database.kept) == 43
    desk.close()


def test_journal_when_the_process_dies_in_between(tmp_path, database):
    """What was not answered is there again, what was answered is not: a second process goes on at that point."""
    first = Desk(tmp_path, database, count=2)
    first.add(*lines(6))
    first.writer.step()
    first.close()
    second = Desk(tmp_path, database, count=2)
    second.go()
    assert database.kept == lines(6)
    second.close()


def test_what_lies_aside_when_it_is_put_back(desk, database):
    """After the database was mended it is written as if nothing had been."""
    sent = lines(3)
    database.decide = refuse(*sent)
    desk.add(*sent)
    desk.go()
    assert desk.state()[0] == 0
    database.decide = lambda _request: TAKEN
    with desk.journal.transaction() as transaction:
        assert transaction.put_back() == 3
    desk.go()
    assert database.kept == sent
    assert desk.state()[1] == []


def test_what_lies_aside_when_it_is_sampled(desk, database):
    """It is data of the Fleet dashboard: how many points, by reason, with 0 where there are none."""
    database.decide = refuse(*lines(2))
    desk.add(*lines(2))
    desk.go()
    with desk.journal.transaction() as transaction:
        found = list(samples.set_aside(transaction.aside_by_reason(), 7))
    assert {point.tags["reason"]: point.fields["points"] for point in found} == {"malformed": 2, "too-large": 0}


NAMES = {
    "mill street": r"mill\ street",
    "a,b=c d": r"a\,b\=c\ d",
    'l\'"église"': 'l\'"église"',
    "new\nline\r\ttab": r"new\ line\ tab",
    "soleil 🌞": r"soleil\ 🌞",
    "back\\": "back",
    "": "-",
    " \n ": "-",
    "x" * 300: "x" * 200,
    "null\0byte": r"null\ byte",
}


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_tag_when_people_chose_the_name(name):
    """One line, one tag value: what a line cannot hold is a space."""
    line = Point("energy_15m", 5, {"sites": 10}, {"place": name}).line("demo")
    assert line == f"energy_15m,commune=demo,place={NAMES[name]} sites=10i 5"


@pytest.fixture
def odd(stores):
    """InfluxQL to a bucket of its own in the InfluxDB: what is odd is not to stand among the village's points."""
    server = Influx(stores.influx.url)
    server.write(ODD, [])
    yield partial(server.ask, ODD)
    server.ask(ODD, f'DROP DATABASE "{ODD}"')


def test_tags_when_a_real_influxdb_reads_them(stores, odd, tmp_path):
    """Every name comes back as it was cleaned, and each is a series of its own; so in a VictoriaMetrics."""
    clean_names = {clean(name) for name in NAMES}
    sent = [Point("odd", 1_721_700_000, {"sites": 1}, {"place": name}).line("demo") for name in NAMES]
    for server in (stores.influx, stores.victoria):
        told = server.settings(bucket=ODD)
        with InfluxServer(told) as connection, Journal(tmp_path / f"{server.name}.db") as journal:
            with journal.transaction() as transaction:
                transaction.add(sent)
            clock = ManualClock()
            assert Writer(connection, journal, told, civil=clock, protocol=clock).step()
        server.flush()
    series = odd("SELECT sites FROM odd GROUP BY place")
    assert {row["tags"]["place"] for row in series} == clean_names
    found = promql(stores.victoria, "last_over_time(odd_sites[1d])", 1_721_700_060)
    assert {row["metric"]["place"] for row in found} == clean_names


def test_type_conflict_when_a_real_influxdb_answers_it(stores, odd, tmp_path):
    """A field that was a number and comes as a text: that line lies aside, with InfluxDB's words, alone."""
    told = stores.influx.settings(bucket=ODD)
    sent = [
        f"conflict,commune=demo value={value} {time_s}" for value, time_s in (("1i", 10), ('"one"', 11), ("3i", 12))
    ]
    with InfluxServer(told) as connection, Journal(tmp_path / "telemetry.db") as journal:
        clock = ManualClock()
        writer = Writer(connection, journal, told, civil=clock, protocol=clock)
        for bunch in (sent[:1], sent[1:]):
            with journal.transaction() as transaction:
                transaction.add(bunch)
            while writer.step():
                pass
        with journal.transaction() as transaction:
            (aside,) = transaction.aside()
            assert transaction.waiting() == 0
    assert aside.line == sent[1]
    assert re.search("field type conflict", aside.says)
    (series,) = odd("SELECT value FROM conflict")
    assert [value for _time, value in series["values"]] == [1, 3]


def test_database_when_a_real_one_is_gone(stores, tmp_path):
    """A bucket that nobody made: nothing is set aside, everything waits, and the words say what is missing."""
    told = stores.influx.settings(bucket="gone")
    with InfluxServer(told) as connection, Journal(tmp_path / "telemetry.db") as journal:
        with journal.transaction() as transaction:
            transaction.add(lines(3))
        clock = ManualClock()
        writer = Writer(connection, journal, told, civil=clock, protocol=clock)
        assert not writer.step()
        assert writer.trouble == '404 database not found: "gone"'
        with journal.transaction() as transaction:
            assert (transaction.waiting(), transaction.aside()) == (3, [])


@pytest.mark.parametrize(
    ("sent_ahead_s", "skew_ms"), [(0, 0), (90, 90_000), (-3600, -3_600_000)], ids=["right", "fast", "slow"]
)
def test_clock_skew_when_a_gateway_tells_the_time(sent_ahead_s, skew_ms):
    """Its clock against ours when its second word came: the first may be one that the broker kept."""
    gateway, states, now_s = bytes(range(16)), GatewayStates(), 1_721_700_000
    message = Message(
        f"cw/demo/{gateway.hex()}/state", json.dumps({"state": "up", "civil_s": now_s + sent_ahead_s}).encode()
    )
    skews = []
    for _time in range(2):
        states.take(message, now_s)
        (point,) = points(states.now(), {}, {gateway: b"key"}, now_s)
        skews.append(point.fields.get("clock_skew_ms"))
    assert skews == [None, skew_ms]


def test_aside_command_when_lines_lie_there(desk, database, tmp_path):
    """It prints each with the server's words, and lets them be tried again."""
    sent = lines(2)
    database.decide = refuse(sent[0])
    desk.add(*sent)
    desk.go()
    code, out, _errors = commonwatt("aggregator", "telemetry", "aside", tmp_path)
    assert code == 0
    assert sent[0] in out
    assert "unable to parse" in out
    database.decide = lambda _request: TAKEN
    assert commonwatt("aggregator", "telemetry", "aside", tmp_path, "--retry")[0] == 0
    desk.go()
    assert sorted(database.kept) == sorted(sent)
    code, _out, errors = commonwatt("aggregator", "telemetry", "aside", tmp_path / "nowhere")
    assert code == 2
    assert "--influx" in errors


@pytest.mark.parametrize("line", ['zone = "Mars/Olympus"', "retry_s = 0", "timeout_s = -1", "points_per_write = 0"])
def test_settings_when_a_line_is_wrong(tmp_path, line):
    """The file and the setting are named before anything is opened."""
    path = tmp_path / "influx.toml"
    path.write_text(f'url = "http://127.0.0.1:9"\norg = "o"\nbucket = "b"\ntoken = "t"\n{line}\n')
    with pytest.raises(UserError, match=line.split()[0]):
        settings.load(InfluxSettings, path)


def test_journal_when_it_is_of_another_version(tmp_path):
    """It says that it may be deleted."""
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="another version") as caught:
        Journal(tmp_path / FILE)
    assert "delete it" in str(caught.value)
