"""BL0942: the frames of arendst/Tasmota#14829, a chip that restarts, and lines full of noise."""

from meters.bl0942 import Bl0942, checksum

from neutral import raises, seeded
from wires import Bench, Ticks, noise

# Tasmota's log: current, voltage, fast current, power, CF, period, status; and the checksum as it came.
RECORDED = [
    ((0, 3656348, 0x4337, 0, 418, 20062, 0x22), 0xC9),
    ((25, 3657514, 0x440C, 2, 418, 20062, 0x22), 0x45),
    ((0, 3657359, 0x42A5, 0, 418, 20062, 0x02), 0x85),
    ((0, 3659881, 0x4441, 0, 418, 20062, 0x02), 0x03),
    ((0, 3657732, 0x4444, 0, 418, 20062, 0x22), 0x4D),
    ((0, 3660279, 0x4104, 0, 418, 20062, 0x02), 0xB4),
]
SETTINGS = ["a81d550000e5", "a8198f0000af", "a81d0000003a", "5819"]


def _frame(current, voltage, fast, power, count, period, status):
    body = b"\x55"
    for value in (current, voltage, fast, power & 0xFFFFFF, count):
        body += value.to_bytes(3, "little")
    body += period.to_bytes(2, "little") + bytes([0, status, 1, 0])
    return body + bytes([checksum(b"\x58" + body)])


def _counted(count, power=0):
    return _frame(0, 3656348, 0, power, count, 20062, 0)


class Chip:
    """Answers as the chip does: its mode, or the frame that the test put into `frame`."""

    def __init__(self, frame):
        self.frame = frame
        self.mode = 0

    def __call__(self, written):
        if written[:2] == b"\xa8\x19":
            self.mode = int.from_bytes(written[2:5], "little")
        if written == b"\x58\x19":
            body = self.mode.to_bytes(3, "little")
            return body + bytes([checksum(written + body)])
        return self.frame if written == b"\x58\xaa" else b""


def _meter(chip, stores=None, config=None):
    bench, ticks = Bench(stores), Ticks()
    bench.wire.answer = chip
    return Bl0942(config or {}, bench, bench.wire, ticks), bench, ticks


def _poll(meter, ticks, times=1):
    for _ in range(times):
        ticks.now_ms += meter.poll()


def test_frames_as_recorded():
    """Rebuilt from what Tasmota decoded, each frame has the checksum that came over the wire, and reads 230 V."""
    for fields, mark in RECORDED:
        frame = _frame(*fields)
        assert frame[-1] == mark
        meter, _bench, ticks = _meter(Chip(frame))
        _poll(meter, ticks, 4)
        state = meter.state()
        assert 230300 <= state["voltage_mv"] <= 230600
        assert state["frequency_mhz"] == 49845
        assert meter.read() == [(1, 0)]


def test_set_up():
    """The chip is told its mode, unlocked and locked, and asked for it; and not reset: it keeps its count."""
    meter, bench, ticks = _meter(Chip(_counted(1)))
    _poll(meter, ticks)
    assert [data.hex() for data in bench.wire.sent] == SETTINGS


def test_read_before_the_mode_is_confirmed():
    """A chip in another mode counts something else: it is not read."""

    def deaf(written):
        return b"\x07\x00\x00" + bytes([checksum(b"\x58\x19\x07\x00\x00")]) if written == b"\x58\x19" else _counted(9)

    meter, _bench, ticks = _meter(deaf)
    _poll(meter, ticks, 20)
    assert raises(OSError, meter.read)
    assert meter.state()["silent"] == 19


def test_energy_of_an_hour():
    """3304.61 pulses are a kilowatt-hour; what is left over is carried."""
    chip = Chip(_counted(100))
    meter, _bench, ticks = _meter(chip)
    _poll(meter, ticks, 3)
    for pulses in range(101, 6710):
        chip.frame = _counted(pulses)
        _poll(meter, ticks)
    assert meter.read() == [(1, (6708 - 100) * 100000 // 330461)]


def test_energy_when_power_is_cut():
    """The register goes on from what it gave out, with what the chip counts anew."""
    stores = {}
    chip = Chip(_counted(100))
    meter, _bench, ticks = _meter(chip, stores)
    _poll(meter, ticks, 3)
    for pulses in range(101, 400):
        chip.frame = _counted(pulses)
        _poll(meter, ticks)
    (_quantity, before_wh) = meter.read()[0]
    chip.frame = _counted(7)
    meter, _bench, ticks = _meter(chip, stores)
    assert raises(OSError, meter.read)
    _poll(meter, ticks, 4)
    (_quantity, after_wh) = meter.read()[0]
    assert before_wh <= after_wh <= before_wh + 3
    assert meter.state()["counter_resets"] == 1


def test_energy_when_only_we_restart():
    """The chip counted on: nothing is missing."""
    stores = {}
    chip = Chip(_counted(100))
    meter, _bench, ticks = _meter(chip, stores)
    _poll(meter, ticks, 4)
    assert meter.read() == [(1, 0)]
    chip.frame = _counted(100 + 3305)
    meter, _bench, ticks = _meter(chip, stores)
    _poll(meter, ticks, 4)
    assert meter.read() == [(1, 1000)]


def test_power_that_flows_back():
    """Power is signed; energy is counted all the same, in the register that the configuration names."""
    meter, _bench, ticks = _meter(Chip(_counted(5, -5960)), config={"quantity": 2})
    _poll(meter, ticks, 4)
    assert meter.state()["power_mw"] == -10000
    assert meter.read() == [(2, 0)]


def test_read_when_the_chip_falls_silent():
    """After ten seconds without an answer there is no value, rather than the last one."""
    chip = Chip(_counted(5))
    meter, _bench, ticks = _meter(chip)
    _poll(meter, ticks, 4)
    assert meter.read() == [(1, 0)]
    chip.frame = b""
    _poll(meter, ticks, 12)
    assert raises(OSError, meter.read)


def test_noise_between_answers():
    """Random bytes before, after and within answers, seeded: counted, and never a watt-hour that was not there."""
    chance = seeded(942)
    chip = Chip(_counted(100))
    meter, _bench, ticks = _meter(chip)
    _poll(meter, ticks, 3)
    for pulses in range(101, 1001):
        frame = bytearray(_counted(pulses))
        if chance.randrange(4) == 0:
            frame[chance.randrange(23)] ^= 1 << chance.randrange(8)
        chip.frame = noise(chance, chance.randrange(4)) + bytes(frame)[: chance.randrange(20, 24)]
        _poll(meter, ticks)
    chip.frame = _counted(1000)
    _poll(meter, ticks, 5)
    assert meter.read() == [(1, 900 * 100000 // 330461)]
    assert meter.state()["noise_bytes"] > 100
