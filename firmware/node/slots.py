"""Two image slots and a boot loader over a block device, with the ESP32's rules: what Unix and the tests have.

The first half of the blocks is slot 0, the second slot 1. A cell holds [slot to start, state]:

    VALID    confirmed: start it
    NEW      asked to be tried: start it, as PENDING
    PENDING  it was started and not confirmed: start the other one
"""

from node.port import const

_VALID = const(0)
_NEW = const(1)
_PENDING = const(2)
_ENOSPC = const(28)


class Slots:
    """`blocks` hold the images, `cell` the boot loader's word. `boot` must be called once at power-on."""

    def __init__(self, blocks, cell):
        self._blocks = blocks
        self._cell = cell
        self._block_size = blocks.ioctl(5, 0)
        self._blocks_each = blocks.ioctl(4, 0) // 2
        self._tail = b""
        self._tail_at = 0
        self.size = self._block_size * self._blocks_each
        self.running = 0
        self.is_trial = False

    def boot(self):
        """What a boot loader does at power-on; the slot that runs from now on."""
        slot, state = self._cell.value or (0, _VALID)
        if state == _PENDING:
            slot, state = 1 - slot, _VALID
            self._cell.write(bytes([slot, state]))
        elif state == _NEW:
            state = _PENDING
            self._cell.write(bytes([slot, state]))
        self.running = slot
        self.is_trial = state == _PENDING
        return slot

    def write(self, offset, data):
        """Bytes of the other slot, offsets ascending without gaps; whole blocks are written as they fill."""
        if offset == 0:
            self._tail, self._tail_at = b"", 0
        if offset + len(data) > self.size:
            raise OSError(_ENOSPC)
        self._tail += data
        while len(self._tail) >= self._block_size:
            self._write_block(self._tail[: self._block_size])
            self._tail = self._tail[self._block_size :]

    def flush(self):
        """Write what does not fill a block."""
        if self._tail:
            self._write_block(self._tail + b"\xff" * (self._block_size - len(self._tail)))
            self._tail = b""

    def read(self, offset, size):
        """Bytes of the other slot."""
        return self.image(1 - self.running, offset, size)

    def image(self, slot, offset, size):
        """Bytes of either slot."""
        data = b""
        buffer = bytearray(self._block_size)
        while len(data) < size:
            at = offset + len(data)
            self._blocks.readblocks(slot * self._blocks_each + at // self._block_size, buffer)
            start = at % self._block_size
            data += bytes(buffer[start : start + size - len(data)])
        return data

    def try_other(self):
        """Start the other slot next time, on trial."""
        self._cell.write(bytes([1 - self.running, _NEW]))

    def confirm(self):
        """What runs now is good."""
        self._cell.write(bytes([self.running, _VALID]))
        self.is_trial = False

    def _write_block(self, block):
        first = (1 - self.running) * self._blocks_each
        self._blocks.writeblocks(first + self._tail_at, block)
        self._tail_at += 1
