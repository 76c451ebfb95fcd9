"""Telemetry of the one that leads: a thread that reads the books, fills the journal and empties it into the server.

The loop shows it how everything stands (`see`) and never waits for it. Nothing that fails here ends anything: it is
told in `trouble`, tried again, and nothing is lost.
"""

import logging
import threading
from contextlib import ExitStack
from pathlib import Path

from aggregator.telemetry.feed import Feed
from aggregator.telemetry.influx import InfluxServer, InfluxSettings
from aggregator.telemetry.journal import FILE, Journal
from aggregator.telemetry.samples import Seen
from aggregator.telemetry.writer import Writer
from commonwatt.clock import Civil, Protocolar

log = logging.getLogger(__name__)

PAUSE_S = 0.5
"""Between two looks, when there is nothing to do at once."""
END_S = 2.0
"""How long an end waits for the thread; what it does not get to waits in the journal."""


class Telemetry:
    """For `with`. `trouble`: why points are not written, None while they are."""

    def __init__(
        self,
        settings: InfluxSettings,
        *,
        directory: Path,
        database_url: str,
        slug: str,
        civil: Civil,
        protocol: Protocolar,
    ) -> None:
        self._settings = settings
        self._stack = ExitStack()
        journal = self._stack.enter_context(Journal(directory / FILE))
        self.feed = self._stack.enter_context(
            Feed(journal, settings, directory=directory, database_url=database_url, slug=slug, protocol=protocol)
        )
        server = self._stack.enter_context(InfluxServer(settings))
        self.writer = Writer(server, journal, settings, civil=civil, protocol=protocol)
        self._failed: str | None = None
        self._seen: Seen | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def __enter__(self) -> "Telemetry":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(self._settings.timeout_s + END_S)
        if not self._thread.is_alive():
            self._stack.close()

    @property
    def trouble(self) -> str | None:
        """In the server's words, or those of what failed here."""
        return self._failed or self.writer.trouble

    def see(self, seen: Seen) -> None:
        """How everything stands now; returns at once."""
        self._seen = seen

    def step(self) -> bool:
        """Read, journal, write once; whether there may be more to do at once."""
        seen = self._seen
        is_more = self.feed.step(seen, is_up=self.writer.trouble is None) if seen is not None else False
        return self.writer.step() or is_more

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                is_more = self.step()
                self._failed = None
            except Exception as error:  # whatever it is, the books go on and it is tried again
                is_more = False
                if str(error) != self._failed:
                    log.warning("telemetry waits: %s", error, exc_info=True)
                self._failed = str(error)
            if not is_more:
                self._stopping.wait(PAUSE_S if self._failed is None else self._settings.retry_s)
