"""The seq that no block of this device has reached, kept away from the journal: what is left when that is wiped.

A device that signed another block under a seq it had used would be frozen as a forger. So before a block is signed
whose seq is the horizon, the horizon is moved on by STEP, durably. At start:
 1. The journal goes on at most STEP below the horizon: as it should be.
 2. It goes on further below, or holds nothing though something was signed: it was `wiped` and goes on at the horizon.
    The gateway sees a gap in seq; the registers go on. A cut before the very first block looks the same.
 3. The horizon itself is lost: it is made again from the journal.
A journal that lost less than STEP blocks without a trace is not noticed; a trace is a record that went bad (`lost`).
"""

from node import cbor
from node.port import const

STEP = const(16)  # written once in so many blocks; at most so many seqs stay unused


class Horizon:
    """`cell` is a node.cell.Cell; `first` is where a journal that was wiped goes on."""

    def __init__(self, cell):
        self._cell = cell
        self.wiped = False
        try:
            self.first = 0 if cell.value is None else int(cbor.decode(cell.value))
        except (TypeError, ValueError):
            self.first = 0

    def start(self, next_seq, is_empty):
        """The seq to go on with, for a journal that would go on with `next_seq`."""
        self.wiped = next_seq < self.first - STEP or (is_empty and self.first > 0)
        return self.first if self.wiped else next_seq

    def pass_by(self, seq):
        """Call it before block `seq` is signed; OSError: do not sign it."""
        if seq >= self.first:
            first = seq + STEP
            self._cell.write(cbor.encode(first))
            self.first = first
