"""Polls the meters at the start of every step of civil time, in a thread of its own.

One asyncio task per bus. A meter that does not answer is left alone for a while (2 s, doubled up to a limit) and
asked after the others of its bus, so it holds up neither them nor any other bus. The fleet can change meanwhile.
"""

import asyncio
import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from commonwatt.clock import Civil, Protocolar
from gateway.kernel_clock import always
from gateway.meters.buses import open_bus
from gateway.meters.meter import Bus, Meter, Registers
from gateway.meters.sampling import Reading, step_of
from gateway.meters.silence import MeterSilentError, meaning_of
from gateway.settings import BusSettings

log = logging.getLogger(__name__)

READINGS_MAX = 10_000
"""Readings between the poller and the tick that stores them; one more is a missed reading."""
READS_MAX = 200
"""Meters that are asked at once: with a thousand, a time-out would measure our own queue and not the meter."""
NAP_S_MAX = 1.0
"""The longest sleep: a clock that is set is noticed within it."""
CHANGE_S_MAX = 60.0
"""A change of the fleet waits for the poller's thread no longer than this: it never blocks so long, by design."""


class Schedule(Civil, Protocol):
    """Civil time that knows how long the wall takes; `CivilClock` is one."""

    def wall_s_until(self, civil_s: float) -> float:
        """Wall seconds from now until a civil instant."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRules:
    """When a reading counts, and how long a silent meter is left alone."""

    step_s: int
    late_s_max: int
    backoff_s_min: float
    backoff_s_max: float


@dataclass(slots=True)
class MeterState:
    """How a meter fares. Written by the poller's thread, read by the status."""

    taken: int = 0
    missed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    last_s: int | None = None
    silent_because: str | None = None
    retry_at_s: float = 0.0
    backoff_s: float = 0.0

    def succeed(self, time_s: int, step_s: int) -> None:
        """A reading of the step at `time_s` was taken; the steps left out before it were missed."""
        if self.last_s is not None and time_s > self.last_s:
            self.missed += (time_s - self.last_s) // step_s - 1
        self.taken += 1
        self.last_s = time_s
        self.silent_because = None
        self.backoff_s = 0.0

    def fail(self, reason: str, now_s: float, rules: PollRules) -> None:
        """The meter did not answer: leave it alone, each time twice as long."""
        self.failures[reason] += 1
        self.silent_because = reason
        self.backoff_s = min(max(2 * self.backoff_s, rules.backoff_s_min), rules.backoff_s_max)
        self.retry_at_s = now_s + self.backoff_s

    def is_due(self, step_start_s: int, now_s: float) -> bool:
        """Whether the step is still to be read and the back-off has passed."""
        return self.last_s != step_start_s and now_s >= self.retry_at_s


@dataclass(slots=True)
class Round:
    """The meters of one bus, read again at every round, and the task that goes round."""

    meters: list[Meter]
    task: asyncio.Task[None] | None = None
    is_over: bool = False
    """asyncio.wait_for of Python 3.11, which pymodbus uses, may lose a cancellation: the round looks here as well."""

    def end(self) -> None:
        """Go round no more."""
        assert self.task is not None
        self.is_over, self.meters = True, []
        self.task.cancel()


