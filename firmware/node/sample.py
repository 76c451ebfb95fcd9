"""The sampling loop: one reading of the meter for each step of civil time, taken at its beginning.

What can go wrong, and what is then true:
 1. The reading straddles a boundary: it belongs to no slot and is read again.
 2. The meter fails: it is read again while the slot lasts; a slot that passes is missed and ends the block.
 3. The clock steps back: slots that were sampled are not sampled again, so times only ever grow.
 4. The time is unknown: the meter is read so that its drivers keep counting, and nothing is recorded.
 5. The journal cannot be written: the sample is not taken, the slot is tried again.
"""

from node.port import const, sleep_ms

_RETRY_MS = const(200)
_READS_MAX = const(3)
_LOOK_MS = const(10000)  # a clock that is set forward is noticed within this


class Sampler:
    """Reads `meter` on the multiples of `step_s` for `recorder`; `on_block()` is called when a block was signed."""

    def __init__(self, meter, clock, recorder, step_s, on_block):
        self._meter = meter
        self._clock = clock
        self._recorder = recorder
        self._step_s = step_s
        self._on_block = on_block
        self.taken = 0
        self.missed = 0
        self.failed = 0
        self.undated = 0

    async def run(self):
        """Sample for ever."""
        if not self._clock.synchronised:
            await self._run_undated()
        if self._recorder.resume():
            self._on_block()
        while True:
            await sleep_ms(min(self.step(), _LOOK_MS))

    def step(self):
        """Take the present slot's sample if it is due; milliseconds until the next call."""
        slot_s = self._slot()
        last_s = self._recorder.last_time_s
        if last_s is None or slot_s > last_s:
            if not self._take(slot_s):
                return min(_RETRY_MS, self._clock.wall_ms_until(slot_s + self._step_s))
            last_s = self._recorder.last_time_s
        return self._clock.wall_ms_until(last_s + self._step_s)

    def _take(self, slot_s):
        """Read and record; whether a sample was taken."""
        last_s = self._recorder.last_time_s
        try:
            sample = self._read()
            if sample is None or (last_s is not None and sample[0] <= last_s):
                return False
            signed = self._recorder.add(sample)
        except (OSError, ValueError):
            self.failed += 1
            self._end_block(slot_s)
            return False
        if last_s is not None:
            self.missed += (sample[0] - last_s) // self._step_s - 1
        self.taken += 1
        if signed:
            self._on_block()
        return True

    def _read(self):
        """A sample that was read within one slot, or None."""
        for _ in range(_READS_MAX):
            slot_s = self._slot()
            registers = self._meter.read()
            if self._slot() == slot_s:
                return slot_s, tuple([tuple(register) for register in registers])
        return None

    def _end_block(self, slot_s):
        """Do not let a failing meter hold back what was read before it failed."""
        try:
            if self._recorder.miss(slot_s - self._step_s):
                self._on_block()
        except OSError:
            self.failed += 1

    def _slot(self):
        now_s = self._clock.now_s()
        return now_s - now_s % self._step_s

    async def _run_undated(self):
        while True:
            try:
                self._meter.read()
                self.undated += 1
            except (OSError, ValueError):
                self.failed += 1
            await sleep_ms(self._step_s * 1000)
