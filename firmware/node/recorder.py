"""Turns samples into signed blocks: journals the sample, and when its block is complete signs and journals that."""

from node import block, cose


class Recorder:
    """Takes samples in the order of their times. `key` is an ed25519.SigningKey, `readings_max` ends a block.

    `boot` is the number of this start: ticks of readings without a time mean something within it only.
    """

    def __init__(self, journal, key, step_s, readings_max, boot=0):
        self._journal = journal
        self._key = key
        self._step_s = step_s
        self._readings_max = readings_max
        self._boot = boot
        self._flags = block.FLAG_POWER_LOST if journal.survived else 0

    @property
    def last_time_s(self):
        """Time of the newest sample ever taken, or None."""
        return self._journal.last_time_s

    def resume(self):
        """Sign what a power cut left complete but unsigned; whether there was anything."""
        return self._sign_if_complete()

    def add(self, sample):
        """Take one sample, later than the one before; whether a block was signed. ValueError: no meter reads this."""
        if not block.is_sample(sample, self._step_s):
            raise ValueError("not a sample")
        journal = self._journal
        signed = bool(journal.samples) and not self._continues(sample) and self.finish()
        journal.add_sample(sample)
        return self._sign_if_complete() or signed

    def miss(self, time_s):
        """Say that `time_s` has no sample: a block that waited for it ends; whether one was signed."""
        samples = self._journal.samples
        return bool(samples) and samples[-1][0] < time_s and self.finish()

    def add_undated(self, ticks, registers):
        """Keep a reading whose time is not known; whether a block was signed. ValueError: no meter reads this.

        Samples of an earlier start that wait are signed first: they have their times, and would be in the way.
        """
        if not block.is_sample((0, registers), self._step_s):
            raise ValueError("not a sample")
        signed = bool(self._journal.samples) and self.finish()
        self._journal.add_undated(self._boot, ticks, registers)
        return signed

    def note_dated(self):
        """The time is known, and what was undated has been taken as far as it can be."""
        self._journal.note_dated(self._boot)

    def finish(self):
        """Sign the samples at hand as one block; True."""
        journal = self._journal
        payload = block.payload(journal.next_seq, journal.link, self._step_s, self._flags, journal.samples)
        journal.add_block(cose.sign1(payload, self._key, block.AAD))
        self._flags = 0
        return True

    def _continues(self, sample):
        samples = self._journal.samples
        return block.follows(samples[-1], sample, self._step_s) and block.fits(
            self._journal.next_seq, self._step_s, samples + [sample]
        )

    def _sign_if_complete(self):
        return len(self._journal.samples) >= self._readings_max and self.finish()
