"""How long each stage takes and how often it ran, since the process began."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

RECEIVE, CHECK, KEEP, ANSWER, CLOSE, MINT = "receive", "check", "keep", "answer", "close", "mint"
"""receive: take from the gate. check: parse and verify, or hand to the processes that do. keep: wait for them, then
evidence in one commit, and sign receipts. answer: publish them. close: settle and value. mint: the outbox."""


class Stages:
    """Seconds of the machine's clock and runs, by stage. A stage without work is no run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.runs: Counter[str] = Counter()

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count what is done inside."""
        started_s = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - started_s
            self.runs[stage] += 1
