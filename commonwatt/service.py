"""How every service starts and ends: one loop of ticks until SIGTERM or SIGINT, logs on standard error."""

import logging
import signal
import sys
from collections.abc import Callable
from types import FrameType


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


def set_up_logging(*, verbose: bool = False) -> None:
    """One line per event: time, level, part, sentence."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def run_until(stop: Stop, tick: Callable[[], None]) -> None:
    """Call `tick` until asked to stop. A tick waits for its own work; it returns at least every second."""
    while not stop:
        tick()
