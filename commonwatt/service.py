"""How every service starts and ends: one loop of ticks until SIGTERM or SIGINT, logs on standard error."""

import logging
import signal
import sys
from collections.abc import Callable
from types import FrameType

from commonwatt.json_log import JsonLines

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Stop:
    """Becomes true when the process is asked to end; the loop finishes its tick and leaves."""

    def __init__(self) -> None:
        self.requested = False

    def __bool__(self) -> bool:
        return self.requested

    def on_signals(self) -> "Stop":
        """Listen for SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request)
        return self

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True


def set_up_logging(*, verbose: bool = False, as_json: bool = False) -> None:
    """On standard error, one line per event: time, level, part, sentence; or a JSON object of them (json_log.py).

    debug: every step. info: something began or ended as it should. warning: something went wrong and is dealt with.
    error: a person must act, the service goes on. What ends a service is its exit code and last sentence.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else logging.Formatter(LINE))
    # By force: pyMeterBus sets the root logger up for itself when it is imported.
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)


def run_until(stop: Stop, tick: Callable[[], None]) -> None:
    """Call `tick` until asked to stop. A tick waits for its own work; it returns at least every second."""
    while not stop:
        tick()
