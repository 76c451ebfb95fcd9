"""Rate limits: a bucket of tokens per client address, refilled by protocol time, which is handed over."""

from collections import OrderedDict
from dataclasses import dataclass

from commonwatt.clock import Protocolar

CLIENTS_MAX = 10_000
"""Buckets kept; the one unused longest is forgotten first, so that many addresses cost bounded memory."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_s: float


class RateLimit:
    """`burst` requests at once, `per_s` in the long run, for each client."""

    def __init__(self, *, burst: int, per_s: float, clock: Protocolar) -> None:
        assert burst >= 1
        assert per_s > 0
        self._burst = burst
        self._per_s = per_s
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """0 and one token taken, or how long to wait for one."""
        now_s = self._clock.monotonic_s()
        bucket = self._buckets.setdefault(client, _Bucket(self._burst, now_s))
        self._buckets.move_to_end(client)
        if len(self._buckets) > CLIENTS_MAX:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._burst, bucket.tokens + (now_s - bucket.filled_s) * self._per_s)
        bucket.filled_s = now_s
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_s
        bucket.tokens -= 1
        return 0.0
