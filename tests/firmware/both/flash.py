"""NOR flash in memory: bits only fall, a sector is erased whole, and the power can go at any byte or erase."""

from blocks import PowerCutError


class Flash:
    """`cut_at` counts steps, a programmed byte or an erase each; the step after that many ends halfway."""

    def __init__(self, count, size, random):
        self.data = [bytearray(b"\xff" * size) for _ in range(count)]
        self.random = random
        self.steps = 0
        self.cut_at = None
        self.erases = 0

    def copy(self):
        other = Flash(0, 0, self.random)
        other.data = [bytearray(sector) for sector in self.data]
        return other

    def _step(self):
        self.steps += 1
        return self.cut_at is not None and self.steps > self.cut_at

    def ioctl(self, request, argument):
        if request == 6:
            self.erases += 1
            sector = self.data[argument]
            if self._step():  # some bytes are erased, some are as they were, some are neither
                for at in range(len(sector)):
                    sector[at] |= self.random.choice((0, 255, self.random.getrandbits(8)))
                raise PowerCutError
            sector[:] = b"\xff" * len(sector)
        return {4: len(self.data), 5: len(self.data[0])}.get(request, 0)

    def readblocks(self, number, buffer, offset=0):
        buffer[:] = self.data[number][offset : offset + len(buffer)]

    def writeblocks(self, number, buffer, offset=0):
        sector = self.data[number]
        for at, byte in enumerate(buffer):
            if self._step():
                raise PowerCutError
            sector[offset + at] &= byte
