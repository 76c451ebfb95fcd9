"""Flash in a file, for Unix: bytes are programmed from one to zero, sectors are erased whole, and both are synced."""

from node import port
from node.port import const

_CHUNK = const(128)
_ERASED = b"\xff" * 128


class FileFlash:
    """An extended block device of `count` sectors of `size` bytes in the file `path`, made erased if missing."""

    def __init__(self, path, count, size=4096):
        self._path = path
        self._count = count
        self._size = size
        try:
            with open(path, "rb") as file:
                have = file.seek(0, 2)
        except OSError:
            have = 0
        if have < count * size:  # a cut while it was made: the rest was never used
            with open(path, "ab") as file:
                file.write(_ERASED[: -have % _CHUNK])
                for _ in range((count * size - have) // _CHUNK):
                    file.write(_ERASED)
                port.sync(file)

    def readblocks(self, number, buffer, offset=0):
        """Fill `buffer` from `offset` of sector `number` on."""
        with open(self._path, "rb") as file:
            file.seek(number * self._size + offset)
            file.readinto(buffer)

    def writeblocks(self, number, buffer, offset=0):
        """Program: what is zero stays zero."""
        old = bytearray(len(buffer))
        self.readblocks(number, old, offset)
        for at in range(len(old)):  # in place: a list of them would take eight bytes for each
            old[at] &= buffer[at]
        self._write(number * self._size + offset, old)

    def ioctl(self, request, argument):
        """3 sync (each write is), 4 number of sectors, 5 their size, 6 erase sector `argument`."""
        if request == 6:
            with open(self._path, "r+b") as file:
                file.seek(argument * self._size)
                for _ in range(self._size // _CHUNK):  # small ones: a heap in pieces has no room for a whole sector
                    file.write(_ERASED)
                port.sync(file)
        return {4: self._count, 5: self._size}.get(request, 0)

    def _write(self, at, data):
        with open(self._path, "r+b") as file:
            file.seek(at)
            file.write(data)
            port.sync(file)
