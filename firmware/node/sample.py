"""The sampling loop: one reading of the meter for each step of civil time, taken at its beginning.

What can go wrong, and what is then true:
 1. The reading straddles a boundary: it belongs to no slot and is read again.
 2. The meter fails: it is read again while the slot lasts; a slot that passes is missed and ends the block.
 3. The clock steps back: slots that were sampled are not sampled again, so times only ever grow.
 4. The time is unknown: readings are journaled with their ticks; when the time is learnt, some get theirs.
 5. The journal cannot be written: the sample is not taken, the slot is tried again.
 6. The slot began more than `late_s_max` ago: its register is not known any more; it is missed and ends the block.
"""

from node.port import const, sleep_ms, ticks_ms

_RETRY_MS = const(200)
_READS_MAX = const(3)
_LOOK_MS = const(10000)  # a clock that is set forward is noticed within this


class Sampler:
    """Reads `meter` on the multiples of `step_s` for `recorder`; `on_block()` is called when a block was signed.

    A reading stands for its slot's beginning, so it is taken within `late_s_max` civil seconds of it (None: any time
    in the slot).
    """

    def __init__(self, meter, clock, recorder, step_s, on_block, late_s_max=None, ticks=ticks_ms):
        self._meter = meter
        self._clock = clock
        self._recorder = recorder
        self._step_s = step_s
        self._on_block = on_block
        self._late_s_max = step_s if late_s_max is None else late_s_max
        self._unsynchronised = None  # readings whose time is not known, once there are any
        self._ticks = ticks
        self._is_dating = False
        self.taken = 0
        self.missed = 0
        self.failed = 0
        self.undated = 0

    async def run(self):
        """Sample for ever."""
        while True:
            await sleep_ms(min(self.look(), _LOOK_MS))

    def look(self):
        """Do what is due, whether the time is known or not; milliseconds until the next call."""
        if not self._clock.synchronised:
            self.read_undated(self._ticks())
            return 1000 * max(1, min(self._late_s_max, self._step_s))
        if not self._is_dating:
            self._is_dating = True
            self._resume()
            self.take_undated(self._ticks())
        return self.step()

    def step(self):
        """Take the present slot's sample if it is due; milliseconds until the next call."""
        slot_s = self._slot()
        last_s = self._recorder.last_time_s
        if last_s is None or slot_s > last_s:
            if self._is_late(slot_s):
                self._end_block(slot_s)
                return self._clock.wall_ms_until(slot_s + self._step_s)
            if not self._take(slot_s):
                return min(_RETRY_MS, self._clock.wall_ms_until(slot_s + self._step_s))
            last_s = self._recorder.last_time_s
        return self._clock.wall_ms_until(last_s + self._step_s)

    def state(self):
        """What a person is told, flat: counts since this start."""
        return {
            "samples_taken": self.taken,
            "samples_missed": self.missed,
            "samples_failed": self.failed,
            "samples_undated": self.undated,
            "samples_undated_dropped": self._unsynchronised.dropped if self._unsynchronised else 0,
        }

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
            self._end_block(slot_s - self._step_s)
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
                if self._is_late(slot_s):
                    return None
                return slot_s, tuple([tuple(register) for register in registers])
        return None

    def _is_late(self, slot_s):
        return self._late_s_max < self._step_s and self._clock.now_s() - slot_s > self._late_s_max

    def _end_block(self, slot_s):
        """Slot `slot_s` has no sample: do not let it hold back what was read before."""
        try:
            if self._recorder.miss(slot_s):
                self._on_block()
        except OSError:
            self.failed += 1

    def _slot(self):
        now_s = self._clock.now_s()
        return now_s - now_s % self._step_s

    def take_undated(self, now_ticks):
        """Record what was read before the time was known, where it is true for a slot's beginning."""
        if self._unsynchronised is None:
            return
        late_s = min(self._late_s_max, self._step_s - 1)
        for sample in self._unsynchronised.dated(self._clock.now_s(), now_ticks, self._step_s, late_s):
            last_s = self._recorder.last_time_s
            if last_s is not None and sample[0] <= last_s:
                continue
            try:
                if self._recorder.add(sample):
                    self._on_block()
                self.taken += 1
            except (OSError, ValueError):
                self.failed += 1
        try:
            self._recorder.note_dated()
        except OSError:
            self.failed += 1

    def read_undated(self, now_ticks):
        """Read the meter while the time is unknown."""
        try:
            registers = self._meter.read()
            if self._recorder.add_undated(now_ticks, registers):
                self._on_block()
            if self._unsynchronised is None:
                from node.undated import Undated

                self._unsynchronised = Undated()
            self._unsynchronised.add(now_ticks, registers)
            self.undated += 1
        except (OSError, ValueError):
            self.failed += 1

    def _resume(self):
        """Sign what a power cut left complete."""
        try:
            if self._recorder.resume():
                self._on_block()
        except OSError:
            self.failed += 1  # its next sample tries again
