"""A device's month in a few seconds: what main.py builds, on flash that is cut, a clock that jumps, a lossy air.

Every choice comes from one seed. True time runs by quarters of an hour and some seconds; the register is a pure
function of true time, as a chip's that counts; everything else may lie, be cut, or be lost. What is not the device's
own code is at its edge: the board, the radio and the meter's chip.
"""

import asyncio
import random
from hashlib import sha256

import meters
from node import block, cbor, cose, ed25519, timesync
from node.report import TOLD_SIZE_MAX, told
from node.wiring import Device

from blocks import PowerCutError
from flash import Flash
from neutral import folder

START_S = 1_721_001_600
STEP_S = 900
KEY = ed25519.SigningKey(bytes(range(32)))
GATEWAY_KEY = ed25519.SigningKey(bytes([7] * 32))
DEVICE = "ab" * 16
TOPIC = "cw/" + DEVICE
JOURNAL_SECTORS = 72
CELL_SECTORS = 4


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
        _kid, payload, _signature = cose.parse1(signed)  # verified at the end: it costs more than all the rest
        seq = cbor.decode(payload)[1]
        known = self.blocks.setdefault(seq, signed)
        assert known == signed, f"two blocks of seq {seq}"
        self.repeated += known is not signed
        return [cbor.encode([1, seq, sha256(signed).digest(), 0])] * self._chance.choice((0, 1, 1, 1, 2))


class Air:
    """Stands in the place of node.link.Link: what is published while it is up may arrive, and be answered at once."""

    failures = oversized = 0

    def __init__(self, gateway, on_message):
        self._gateway = gateway
        self._on_message = on_message
        self.is_up = True
        self.connects = 1
        self.reasons = {}

    async def publish(self, topic, payload, _retain=False):
        if not self.is_up:
            return False
        assert topic == TOPIC + "/block"
        for ack in self._gateway.take(payload):
            self._on_message(TOPIC + "/ack", ack)
        return True


class Board:
    """What firmware/board.py has, on one flash that a power cut takes whole: the journal first, then a cell each."""

    WIFI = False
    VERSION = 1
    STATUS_MS = 1000
    TIME = None

    def __init__(self, chance):
        self.flash = Flash(JOURNAL_SECTORS + 3 * CELL_SECTORS, 4096, chance)
        self._chance = chance
        self._cells = []
        self.relay = None

    def random(self):
        return self._chance.random()

    def urandom(self, size):
        return bytes([self._chance.getrandbits(8) for _ in range(size)])

    def cause(self):
        return self._chance.choice(("power", "brownout", "watchdog"))

    def watchdog(self, _timeout_ms):
        return lambda: None

    def journal(self, _config):
        return Part(self.flash, 0, JOURNAL_SECTORS, False)

    def blocks(self, _config, name, _count=CELL_SECTORS):
        if name not in self._cells:
            self._cells.append(name)
        first = JOURNAL_SECTORS + self._cells.index(name) * CELL_SECTORS
        return Part(self.flash, first, CELL_SECTORS, True)

    def hardware(self, _config):
        return None

    def has_relay(self, _config):
        return True

    def switch(self, _config):
        return self._move

    def _move(self, is_on):
        self.relay = is_on


class Part:
    """Some sectors of a flash; `is_whole`: a block is erased before it is written, as cells want it."""

    def __init__(self, flash, first, count, is_whole):
        self._flash, self._first, self._count, self._is_whole = flash, first, count, is_whole

    def ioctl(self, request, argument):
        if request == 4:
            return self._count
        return self._flash.ioctl(request, argument + self._first if request == 6 else argument)

    def readblocks(self, number, buffer, offset=0):
        self._flash.readblocks(self._first + number, buffer, offset)

    def writeblocks(self, number, data, offset=0):
        if self._is_whole:
            self._flash.ioctl(6, self._first + number)
        self._flash.writeblocks(self._first + number, data, offset)


