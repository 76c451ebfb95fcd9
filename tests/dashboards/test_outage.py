"""A database that is away, hangs or comes back: no acknowledged point is lost, and nobody waits for it."""

import socket
import threading
from contextlib import ExitStack

from aggregator.settings import database_url
from aggregator.telemetry.influx import InfluxServer
from aggregator.telemetry.journal import FILE, Journal
from aggregator.telemetry.point import Point
from aggregator.telemetry.service import Telemetry
from aggregator.telemetry.writer import RETRIED, WRITTEN, Writer
from commonwatt.demo.programs import free_port
from commonwatt.testing import ManualClock
from tests.dashboards import village
from tests.dashboards.servers import influxd
from tests.dashboards.stores import BUCKET, make_bucket, rewritten

MINUTE_S, OUTAGE_S = 60, 600


def sample(minute: int) -> list[str]:
    """A minute's points: three gateways."""
    return [
        Point("gateway", village.START_S + MINUTE_S * minute, {"up": 1}, {"gateway": f"g{number}"}).line("demo")
        for number in range(3)
    ]


def test_influxdb_when_killed_for_ten_minutes(tmp_path):
    """A real InfluxDB is killed (-9) while points come every minute, and is back ten minutes later by our clock:
    every point that was journaled is in it, each once, and it was asked as often as the pauses say, not more."""
    ports = (free_port(), free_port())
    folder = tmp_path / "influxdb"
    folder.mkdir()
    clock = ManualClock()
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        influx = first.enter_context(influxd(folder, ports))
        make_bucket(influx)
        front = stack.enter_context(rewritten(influx.url, tmp_path))
        settings = village.telemetry_settings(front).model_copy(
            update={"bucket": BUCKET, "retry_s": 5.0, "retry_s_max": 60.0}
        )
        journal = stack.enter_context(Journal(tmp_path / FILE))
        server = stack.enter_context(InfluxServer(settings))
        writer = Writer(server, journal, settings, civil=clock, protocol=clock)

        def minute(number: int) -> None:
            with journal.transaction() as transaction:
                transaction.add(sample(number))
            for _second in range(MINUTE_S):
                clock.advance(1)
                while writer.step():
                    pass

        for number in range(3):
            minute(number)
        assert writer.trouble is None
        first.close()
        for number in range(3, 3 + OUTAGE_S // MINUTE_S):
            minute(number)
            assert writer.trouble is not None
        with journal.transaction() as transaction:
            assert transaction.waiting() == 3 * OUTAGE_S // MINUTE_S
            # 5, 10, 20, 40 s, then once a minute.
            assert 10 <= transaction.marks()[RETRIED] <= 14
        with influxd(folder, ports) as influx:
            for number in range(13, 16):
                minute(number)
            assert writer.trouble is None
            (series,) = influx.ask(BUCKET, "SELECT up FROM gateway")
        times_s = [time_s for time_s, _up in series["values"]]
        assert times_s == sorted(village.START_S + MINUTE_S * number for number in range(16) for _gateway in range(3))
        with journal.transaction() as transaction:
            assert (transaction.waiting(), transaction.marks()[WRITTEN]) == (0, 48)


class BlackHole:
    """A server that takes a connection and never says a word. `url`: where it is."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._taken: list[socket.socket] = []
        self.came = threading.Event()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                self._taken.append(self._listening.accept()[0])
            except OSError:
                return
            self.came.set()

    def close(self) -> None:
        """Nobody is kept any longer."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        for connection in self._taken:
            connection.close()


def test_minting_when_the_database_never_answers(tmp_path):
    """A day is closed and minted while the thread hangs in its first request: the loop never waits for it."""
    hole = BlackHole()
    town = village.found(tmp_path / "demo")
    clock = ManualClock()
    telemetry = Telemetry(
        town.settings.model_copy(update={"url": hole.url, "timeout_s": 300.0}),
        directory=town.directory,
        database_url=database_url(town.directory),
        slug="demo",
        civil=clock,
        protocol=clock,
    )
    with ExitStack() as stack:
        stack.enter_context(telemetry)
        stack.callback(hole.close)  # before the thread is waited for
        life = village.lives(town, stack, telemetry.see)
        life.step(village.START_S)
        assert hole.came.wait(60)
        for start_s in range(village.START_S + village.STEP_S, village.START_S + 36 * 3600, village.STEP_S):
            life.step(start_s)
        assert life.seen().report["windows_minted"] == 1
        with Journal(town.directory / FILE) as journal, journal.transaction() as transaction:
            assert transaction.waiting() > 0
            assert not {WRITTEN, RETRIED} & transaction.marks().keys()
