"""A block device in memory whose power can be cut in any write, at any byte."""


class PowerCutError(BaseException):
    """The power is gone: nothing after this happens, and nothing may catch it on the way."""


class Blocks:
    """`cut_after` writes are whole; the next ends after `cut_bytes` of its bytes, the rest erased or as it was."""

    def __init__(self, count=4, size=128):
        self.data = [bytearray(b"\xff" * size) for _ in range(count)]
        self.writes = 0
        self.cut_after = None
        self.cut_bytes = 0
        self.cut_erases = True
        self.broken = False

    def restart(self, cut_after=None, cut_bytes=0, cut_erases=True):
        """Power is back; cut it again after so many more writes."""
        self.writes = 0
        self.cut_after, self.cut_bytes, self.cut_erases = cut_after, cut_bytes, cut_erases
        return self

    def ioctl(self, request, _argument):
        return {4: len(self.data), 5: len(self.data[0])}.get(request)

    def readblocks(self, number, buffer, offset=0):
        buffer[:] = self.data[number][offset : offset + len(buffer)]

    def writeblocks(self, number, buffer, offset=0):
        if self.broken:
            raise OSError(5)
        old = self.data[number]
        if self.cut_after is not None and self.writes >= self.cut_after:
            rest = b"\xff" * len(old) if self.cut_erases else bytes(old)
            end = offset + min(self.cut_bytes, len(buffer))
            self.data[number] = bytearray(bytes(old[:offset]) + bytes(buffer[: end - offset]) + rest[end:])
            raise PowerCutError
        self.data[number] = bytearray(bytes(old[:offset]) + bytes(buffer) + bytes(old[offset + len(buffer) :]))
        self.writes += 1
