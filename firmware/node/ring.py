"""A ring log on raw flash: records in sectors that are erased one by one, the oldest when room is needed.

    sector = mark  records ...  mark              mark = number (4, little-endian)  CRC-32 of "ring" and that (4)
    record = length of body (2)  kind (1)  exclusive or of these three (1)  body  CRC-32 of all before it (4)  0

Flash: erased bytes are 255, programming turns ones into zeros, only a whole sector can be erased. The device is
MicroPython's extended block device: readblocks(n, buffer, offset), writeblocks(n, buffer, offset) programs,
ioctl(6, n) erases, ioctl(3, 0) makes it durable, ioctl(4, 0) is the number of blocks and ioctl(5, 0) their size.

How it ends, and what is then true:
 1. Cut while a record is programmed: its CRC fails, it never happened. At the next start what there is of it is
    struck out with zeros, or the remains of two cuts in a row could look like one record that went bad. The next
    record is behind the last byte written. Cut while striking out: the rest goes before the head, which tells still.
 2. Cut while a sector is erased: it held nothing that counts, because the sector whose turn is next never counts.
 3. Cut before a new sector's mark is whole: the sector before is still the newest; the new one is erased again.
 4. A record that was whole goes bad: its last byte, 0, tells it from one that was cut. It is counted as `lost`.
 5. A mark goes bad: its twin at the sector's other end stands in.
"""

from binascii import crc32

from node.port import const

_SYNC = const(3)
_COUNT = const(4)
_SIZE = const(5)
_ERASE = const(6)
_MARK = const(8)
_SALT = b"ring"  # without it four erased bytes would be a number with a right CRC
_HEAD = const(4)
AROUND = const(9)  # bytes around a body
_EIO = const(5)


