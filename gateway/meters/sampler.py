"""One meter's way from readings to signed blocks in the spool."""

from commonwatt import block, transport
from commonwatt.identity import SigningKey
from gateway.meters import sampling
from gateway.meters.chains import ChainStore
from gateway.meters.sampling import Chain, Reading
from gateway.spool import NewBlock


class Sampler:
    """Collects the readings of one meter and signs them with the meter's key. Call inside a transaction."""

    def __init__(
        self, *, device: bytes, key: SigningKey, store: ChainStore, step_s: int, block_readings: int
    ) -> None:
        self.device = device
        self._key = key
        self._store = store
        self._step_s = step_s
        self._block_readings = block_readings
        self._pending = store.pending(device)
        self._last_s = self._pending[-1].time_s if self._pending else store.last_time_s(device)

    def take(self, reading: Reading) -> list[NewBlock]:
        """Keep a reading; returns the blocks that it completed. The second reading of a step is dropped."""
        assert reading.device == self.device
        if reading.time_s == self._last_s:
            return []
        blocks = []
        if self._pending and not sampling.continues(self._pending[-1], reading, step_s=self._step_s):
            blocks.append(self._close())
        self._store.keep(reading)
        self._pending.append(reading)
        self._last_s = reading.time_s
        if len(self._pending) >= self._block_readings:
            blocks.append(self._close())
        return blocks

    def close_if_over(self, now_s: float) -> list[NewBlock]:
        """End a block that can grow no more: the meter was silent for a step, or the clock was set."""
        if self._pending and sampling.is_over(self._pending[-1], now_s, step_s=self._step_s):
            return [self._close()]
        return []

    def _close(self) -> NewBlock:
        """Sign the pending readings as one block and let the chain go on."""
        public_key = self._key.public_key
        chain = self._store.chain(self.device, public_key)
        signed = sampling.build(self._pending, chain, step_s=self._step_s).sign(self._key)
        self._store.go_on(self.device, public_key, Chain(chain.seq + 1, block.link(signed)))
        self._store.keep_last_time(self.device, self._pending[-1].time_s)
        self._store.forget(self.device)
        self._pending = []
        return NewBlock(self.device, chain.seq, transport.sha256(signed), signed)
