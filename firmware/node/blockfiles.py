"""A block device in files, one for each block: what a cell lies on where a chip has only its file system.

littlefs writes a file anew elsewhere, so no write can be cut halfway, and the wear is levelled. Erased bytes at a
block's end are not written: a small file lies in its folder's own block, one of 512 bytes takes 4 kB of a flash that
has 192.
"""

from node.port import const, sync

_SIZE = const(512)
_ENOENT = const(2)


class BlockFiles:
    """`count` blocks of 512 bytes in the files PATH.0, PATH.1 ...; one that was never written is erased flash."""

    def __init__(self, path, count):
        self._path = path
        self._count = count

    def ioctl(self, request, _argument):
        """4: how many blocks; 5: how large."""
        return {4: self._count, 5: _SIZE}.get(request)

    def readblocks(self, number, buffer):
        """Fill `buffer` from a block."""
        for at in range(len(buffer)):
            buffer[at] = 0xFF
        try:
            with open(self._name(number), "rb") as file:
                file.readinto(buffer)
        except OSError as error:
            if error.args[0] != _ENOENT:
                buffer[0] = 0  # what cannot be read is not new: a cell takes this for a damaged block

    def writeblocks(self, number, buffer):
        """Replace a block; durable on return."""
        with open(self._name(number), "wb") as file:
            file.write(bytes(buffer).rstrip(b"\xff"))
            sync(file)

    def _name(self, number):
        return self._path + "." + str(number)