class Ring:
    """`count` blocks of `flash` from `first` on, at least four. Addresses are byte offsets, never 0.

    `replay` must be called once before anything else. `damaged` counts runs of bytes that no record explains.
    """

    def __init__(self, flash, first=0, count=None):
        self._flash = flash
        self._first = first
        self._count = flash.ioctl(_COUNT, 0) - first if count is None else count
        self._size = flash.ioctl(_SIZE, 0)
        assert self._count >= 4
        self._newest = 0  # number of the sector that is written; sector `number` lies at `number` modulo the count
        self._at = self._size  # full: the first record begins a sector
        self.damaged = 0
        self._buffer = None  # a sector, while replaying
        self._remains = None  # where the newest sector ends in a record that was cut: (first, end)

    def replay(self, took, lost):
        """Call `took(kind, body, address)` for each record, oldest first, `lost(size)` for what was one.

        Whether there was anything.
        """
        self._buffer = bytearray(self._size)  # once: a heap in pieces has no room for one after the other
        numbers = [self._number(place) for place in range(self._count)]
        self._newest = max(numbers)
        for number in range(max(1, self._newest - self._count + 2), self._newest + 1):
            if numbers[number % self._count] == number:
                self._at = self._scan(number % self._count, took, lost)
        self._buffer = None
        self._strike_out()
        return self._newest > 0

    @property
    def worn(self):
        """How often the sector was erased that was erased most, in all its life: the marks count."""
        return -(-self._newest // self._count)

    def has_room(self, size):
        """Whether a body of `size` bytes fits into the sector that is written."""
        return self._at + size + AROUND <= self._size - _MARK

    def begin_sector(self):
        """Erase the oldest sector and write there from now on; the one after it no longer counts.

        True if it was in order, and (first, end): the addresses that no longer count.
        """
        number = self._newest + 1
        place = number % self._count
        self._flash.ioctl(_ERASE, self._first + place)
        mark = number.to_bytes(4, "little")
        mark += crc32(_SALT + mark).to_bytes(4, "little")
        self._program(place, mark, self._size - _MARK)
        self._program(place, mark, 0)  # last: only now the sector counts
        self._newest, self._at = number, _MARK
        first = (number + 1) % self._count * self._size
        return first, first + self._size

    def append(self, kind, body):
        """Write a record where `has_room`; its address. Durable on return, OSError: it never happened."""
        assert self.has_room(len(body))
        size = len(body)
        record = bytes((size & 255, size >> 8, kind, size & 255 ^ size >> 8 ^ kind)) + body
        record += crc32(record).to_bytes(4, "little") + b"\x00"
        place, at = self._newest % self._count, self._at
        self._at += len(record)  # also after a failure: what was programmed cannot be programmed again
        self._program(place, record, at)
        return place * self._size + at

    def read(self, address):
        """(kind, body) of the record at `address`; OSError if it went bad."""
        place, at = self._first + address // self._size, address % self._size
        head = bytearray(_HEAD)
        self._flash.readblocks(place, head, at)
        size = AROUND - 1 + (head[0] | head[1] << 8)
        if at + size > self._size:
            raise OSError(_EIO)
        record = bytearray(size)
        self._flash.readblocks(place, record, at)
        found = _parse(record, 0, size)
        if found is None:
            raise OSError(_EIO)
        return found

    def _scan(self, place, took, lost):
        """Tell a sector's records; where the next one can be written."""
        data = self._read(place)
        end = used = self._size - _MARK
        while used > _MARK and data[used - 1] == 255:
            used -= 1
        at = _MARK
        self._remains = None
        while at < used:
            record = _parse(data, at, end)
            if record is None:
                start = at
                while at < used and record is None:
                    at += 1
                    record = _parse(data, at, end)
                self.damaged += 1
                if not _was_cut(data, start, at):
                    lost(at - start)
                elif at == used:
                    self._remains = start, used
                continue
            took(record[0], record[1], place * self._size + at)
            at += AROUND + len(record[1])
        return max(at, used)

    def _strike_out(self):
        """Make what a cut left at the end of the newest sector zeros; its head last."""
        if self._remains is None:
            return
        start, used = self._remains
        head_end = min(start + _HEAD, used)
        if head_end < used:
            self._program(self._newest % self._count, bytes(used - head_end), head_end)
        self._program(self._newest % self._count, bytes(head_end - start), start)
        self._remains = None

    def _number(self, place):
        """The number of the sector at `place`, 0 if it has none or another's."""
        for offset in (0, self._size - _MARK):
            mark = bytearray(_MARK)
            self._flash.readblocks(self._first + place, mark, offset)
            number = int.from_bytes(mark[:4], "little")
            if crc32(_SALT + mark[:4]) == int.from_bytes(mark[4:], "little") and number % self._count == place:
                if offset == 0 or not self._is_half_begun(place):
                    return number
        return 0

    def _is_half_begun(self, place):
        """Whether a sector with only its last mark holds nothing: it was cut while it was begun."""
        data = self._read(place)
        return all(data[at] == 255 for at in range(_MARK, self._size - _MARK))

    def _read(self, place):
        self._flash.readblocks(self._first + place, self._buffer, 0)
        return self._buffer

    def _program(self, place, data, offset):
        self._flash.writeblocks(self._first + place, data, offset)
        self._flash.ioctl(_SYNC, 0)
        again = bytearray(len(data))
        self._flash.readblocks(self._first + place, again, offset)
        if again != data:
            raise OSError(_EIO)


def _parse(data, at, end):
    """(kind, body) of a whole record at `at`, or None."""
    size = data[at] | data[at + 1] << 8
    crc_at = at + _HEAD + size
    if crc_at + 4 > end or crc32(data[at:crc_at]) != int.from_bytes(data[crc_at : crc_at + 4], "little"):
        return None
    return data[at + 2], bytes(data[at + _HEAD : crc_at])


def _was_cut(data, start, end):
    """Whether a run of bytes is a record that was never finished: by its own length too short, or struck out.

    What was struck out before it leads the run; a length may begin with a zero too, so each beginning is tried.
    """
    while True:
        if end - start < AROUND or not any(data[start + _HEAD : end]):
            return True
        low, high, kind, check = data[start : start + _HEAD]
        if low ^ high ^ kind == check and start + AROUND + (low | high << 8) > end:
            return True
        if low:
            return False
        start += 1
