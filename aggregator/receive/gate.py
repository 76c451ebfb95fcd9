"""The gate: batches wait here for the loop, each gateway in a lane of its own.

A gateway that sends more than its share is not refused, it waits: its lane is emptied at the rate that the limits
allow, in turn with all others, and one that came back after a week brings what it kept at that rate. What is more
than a lane holds is let go unanswered and counted; its gateway sends it again. So nobody's flood costs another
gateway more than a turn, or us more memory than a named limit. What waits here, the broker still holds.
"""

import threading
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field

from pydantic import Field

from commonwatt import topics
from commonwatt.clock import Protocolar
from commonwatt.mqtt import Delivery
from commonwatt.settings import Settings

LANE_FULL, GATE_FULL, TOO_LARGE = "lane-full", "gate-full", "too-large"
"""Why a batch was not let in."""

LANES_MAX = 50_000
"""Lanes kept while they are idle; one of a gateway that sends nothing is forgotten beyond it."""


class Limits(Settings):
    """What one gateway may bring, and what waits at most. Bytes bound blocks as well: none has fewer than 90."""

    bytes_per_s: int = Field(
        default=256 * 1024,
        gt=0,
        description="a hundred times what 5,000 meters bring: a week is caught up in two hours",
    )
    bytes_burst: int = Field(default=8 * 2**20, ge=256 * 1024, description="at once, after a pause")
    batches_per_s: float = Field(default=20.0, gt=0, description="each costs a signature, however short it is")
    batches_burst: int = Field(default=400, ge=1, description="at once, after a pause")
    lane_batches: int = Field(default=16, ge=1, description="of one gateway that wait; gateways have 4 under way")
    waiting_bytes_max: int = Field(
        default=64 * 2**20, ge=256 * 1024, description="of all gateways: bounds our memory"
    )


@dataclass(slots=True)
class _Lane:
    """The batches of one gateway that wait, and what it may bring now. Times in protocol seconds."""

    bytes_left: float
    batches_left: float
    filled_s: float
    waiting: deque[tuple[float, Delivery]] = field(default_factory=deque)

    def fill(self, now_s: float, limits: Limits) -> None:
        """What may be brought grows with time, up to a burst."""
        passed_s, self.filled_s = max(0.0, now_s - self.filled_s), now_s
        self.bytes_left = min(self.bytes_left + passed_s * limits.bytes_per_s, limits.bytes_burst)
        self.batches_left = min(self.batches_left + passed_s * limits.batches_per_s, limits.batches_burst)

    def may_go(self) -> bool:
        """Whether its first batch is due: debts of the batch before are paid."""
        return bool(self.waiting) and self.bytes_left > 0 and self.batches_left > 0

    def go(self) -> Delivery:
        """Its first batch, paid for."""
        _since_s, delivery = self.waiting.popleft()
        self.bytes_left -= len(delivery.payload)
        self.batches_left -= 1
        return delivery


class Gate:
    """Batches between those who bring them, in threads of their own, and the loop that takes them."""

    def __init__(self, limits: Limits, clock: Protocolar, *, batch_bytes_max: int) -> None:
        self.turned_away: Counter[str] = Counter()
        self._limits = limits
        self._clock = clock
        self._batch_bytes_max = batch_bytes_max
        self._lanes: OrderedDict[bytes | None, _Lane] = OrderedDict()
        self._count = 0
        self._bytes = 0
        self._changed = threading.Condition()

    def offer(self, delivery: Delivery) -> str | None:
        """Let a batch wait for the loop, or let it go: why, if so."""
        with self._changed:
            reason = self._reason_against(delivery)
            if reason is None:
                now_s = self._clock.monotonic_s()
                self._lane(delivery, now_s).waiting.append((now_s, delivery))
                self._count += 1
                self._bytes += len(delivery.payload)
                self._changed.notify()
            else:
                self.turned_away[reason] += 1
        if reason is not None:
            delivery.done()
        return reason

    def wait(self, wait_s: float) -> bool:
        """Wait for the first batch that is due, up to `wait_s`; whether one is."""
        with self._changed:
            if not self._lanes_due():
                self._changed.wait(wait_s)
            return bool(self._lanes_due())

    def take(self, count_max: int) -> list[Delivery]:
        """What is due, one of each gateway in turn, at most `count_max`."""
        with self._changed:
            return self._due(count_max)

    def has_room(self, batches: int) -> bool:
        """Whether so many of the largest batches would be let in."""
        with self._changed:
            return self._bytes + batches * self._batch_bytes_max <= self._limits.waiting_bytes_max

    def depth(self) -> dict[str, float]:
        """What waits: batches, bytes, gateways with a full lane, and the age of the oldest in protocol seconds."""
        with self._changed:
            firsts_s = [lane.waiting[0][0] for lane in self._lanes.values() if lane.waiting]
            full = sum(len(lane.waiting) >= self._limits.lane_batches for lane in self._lanes.values())
            oldest_s = self._clock.monotonic_s() - min(firsts_s) if firsts_s else 0.0
            return {"batches": self._count, "bytes": self._bytes, "full_lanes": full, "oldest_s": oldest_s}

    def _reason_against(self, delivery: Delivery) -> str | None:
        size = len(delivery.payload)
        if size > self._batch_bytes_max:
            return TOO_LARGE
        lane = self._lanes.get(topics.sender(delivery.topic))
        if lane is not None and len(lane.waiting) >= self._limits.lane_batches:
            return LANE_FULL
        return GATE_FULL if self._bytes + size > self._limits.waiting_bytes_max else None

    def _lane(self, delivery: Delivery, now_s: float) -> _Lane:
        """Its gateway's lane. Topics that name nobody share one."""
        gateway = topics.sender(delivery.topic)
        if gateway not in self._lanes:
            self._lanes[gateway] = _Lane(self._limits.bytes_burst, self._limits.batches_burst, now_s)
            self._forget_idle()
        return self._lanes[gateway]

    def _forget_idle(self) -> None:
        while len(self._lanes) > LANES_MAX:
            idle = next((gateway for gateway, lane in self._lanes.items() if not lane.waiting), None)
            if idle is None:
                return
            del self._lanes[idle]

    def _lanes_due(self) -> list[tuple[bytes | None, _Lane]]:
        """Lanes whose first batch may go, in their order."""
        now_s = self._clock.monotonic_s()
        lanes = [(gateway, lane) for gateway, lane in self._lanes.items() if lane.waiting]
        for _gateway, lane in lanes:
            lane.fill(now_s, self._limits)
        return [(gateway, lane) for gateway, lane in lanes if lane.may_go()]

    def _due(self, count_max: int) -> list[Delivery]:
        lanes = self._lanes_due()
        taken: list[Delivery] = []
        while lanes and len(taken) < count_max:
            for gateway, lane in lanes[: count_max - len(taken)]:
                taken.append(lane.go())
                self._lanes.move_to_end(gateway)  # whoever had a turn stands behind whoever had none
            lanes = [(gateway, lane) for gateway, lane in lanes if lane.may_go()]
        self._count -= len(taken)
        self._bytes -= sum(len(delivery.payload) for delivery in taken)
        return taken
