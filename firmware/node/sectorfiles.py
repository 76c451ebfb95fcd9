"""Flash in files, one for each sector: for a chip whose partition table has no journal of its own.

littlefs writes anew what is changed in a file, elsewhere, so it levels the wear and no write can be cut halfway.
"""

from node import port
from node.port import const

_CHUNK = const(128)
_ERASED = b"\xff" * 128


class SectorFiles:
    """An extended block device of `count` sectors of `size` bytes; a file is made when its sector is first used."""

    def __init__(self, path, count, size=4096):
        self._path = path
        self._count = count
        self._size = size

    def readblocks(self, number, buffer, offset=0):
        """Fill `buffer` from `offset` of sector `number` on; where nothing was programmed it is erased."""
        for at in range(len(buffer)):
            buffer[at] = 255
        try:
            with open(self._name(number), "rb") as file:
                file.seek(offset)
                file.readinto(buffer)
        except OSError:
            pass

    def writeblocks(self, number, buffer, offset=0):
        """Program: what is zero stays zero."""
        old = bytearray(len(buffer))
        self.readblocks(number, old, offset)
        for at in range(len(old)):
            old[at] &= buffer[at]
        try:
            file = open(self._name(number), "r+b")
        except OSError:
            self._erase(number)
            file = open(self._name(number), "r+b")
        with file:
            file.seek(offset)
            file.write(old)
            port.sync(file)

    def ioctl(self, request, argument):
        """3 sync (each write is), 4 number of sectors, 5 their size, 6 erase sector `argument`."""
        if request == 6:
            self._erase(argument)
        return {4: self._count, 5: self._size}.get(request, 0)

    def _erase(self, number):
        with open(self._name(number), "wb") as file:
            for _ in range(self._size // _CHUNK):
                file.write(_ERASED)
            port.sync(file)

    def _name(self, number):
        return self._path + "." + str(number)
