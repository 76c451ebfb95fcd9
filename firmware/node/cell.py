"""One small value that survives any power cut: a ring of blocks, each holding one whole copy.

    block = number (4, little-endian)  length of value (2)  value  CRC-32 of all before it (4)  anything

The value with the highest number counts. Writing takes the block after it, so the newest stays whole until the next
one is. A block device is MicroPython's: readblocks(number, buffer), writeblocks(number, buffer), ioctl(4 or 5, 0).

How it ends, and what is then true:
 1. Cut while a block is erased or written: its CRC fails, the value before still counts.
 2. What was written reads back otherwise: OSError to the caller, the value before still counts.
 3. No block is whole though more than the first was written: `is_lost`; the owner decides what that means.
"""

from binascii import crc32

from node.port import const

_COUNT = const(4)  # ioctl: number of blocks
_SIZE = const(5)  # ioctl: bytes in a block
_HEAD = const(6)
_AROUND = const(10)
_EIO = const(5)


class Cell:
    """`value` is the newest whole value (bytes) or None. `damaged` counts blocks that were not whole at start."""

    def __init__(self, blocks):
        self._blocks = blocks
        self._count = blocks.ioctl(_COUNT, 0)
        self._size = blocks.ioctl(_SIZE, 0)
        self._number = 0
        self._at = -1
        self.value = None
        self.damaged = 0
        self.is_lost = False
        self._load()

    def write(self, value):
        """Keep `value`; durable on return. OSError: the value before still counts."""
        assert len(value) <= self._size - _AROUND
        record = (self._number + 1).to_bytes(4, "little") + len(value).to_bytes(2, "little") + value
        record += crc32(record).to_bytes(4, "little")
        at = (self._at + 1) % self._count
        self._blocks.writeblocks(at, record + b"\xff" * (self._size - len(record)))
        again = self._read(at)
        if again is None or again[1] != value:
            raise OSError(_EIO)
        self._number, self.value = again
        self._at = at
        self.is_lost = False

    def clear(self):
        """Forget the value: every block is erased, the newest last, so that a cut brings no older value back."""
        for step in range(1, self._count + 1):
            self._blocks.writeblocks((self._at + step) % self._count, b"\xff" * self._size)
        self._number, self._at, self.value, self.is_lost = 0, -1, None, False

    def _load(self):
        written = []
        for at in range(self._count):
            record = self._read(at)
            if record is None:
                if not self._is_empty(at):
                    self.damaged += 1
                    written.append(at)
            elif record[0] > self._number:
                self._number, self.value = record
                self._at = at
        self.is_lost = self.value is None and written not in ([], [0])

    def _read(self, at):
        """(number, value) of a whole block, or None."""
        block = bytearray(self._size)
        self._blocks.readblocks(at, block)
        end = _HEAD + int.from_bytes(block[4:6], "little")
        if end + 4 > self._size or crc32(block[:end]) != int.from_bytes(block[end : end + 4], "little"):
            return None
        number = int.from_bytes(block[:4], "little")
        return (number, bytes(block[_HEAD:end])) if number else None

    def _is_empty(self, at):
        block = bytearray(self._size)
        self._blocks.readblocks(at, block)
        return all(byte == block[0] for byte in block) and block[0] in (0, 255)


class Forgetful:
    """Stands in for a cell whose flash cannot even be read: it holds nothing and takes nothing."""

    value = None
    is_lost = False
    damaged = 0

    def write(self, _value):
        """OSError."""
        raise OSError(_EIO)
