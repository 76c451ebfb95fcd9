"""One meter's way from readings to signed blocks in the spool."""

import logging
from collections import Counter

from commonwatt import block, transport
from commonwatt.identity import SigningKey
from gateway.meters import sampling
from gateway.meters.chains import ChainStore
from gateway.meters.plausible import Limits, Suspicion, doubt, suspect
from gateway.meters.sampling import Chain, Reading
from gateway.meters.silence import meaning_of
from gateway.spool import NewBlock

log = logging.getLogger(__name__)

REPLACED = "replaced"
"""Counted when readings that followed each other, but not the last ones, were believed in the end."""


class Sampler:
    """Collects the readings of one meter and signs them with the meter's key. Call inside a transaction."""

    def __init__(
        self,
        *,
        device: bytes,
        key: SigningKey,
        store: ChainStore,
        step_s: int,
        block_readings: int,
        limits: Limits,
    ) -> None:
        self.device = device
        self.doubts: Counter[str] = Counter()
        """Readings that were not believed, by label, and how often the meter was found to go on from elsewhere."""
        self.doubted_because: str | None = None
        """Why the newest reading was not believed; None if it was."""
        self._key = key
        self._store = store
        self._step_s = step_s
        self._block_readings = block_readings
        self._limits = limits
        self._pending = store.pending(device)
        self._last = self._pending[-1] if self._pending else store.last(device)
        self._suspicion: Suspicion | None = None

    @property
    def last(self) -> Reading | None:
        """The newest reading that was believed, in this life or the one before."""
        return self._last

    def take(self, reading: Reading) -> list[NewBlock]:
        """Keep a reading; returns the blocks that it completed. The second reading of a step is dropped."""
        assert reading.device == self.device
        if self._last and reading.time_s == self._last.time_s:
            return []
        if not self._is_believed(reading):
            return []
        blocks = []
        if self._pending and not sampling.continues(self._pending[-1], reading, step_s=self._step_s):
            blocks.append(self._close())
        self._store.keep(reading)
        self._pending.append(reading)
        self._last = reading
        if len(self._pending) >= self._block_readings:
            blocks.append(self._close())
        return blocks

    def close_if_over(self, now_s: float) -> list[NewBlock]:
        """End a block that can grow no more: the meter was silent for a step, or the clock was set."""
        if self._pending and sampling.is_over(self._pending[-1], now_s, step_s=self._step_s):
            return [self._close()]
        return []

    def close(self) -> list[NewBlock]:
        """End the open block: the meter is no longer ours to read."""
        return [self._close()] if self._pending else []

    def _is_believed(self, reading: Reading) -> bool:
        """Whether the reading follows the last one, or enough doubted ones follow each other."""
        why = self._last and doubt(self._last, reading, self._limits, step_s=self._step_s)
        if not why:
            self._suspicion = self.doubted_because = None
            return True
        self.doubts[why.value] += 1
        self.doubted_because = why.value
        self._suspicion = suspect(self._suspicion, reading, self._limits, step_s=self._step_s)
        if not self._suspicion.is_confirmed():
            log.warning("meter %s: %s; not believed", self.device.hex(), meaning_of(why.value))
            return False
        self.doubts[REPLACED] += 1
        self._suspicion = self.doubted_because = None
        log.warning("meter %s: %s", self.device.hex(), meaning_of(REPLACED))
        return True

    def _close(self) -> NewBlock:
        """Sign the pending readings as one block and let the chain go on."""
        public_key = self._key.public_key
        chain = self._store.chain(self.device, public_key)
        signed = sampling.build(self._pending, chain, step_s=self._step_s).sign(self._key)
        self._store.go_on(self.device, public_key, Chain(chain.seq + 1, block.link(signed)))
        self._store.keep_last(self._pending[-1])
        self._store.forget(self.device)
        self._pending = []
        return NewBlock(self.device, chain.seq, transport.sha256(signed), signed)
