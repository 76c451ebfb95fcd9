"""How long each stage takes and how often it had work, since the process began."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

RECEIVE, PARSE, VERIFY, CHAIN, EVIDENCE = "receive", "parse", "verify", "chain", "evidence"
RECEIPT, ANSWER, SETTLE, VALUE, MINT = "receipt", "answer", "settle", "value", "mint"
ALL = (RECEIVE, PARSE, VERIFY, CHAIN, EVIDENCE, RECEIPT, ANSWER, SETTLE, VALUE, MINT)
"""receive: take what is due from the gate. parse: a batch, its gateway's signature. verify: form, device, standing
and signature of its blocks, wherever that is done. chain: whether each goes on where its device's last one ended.
evidence: write and commit. receipt: sign. answer: hand receipts to the broker, let it forget. settle: registers to
claims, the commit included. value: claims and what else was earned to prepared mint-runs. mint: hand those over."""


class Stages:
    """Seconds of the machine's clock and runs, by stage. Waiting is no work; a stage without work has no run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.runs: Counter[str] = Counter()
        self._inner_s = 0.0

    def add(self, stage: str, seconds: float) -> None:
        """Count a run that was timed elsewhere: in another process."""
        self.seconds[stage] += seconds
        self.runs[stage] += 1

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count what is done inside, but for what counts as another stage within."""
        started_s, outer_s, self._inner_s = time.perf_counter(), self._inner_s, 0.0
        try:
            yield
        finally:
            whole_s = time.perf_counter() - started_s
            self.add(stage, whole_s - self._inner_s)
            self._inner_s = outer_s + whole_s
