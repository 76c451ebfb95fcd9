"""A device's month in a few seconds: the real node modules on flash that is cut, a clock that jumps, a lossy gateway.

Every choice comes from one seed. True time runs by quarters of an hour and some seconds; the register is a pure
function of true time, as a chip's that counts; everything else may lie, be cut, or be lost.
"""

import asyncio
import random
from hashlib import sha256

from node import block, cbor, cose, ed25519
from node.cell import Cell
from node.deliver import WINDOW, Delivery
from node.flashlog import FlashJournal
from node.health import Health
from node.recorder import Recorder
from node.sample import Sampler
from node.timesync import LearntClock

from blocks import PowerCutError
from flash import Flash

START_S = 1_721_001_600
STEP_S = 900
LATE_S_MAX = 10
READINGS = 4
KEY = ed25519.SigningKey(bytes(range(32)))


class Meter:
    """Counts for ever: a different appetite each quarter of an hour, whole watt-hours, by true time."""

    def __init__(self, chance, days):
        self.now_s = START_S
        self.wh = [1_000_000]
        for _ in range(days * 96 + 200):
            self.wh.append(self.wh[-1] + chance.choice((0, 3, 250, 900)))

    def read(self):
        quarter, rest_s = divmod(self.now_s - START_S, STEP_S)
        return [(1, self.wh[quarter] + (self.wh[quarter + 1] - self.wh[quarter]) * rest_s // STEP_S)]


class Gateway:
    """Keeps each block under its seq and demands what a verifier demands; blocks and acks get lost or doubled."""

    def __init__(self, chance):
        self.blocks = {}
        self.repeated = 0
        self._chance = chance

    def take(self, signed):
        """The acknowledgements that reach the device: none, one or two."""
        if self._chance.random() < 0.1:
            return []
        _kid, payload, signature = cose.parse1(signed)
        seq = cbor.decode(payload)[1]
        known = self.blocks.setdefault(seq, signed)
        assert known == signed, f"two blocks of seq {seq}"
        self.repeated += known is not signed
        del signature  # verified once at the end: a verification costs more than all the rest
        return [cbor.encode([1, seq, sha256(signed).digest(), 0])] * self._chance.choice((0, 1, 1, 1, 2))


class Month:
    """One seeded life. `run` lives it; the attributes tell what happened."""

    def __init__(self, seed, days):
        self._chance = random.Random(seed)
        self._days = days
        self._flash = Flash(72, 4096, self._chance)
        self._counts = Flash(4, 128, self._chance)
        self.meter = Meter(self._chance, days)
        self.gateway = Gateway(self._chance)
        self.cuts = self.jumps = self.lies = self.offline = 0
        self._boot()

    def run(self):
        """Live the days, then let everything arrive; the last register is read within the last slot."""
        for quarter in range(self._days * 96):
            self._quarter(START_S + quarter * STEP_S)
        self._flash.cut_at = None
        self._is_online = True
        end_s = now_s = START_S + self._days * 96 * STEP_S
        while self._last_s() < end_s:  # a clock that ran ahead has sampled these slots already: they pass
            self._tell_time(now_s)
            self._at(now_s)
            now_s += STEP_S
            assert now_s < end_s + 96 * STEP_S
        if self.journal.samples:
            self.recorder.finish()
        while self.journal.backlog():
            self._deliver()

    def _quarter(self, slot_s):
        chance = self._chance
        if chance.random() < 0.02:
            self._is_online = not self._is_online
            self.offline += not self._is_online
        if chance.random() < 0.05:  # the power will go within so many bytes or erases
            self._flash.cut_at = self._flash.steps + chance.randrange(1, 900)
        if chance.random() < 0.02:  # a server lies
            self.lies += 1
            self.clock.learn(1000 * (slot_s + chance.choice((-86400, 86400, 7 * 86400))), False)
        if chance.random() < 0.03:  # the gateway's clock was set, and is right again later
            self.jumps += 1
            self.clock.learn(1000 * (slot_s + chance.randrange(-100, 100)), True)
        try:
            if chance.random() < 0.9:
                self._tell_time(slot_s)
            for offset_s in (1, 5, 300):
                self._at(slot_s + offset_s)
            if self._is_online:
                self._deliver()
        except PowerCutError:
            self.cuts += 1
            self._flash.cut_at = None
            self._boot()
            self._tell_time(slot_s + 310)

    def _boot(self):
        """What main.py builds, from what the flash holds."""
        self.health = Health(Cell(_Whole(self._counts)), "power")
        self.journal = FlashJournal(self._flash)
        self.recorder = Recorder(self.journal, KEY, STEP_S, READINGS)
        self.clock = LearntClock(self.journal.last_time_s or 0, self._ticks_ms, 43_200)
        self.sampler = Sampler(self.meter, self.clock, self.recorder, STEP_S, lambda: None, LATE_S_MAX)
        self._delivery = Delivery(self.journal, None, "", asyncio.Event(), None, 0)
        self._is_online = True
        self.recorder.resume()

    def _ticks_ms(self):
        return 1000 * (self.meter.now_s - START_S)

    def _at(self, now_s):
        self.meter.now_s = now_s
        if self.clock.synchronised:
            self.sampler.step()

    def _tell_time(self, now_s):
        self.meter.now_s = now_s
        self.clock.learn(1000 * now_s, True)

    def _deliver(self):
        for seq in list(self.journal.unsettled())[:WINDOW]:
            for ack in self.gateway.take(self.journal.read_block(seq)):
                self._delivery.on_ack(ack)

    def _last_s(self):
        return self.journal.last_time_s or 0


class _Whole:
    """NOR flash as the cell wants it: writing a block erases it first."""

    def __init__(self, flash):
        self._flash = flash
        self.readblocks = flash.readblocks

    def ioctl(self, request, argument):
        return self._flash.ioctl(request, argument)

    def writeblocks(self, number, data):
        self._flash.ioctl(6, number)
        self._flash.writeblocks(number, data)


def readings(blocks):
    """(time_s, wh) of every reading of the blocks (signed, by seq), the chain and each signature's shape checked."""
    found = []
    link = block.FIRST_LINK
    for seq, signed in sorted(blocks.items()):
        _kid, payload, _signature = cose.parse1(signed)
        _version, told, prev, start_s, step_s, _flags, channels = cbor.decode(payload)
        assert (told, prev) == (seq, link)
        link = sha256(signed).digest()[:16]
        _quantity, wh, growth = channels[0]
        size = {64: 1, 69: 2, 70: 4}[growth.number]
        found.append((start_s, wh))
        for at in range(0, len(growth.value), size):
            start_s += step_s
            wh += int.from_bytes(growth.value[at : at + size], "little")
            found.append((start_s, wh))
    return found