class Month:
    """One seeded life. `run` lives it; the attributes tell what happened."""

    def __init__(self, seed, days):
        self._chance = random.Random(seed)
        self._days = days
        self._waited_ms = 0
        self.board = Board(self._chance)
        self.meter = Meter(self._chance, days)
        self.gateway = Gateway(self._chance)
        self.cuts = self.jumps = self.lies = self.forgeries = self.offline = self.undated = 0
        meters.driver("month")(lambda _config, _clock, _hardware: self.meter)
        state_dir = folder()
        with open(state_dir + "/key", "w") as file:
            file.write(bytes(range(32)).hex() + "\n")
        self._config = {
            "device": DEVICE,
            "broker": {},
            "state_dir": state_dir,
            "step_s": STEP_S,
            "block_readings": 4,
            "late_s_max": 10,
            "retry_ms_max": 2000,
            "meter": {"type": "month"},
            "time": {"gateway": GATEWAY_KEY.public_key.hex()},
        }
        self._boot()

    @property
    def journal(self):
        return self.device.journal

    def run(self):
        """Live the days, then let everything arrive; the last register is read within the last slot."""
        for quarter in range(self._days * 96):
            self._quarter(START_S + quarter * STEP_S)
        self.board.flash.cut_at = None
        if self.device.health.is_safe_mode:
            self.device.health.steady()
            self._boot()
        self.device.link.is_up = True
        end_s = now_s = START_S + self._days * 96 * STEP_S
        while (self.journal.last_time_s or 0) < end_s:  # a clock that ran ahead has sampled these slots: they pass
            self._at(now_s)
            self.device.civil.learn(1000 * now_s, True)
            self._at(now_s)
            now_s += STEP_S
            assert now_s < end_s + 96 * STEP_S
        if self.journal.samples:
            self.device.recorder.finish()
        while self.journal.backlog():
            self._waited_ms += 5000  # what was lost is due again
            self._deliver()

    def _quarter(self, slot_s):
        chance = self._chance
        device = self.device
        self.meter.now_s = slot_s
        if chance.random() < 0.02:
            device.link.is_up = not device.link.is_up
            self.offline += not device.link.is_up
        if chance.random() < 0.05:  # the power will go within so many bytes or erases
            self.board.flash.cut_at = self.board.flash.steps + chance.randrange(1, 900)
        if chance.random() < 0.02:  # a server lies
            self.lies += 1
            device.civil.learn(1000 * (slot_s + chance.choice((-86400, 86400, 7 * 86400))), False)
        if chance.random() < 0.03:  # the gateway's clock was set, and is right again later
            self.jumps += 1
            device.civil.learn(1000 * (slot_s + chance.randrange(-100, 100)), True)
        if chance.random() < 0.02:  # somebody answers in the gateway's place, or says anything
            self.forgeries += 1
            self._answer_time(slot_s + 86400, KEY)
            device.on_message(TOPIC + chance.choice(("/ack", "/cmd", "/time/answer")), self.board.urandom(40))
        try:
            self._at(slot_s + 1)
            if (not device.civil.synchronised and chance.random() < 0.7) or chance.random() < 0.02:
                self._answer_time(slot_s + 1, GATEWAY_KEY)
            elif chance.random() < 0.9:  # a signature costs more than all the rest: its verdict is tested elsewhere
                device.civil.learn(1000 * (slot_s + 1), chance.random() < 0.5)
            for offset_s in (1, 5, 300):
                self._at(slot_s + offset_s)
            self._watch()
            self._deliver()
        except PowerCutError:
            self.cuts += 1
            self.undated += device.sampler is not None and device.sampler.undated
            self._boot()
        if slot_s % 86400 == 0:
            assert len(told(self.device.describe())) <= TOLD_SIZE_MAX

    def _boot(self):
        """What main.py does with what the flash holds; the power may go again meanwhile."""
        self._booted_s = self.meter.now_s
        flash = self.board.flash
        flash.cut_at = flash.steps + self._chance.randrange(900) if self._chance.random() < 0.1 else None
        while True:
            try:
                self.device = Device(self._config, self.board, self._ticks_ms, self._air)
                break
            except PowerCutError:
                self.cuts += 1
                flash.cut_at = None
        flash.cut_at = None

    def _watch(self):
        """What node/watch.py does when five minutes have passed, and an hour."""
        health = self.device.health
        if self.meter.now_s - self._booted_s >= 3600:
            health.steady()
            if health.is_safe_mode:
                self._boot()
        elif not health.is_safe_mode:
            health.well()

    def _air(self, _broker, _name, _topics, on_message, _on_change, _random, **_settings):
        return Air(self.gateway, on_message)

    def _ticks_ms(self):
        return 1000 * (self.meter.now_s - START_S) + self._waited_ms

    def _at(self, now_s):
        self.meter.now_s = now_s
        if self.device.sampler:
            self.device.sampler.look()

    def _answer_time(self, now_s, key):
        nonce = self.device.timekeeper.gateway.request()
        signed = cose.sign1(cbor.encode([1, nonce, now_s]), key, timesync.AAD)
        self.device.on_message(TOPIC + "/time/answer", signed)

    def _deliver(self):
        if self.device.link.is_up and self.device.delivery:
            asyncio.run(self.device.delivery.send_due())


def readings(blocks):
    """(time_s, wh) of every reading of the blocks (signed, by seq), the chain and each signature's shape checked."""
    found = []
    link = block.FIRST_LINK
    for seq, signed in sorted(blocks.items()):
        _kid, payload, _signature = cose.parse1(signed)
        _version, told_seq, prev, start_s, step_s, _flags, channels = cbor.decode(payload)
        assert (told_seq, prev) == (seq, link)
        link = sha256(signed).digest()[:16]
        _quantity, wh, growth = channels[0]
        size = {64: 1, 69: 2, 70: 4}[growth.number]
        found.append((start_s, wh))
        for at in range(0, len(growth.value), size):
            start_s += step_s
            wh += int.from_bytes(growth.value[at : at + size], "little")
            found.append((start_s, wh))
    return found
