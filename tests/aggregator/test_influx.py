"""Telemetry through the real client to a real HTTP server that records what it is sent."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aggregator import schema
from aggregator.privacy.rule import SITES_MIN
from aggregator.report import report
from aggregator.telemetry import points as telemetry
from aggregator.telemetry.feed import COUNTS_EVERY_S, TelemetryFeed
from aggregator.telemetry.influx import CURSOR_FILE, InfluxSettings, InfluxSink
from aggregator.telemetry.points import Cursor, Point
from aggregator.testing import TIME_S
from commonwatt import status
from commonwatt.testing import ManualClock

END_S = TIME_S + 900


class Recorder(ThreadingHTTPServer):
    """An InfluxDB as far as writing goes. `failures`: how many writes to refuse, with `code`, before one is taken."""

    daemon_threads = True

    def __init__(self, failures: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.failures = failures
        self.code = 503
        self.writes: list[tuple[str, str, list[str]]] = []
        self.written = threading.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.server.failures > 0:
            self.server.failures -= 1
            self._answer(self.server.code)
            return
        self.server.writes.append((self.path, self.headers["Authorization"], body.split("\n")))
        self._answer(204)
        self.server.written.release()

    def _answer(self, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A running server; it takes everything."""
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sink_to(recorder: Recorder, directory) -> InfluxSink:
    settings = InfluxSettings(url=recorder.url, org="commune", bucket="watts", token="secret", retry_s=0.01)
    return InfluxSink(settings, commune="demo", directory=directory)


def test_points_arrive_as_line_protocol(recorder, tmp_path):
    """Measurement, tag, integer fields and seconds, as docs/spec/telemetry.md says; then the cursor is kept."""
    points = [Point("energy_15m", TIME_S, {"supply_wh": 812, "sites": 10}), Point("mint", END_S, {"total_mc": 5})]
    with sink_to(recorder, tmp_path) as sink:
        sink.hand_over(points, Cursor(END_S, 7))
        assert recorder.written.acquire(timeout=30)
        assert sink.wait_until_idle(30)
    (path, token, lines) = recorder.writes[0]
    assert path == "/api/v2/write?org=commune&bucket=watts&precision=s"
    assert token == "Token secret"
    assert lines == [
        f"energy_15m,commune=demo sites=10i,supply_wh=812i {TIME_S}",
        f"mint,commune=demo total_mc=5i {END_S}",
    ]
    assert status.read(tmp_path / CURSOR_FILE) == {"closed_s": END_S, "minted_s": 7}
    assert sink_to(recorder, tmp_path).cursor == Cursor(END_S, 7)


def test_a_server_that_is_down_delays_points_and_loses_none(recorder, tmp_path):
    """The same bunch is tried until it is taken; meanwhile the sink says that it is busy."""
    recorder.failures = 3
    with sink_to(recorder, tmp_path) as sink:
        sink.hand_over([Point("mint", END_S, {"total_mc": 5})], Cursor(0, END_S))
        assert not sink.is_idle
        assert recorder.written.acquire(timeout=30)
    assert len(recorder.writes) == 1
    assert recorder.failures == 0


def test_a_server_that_is_away_holds_nobody_up(tmp_path):
    """With nobody listening the sink stays busy, and leaving it does not hang."""
    settings = InfluxSettings(url="http://127.0.0.1:9", org="o", bucket="b", token="t", retry_s=0.01, timeout_s=0.5)
    with InfluxSink(settings, commune="demo", directory=tmp_path) as sink:
        sink.hand_over([Point("mint", END_S, {"total_mc": 5})], Cursor(0, END_S))
        assert not sink.is_idle
    assert sink.cursor == Cursor()


def test_points_called_malformed_are_left_out_and_the_next_are_written(recorder, tmp_path):
    """The same bytes again would be refused again: they must not hold up what follows."""
    recorder.failures, recorder.code = 1, 400
    with sink_to(recorder, tmp_path) as sink:
        sink.hand_over([Point("mint", END_S, {"total_mc": 5})], Cursor(0, END_S))
        assert sink.wait_until_idle(30)
        sink.hand_over([Point("mint", END_S + 900, {"total_mc": 6})], Cursor(0, END_S + 900))
        assert sink.wait_until_idle(30)
    assert [lines for _path, _token, lines in recorder.writes] == [[f"mint,commune=demo total_mc=6i {END_S + 900}"]]
    assert (sink.points_dropped, sink.trouble) == (1, None)