class Poller:
    """A thread that reads the meters while its `with` lasts; readings come out of `readings`."""

    def __init__(
        self,
        *,
        fleet: Sequence[Meter],
        rules: PollRules,
        civil: Schedule,
        protocol: Protocolar,
        may_sign: Callable[[], bool] = always,
    ) -> None:
        self.readings: queue.Queue[Reading] = queue.Queue(READINGS_MAX)
        self.states = {meter.name: MeterState() for meter in fleet}
        self._fleet = tuple(fleet)
        self._rules = rules
        self._civil = civil
        self._protocol = protocol
        self._may_sign = may_sign
        self._rounds: dict[BusSettings, Round] = {}
        self._is_up = threading.Event()
        self._reads = asyncio.Semaphore(READS_MAX)
        self._stop = asyncio.Event()
        self._changes = 0
        self._changed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)

    def __enter__(self) -> "Poller":
        # Not before: a loop that nobody closes complains when the process ends, over the sentence that says why.
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        self._is_up.wait()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs; it ends early only by a mistake of ours."""
        return self._thread.is_alive()

    @property
    def fleet(self) -> tuple[Meter, ...]:
        """The meters that are polled."""
        return self._fleet

    def change(self, fleet: Sequence[Meter], rules: PollRules) -> None:
        """Poll these meters from now on. Those that stay lose no poll; none that is gone is in `readings` later."""
        asyncio.run_coroutine_threadsafe(self._change(tuple(fleet), rules), self._loop).result(CHANGE_S_MAX)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._poll_all())

    async def _poll_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            await self._change(self._fleet, self._rules)
            self._is_up.set()
            await self._stop.wait()
            for own in self._rounds.values():
                own.end()
        await asyncio.sleep(0)  # closed connections say goodbye in the loop's next round

    async def _change(self, fleet: tuple[Meter, ...], rules: PollRules) -> None:
        """Runs without giving way, so no round sees half of it."""
        before = {meter.name: meter for meter in self._fleet}
        kept = {m.name: self.states[m.name] for m in fleet if m.name in before and before[m.name].device == m.device}
        self.states = {meter.name: kept.get(meter.name, MeterState()) for meter in fleet}
        self._fleet, self._rules = fleet, rules
        for own in self._rounds.values():
            own.meters = []
        for meter in fleet:
            self._rounds.setdefault(meter.bus, Round([])).meters.append(meter)
        for bus, own in list(self._rounds.items()):
            if own.task is None:
                own.task = self._group.create_task(self._poll_bus(bus, own))
            elif not own.meters:
                own.end()
                del self._rounds[bus]
        self._changes += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def _poll_bus(self, settings: BusSettings, own: Round) -> None:
        bus = open_bus(settings, self._protocol)
        try:
            while not own.is_over:
                changes = self._changes
                for meter in sorted(own.meters, key=lambda meter: self.states[meter.name].backoff_s):
                    if meter in own.meters and self._is_due(meter):
                        async with self._reads:
                            await self._poll(bus, meter, own)
                if changes == self._changes and not own.is_over:
                    await self._nap(self._nap_s(own.meters))
        finally:
            bus.close()

    def _is_due(self, meter: Meter) -> bool:
        rules, now_s = self._rules, self._civil.now_s()
        step_start_s = int(now_s // rules.step_s) * rules.step_s
        is_late = now_s > step_start_s + rules.late_s_max
        if is_late or not self.states[meter.name].is_due(step_start_s, self._protocol.monotonic_s()):
            return False
        # Not even read: dated by a clock that is set a moment later, the reading would lie about its time.
        return self._may_sign()

    async def _poll(self, bus: Bus, meter: Meter, own: Round) -> None:
        rules, before_s = self._rules, self._civil.now_s()
        if meter not in own.meters:
            return
        state = self.states[meter.name]
        try:
            registers_wh = await bus.energy(meter)
        except MeterSilentError as error:
            state.fail(error.reason, self._protocol.monotonic_s(), rules)
            why = meaning_of(error.reason)
            log.warning("meter %s: %s (%s); left alone for %.0f s", meter.name, error.reason, why, state.backoff_s)
            return
        if meter in own.meters and rules == self._rules:
            self._take(meter, state, before_s, registers_wh)

    def _take(self, meter: Meter, state: MeterState, before_s: float, registers_wh: Registers) -> None:
        rules = self._rules
        time_s = step_of(before_s, self._civil.now_s(), step_s=rules.step_s, late_s_max=rules.late_s_max)
        if time_s is None:
            # Read across the end of a step, or too late in it: nobody can say to which time it belongs.
            state.failures["too-late"] += 1
            return
        try:
            self.readings.put_nowait(Reading(meter.device, time_s, registers_wh))
        except queue.Full:
            state.failures["queue-full"] += 1
            return
        state.succeed(time_s, rules.step_s)

    def _nap_s(self, fleet: Sequence[Meter]) -> float:
        """Until the next step begins, or a meter of this step may be asked again."""
        step_s = self._rules.step_s
        step_start_s = int(self._civil.now_s() // step_s) * step_s
        now_s = self._protocol.monotonic_s()
        naps_s = [NAP_S_MAX, self._civil.wall_s_until(step_start_s + step_s)]
        for meter in fleet:
            state = self.states[meter.name]
            if state.last_s != step_start_s and state.retry_at_s > now_s:
                naps_s.append(state.retry_at_s - now_s)
        return max(min(naps_s), 0.001)

    async def _nap(self, nap_s: float) -> None:
        """Sleep, but not through a change of the fleet."""
        try:
            async with asyncio.timeout(nap_s):
                await self._changed.wait()
        except TimeoutError:
            return
