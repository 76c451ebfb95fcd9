"""Processes that verify signatures beside the one that commits, for communes that need more than one core.

A town of 5,000 needs none: then blocks are checked where they arrive, and nothing is started.
"""

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import NamedTuple

from aggregator.intake.checking import Checked, check
from aggregator.intake.keys import Keys


class Answer(NamedTuple):
    """What blocks are, and the seconds it took to find out, in whichever process."""

    checked: Checked
    took_s: float


Answers = Future[Answer]


class Checkers:
    """Checks blocks in `processes` processes, or in this one if there are none. For `with` or `close`."""

    def __init__(self, processes: int = 0) -> None:
        self._pool: ProcessPoolExecutor | None = None
        if processes:
            # A fresh interpreter: a forked one would inherit the broker's threads in the middle of their work.
            self._pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
            for ready in [self._pool.submit(_ready) for _process in range(processes)]:
                ready.result()

    def __enter__(self) -> "Checkers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; what is under way is finished first."""
        if self._pool is not None:
            self._pool.shutdown()

    def submit(self, blocks: Sequence[bytes], keys: Keys) -> Answers:
        """Check blocks against the keys of today; the answer keeps their order."""
        if self._pool is not None:
            return self._pool.submit(_timed, blocks, keys.of_blocks(blocks))
        done: Answers = Future()
        done.set_result(_timed(blocks, keys))
        return done


def _ready() -> None:
    """Everything is imported."""


def _timed(blocks: Sequence[bytes], keys: Keys) -> Answer:
    started_s = time.perf_counter()
    return Answer(check(blocks, keys), time.perf_counter() - started_s)