def test_a_server_that_is_down_for_a_day_gets_every_interval_afterwards(works, recorder, tmp_path):
    """The loop closes a day meanwhile and never waits; then all its points come, each once, none twice."""
    recorder.failures = 10**9
    ends_s = range(END_S, END_S + 86_400, 900)
    known = {"evidence_id_max": 0, "conflict_id_max": 0}
    figures = {"supply_wh": 50, "demand_wh": 90, "matched_wh": 50, "unallocated_wh": 0}
    behind = {"left_wh": 0, "sites": SITES_MIN, "largest_supply_wh": 20, "largest_demand_wh": 40}
    with sink_to(recorder, tmp_path) as sink:
        feed = TelemetryFeed(sink, database=works.database, clock=ManualClock())
        for end_s in ends_s:
            with works.database.transaction() as connection:
                connection.execute(schema.closing.insert(), {"end_s": end_s, **known, **figures})
                connection.execute(schema.pool.insert(), {"end_s": end_s, **behind})
            feed.step(works.intake.directory, {})
        assert sink.cursor == Cursor()
        recorder.failures = 0
        while sink.cursor.closed_s < ends_s[-1]:
            assert sink.wait_until_idle(30)
            feed.step(works.intake.directory, {})
        assert sink.trouble is None
    lines = [line for _path, _token, lines in recorder.writes for line in lines]
    assert [int(line.split()[-1]) for line in lines] == [end_s - 900 for end_s in ends_s]


@pytest.mark.parametrize(("sites", "written"), [(SITES_MIN, True), (SITES_MIN - 1, False)])
def test_an_interval_is_told_only_with_enough_sites_behind_it(works, sites, written):
    """Ten sites make a statistic, nine do not; the cursor passes over both."""
    figures = {"supply_wh": 5, "demand_wh": 9, "matched_wh": 5, "unallocated_wh": 0}
    with works.database.transaction() as connection:
        known = {"evidence_id_max": 0, "conflict_id_max": 0}
        connection.execute(schema.closing.insert(), {"end_s": END_S, **known, **figures})
        behind = {"sites": sites, "largest_supply_wh": 2, "largest_demand_wh": 4}
        connection.execute(schema.pool.insert(), {"end_s": END_S, "left_wh": 0, **behind})
        points, cursor = telemetry.since(connection, Cursor(), works.intake.directory)
    assert points == ([Point("energy_15m", TIME_S, {**figures, "sites": sites})] if written else [])
    assert cursor == Cursor(closed_s=END_S)


def test_a_mint_of_three_homes_is_not_told(works):
    """The window's total would be one roof's production; the cursor passes over it."""
    roof = works.meters["sun-roof"]
    works.deliver(roof.sign(TIME_S, [(0,), (100,)]))
    works.close_until(TIME_S + 3600)
    with works.database.transaction() as connection:
        points, cursor = telemetry.since(connection, Cursor(), works.intake.directory)
    assert points == []
    assert cursor == Cursor(TIME_S + 3600, TIME_S + 3600)


def test_the_feed_hands_over_when_the_sink_is_idle(works):
    """One bunch at a time; counts of messages join at most every ten seconds."""
    clock = ManualClock()
    sink = SlowSink()
    feed = TelemetryFeed(sink, database=works.database, clock=clock)
    state = report(works.database, works.ledger, works.intake.directory, civil_s=TIME_S)
    works.deliver(works.meters["sun-roof"].sign(TIME_S, [(0,), (100,)]))
    works.close_until(END_S)
    feed.step(works.intake.directory, state)
    feed.step(works.intake.directory, state)
    assert [[point.measurement for point in points] for points, _ in sink.bunches] == [["pipeline"]]
    sink.finish()
    feed.step(works.intake.directory, state)
    assert len(sink.bunches) == 1
    clock.advance(COUNTS_EVERY_S)
    feed.step(works.intake.directory, state)
    assert len(sink.bunches) == 2


class SlowSink:
    """A sink whose writes end when the test says so."""

    def __init__(self) -> None:
        self.cursor = Cursor()
        self.is_idle = True
        self.bunches: list[tuple[list[Point], Cursor]] = []

    def hand_over(self, points, cursor) -> None:
        assert self.is_idle
        self.is_idle = False
        self.bunches.append((list(points), cursor))

    def finish(self) -> None:
        self.cursor = self.bunches[-1][1]
        self.is_idle = True
