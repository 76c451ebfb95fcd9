"""`python -m tests.dashboards.fill DIR INFLUX STEP_S`: the village lives, and a real InfluxDB 1 is told as it does.

For `make dash-shots`. Everybody sends, and all is looked at, every STEP_S; the tests take larger steps, to be quick.
Points go the aggregator's own way: journal, writer, influxdb-client; and one home's into a database of its own.
"""

import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from aggregator.commune.attributes import OWN_DASHBOARD
from aggregator.private.store import PrivateStore
from aggregator.telemetry.influx import InfluxServer
from aggregator.telemetry.journal import FILE, Journal
from aggregator.telemetry.samples import Seen
from aggregator.telemetry.writer import Writer
from aggregator.testing import commonwatt
from commonwatt.demo.programs import Program, answers, free_port, wait_for
from tests.dashboards import village

HOME = "swiss2"
"""Whose member agreed to a database of its own; it has a roof."""
BUCKETS = ("commonwatt", HOME)


def main(directory: Path, influx: str, step_s: int) -> None:
    """Minutes."""
    for bucket in BUCKETS:
        make_database(influx, bucket)
    lived = village.found(directory)
    with relay(influx, directory) as front, ExitStack() as stack:
        settings = village.telemetry_settings(front)
        life = village.lives(lived, stack, step_s=step_s)
        journal = stack.enter_context(Journal(directory / FILE))
        server = stack.enter_context(InfluxServer(settings))
        writer = Writer(server, journal, settings, civil=life.clock, protocol=life.clock)
        journaled = life.tell

        def tell(seen: Seen) -> None:
            journaled(seen)
            while writer.step():
                pass

        life.tell = tell
        village.go_through(life)
        stack.close()
        tell_the_home(directory, front)


@contextmanager
def relay(influx: str, directory: Path) -> Iterator[str]:
    """Where the old server takes writes as a new one does."""
    port = free_port()
    argv = (sys.executable, "-m", "commonwatt.demo.influx_old", "--port", str(port), "--server", influx)
    program = Program("relay", argv, directory.with_name("relay.log"))
    program.start()
    try:
        wait_for(lambda: answers("127.0.0.1", port), what="relay", timeout_s=30, programs=[program])
        yield f"http://127.0.0.1:{port}"
    finally:
        program.stop()


def make_database(influx: str, name: str) -> None:
    asked = urllib.parse.urlencode({"q": f'CREATE DATABASE "{name}"'})
    with urllib.request.urlopen(urllib.request.Request(f"{influx}/query?{asked}", method="POST")) as answer:
        assert answer.status == 200


def tell_the_home(directory: Path, front: str) -> None:
    """What a home whose member agreed gets into its own database, by the command that does it every day."""
    store = PrivateStore(directory / "private.db")
    store.amend(store.find("members", HOME), {"consent": {OWN_DASHBOARD: "2024-12-31"}}, at_s=village.START_S)
    store.save()
    told = directory / "home.toml"
    told.write_text(f'url = "{front}"\norg = "{HOME}"\nbucket = "{HOME}"\ntoken = "hers"\n')
    span = ("--from", "2024-07-23", "--to", "2024-07-26")
    code, _out, errors = commonwatt("aggregator", "telemetry", "home", directory, HOME, "--influx", told, *span)
    assert code == 0, errors


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
