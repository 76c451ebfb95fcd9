"""Keeps one small value durable: two append-only files, used in turn.

Of 128 bytes each, because littlefs keeps such a file in its folder's own block: a save there adds to that block, one
to a longer file erases another (`tests/firmware/test_board_esp32.py` counts them).

    record = sequence (4, little-endian)  length (1)  value  CRC-32 of all before it (4)

How it ends, and what is then true:
 1. Cut while a record is appended: its CRC fails and the one before it holds. The next record begins the other file.
 2. Cut while a file is begun anew: the other one is whole and holds the newest value.
 3. A full or failing disk: OSError; the value before holds, and the next save begins the other file.
What is lost to damaged flash is counted in `damaged`: a file that cannot be read, bytes that no record explains.
"""

import os
from binascii import crc32

from node import port
from node.port import const

_HEAD = const(5)
_CRC = const(4)
_VALUE_MAX = const(200)
_ENOENT = const(2)
_ENOSPC = const(28)
_SIZE_MAX = const(128)
_FOUND_MAX = const(4096)  # of a file that another version wrote


class FileStore:
    """load() -> bytes or None; save(bytes). `path` is extended by .a and .b."""

    def __init__(self, path, size_max=_SIZE_MAX):
        self._paths = (path + ".a", path + ".b")
        self._size_max = size_max
        self._sequence = 0
        self._value = None
        self._active = 1
        self._size = 0
        self._is_clean = False  # nothing to append to: the first save begins a file
        self.damaged = 0
        self.saves = 0
        for index in (0, 1):
            self._replay(index)

    def load(self):
        """The value that was saved last, or None."""
        return self._value

    def save(self, value):
        """Keep `value`, at most 200 bytes; durable on return, OSError if not."""
        assert len(value) <= _VALUE_MAX
        record = (self._sequence + 1).to_bytes(4, "little") + bytes([len(value)]) + value
        record += crc32(record).to_bytes(_CRC, "little")
        begin = not self._is_clean or self._size + len(record) > self._size_max
        if begin:
            self._active = 1 - self._active
        self._is_clean = False  # until it is known to be
        with open(self._paths[self._active], "wb" if begin else "ab", 0) as file:
            if file.write(record) != len(record):
                raise OSError(_ENOSPC)
            port.sync(file)
        self._is_clean = True
        self._size = len(record) if begin else self._size + len(record)
        self._sequence += 1
        self._value = value
        self.saves += 1

    def _replay(self, index):
        """Read one file; the record with the highest sequence of both files is the value."""
        try:
            with open(self._paths[index], "rb") as file:
                data = file.read(max(self._size_max, _FOUND_MAX) + 1)
        except OSError as error:
            self.damaged += error.args[0] != _ENOENT
            return
        at, sequence, value = 0, 0, None
        while True:
            record = _record(data, at)
            if record is None:
                break
            sequence, value, at = record
        is_clean = at == len(data)
        self.damaged += not is_clean
        if sequence > self._sequence:
            self._sequence, self._value = sequence, value
            self._active, self._size, self._is_clean = index, at, is_clean


def _record(data, at):
    """(sequence, value, end) of the record at `at`, or None."""
    if len(data) < at + _HEAD:
        return None
    end = at + _HEAD + data[at + 4]
    if len(data) < end + _CRC:
        return None
    if crc32(data[at:end]) != int.from_bytes(data[end : end + _CRC], "little"):
        return None
    return int.from_bytes(data[at : at + 4], "little"), data[at + _HEAD : end], end + _CRC


def remove(path):
    """Forget the value: for a factory reset."""
    for ending in (".a", ".b"):
        try:
            os.remove(path + ending)
        except OSError:  # it was never there
            pass
