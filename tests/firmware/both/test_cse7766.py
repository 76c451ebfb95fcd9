"""CSE7766: the frames of arendst/Tasmota#11389 and letscontrolit/ESPEasy#1920, desync, wraps and noise."""

from meters.cse7766 import Cse7766, is_frame

from neutral import raises, seeded
from wires import Bench, Ticks, noise

# Tasmota#11389: the fields that change (current's period, power's period, CF), and the checksum as it came.
TASMOTA = [
    (0x1FBB, 0x3252, 0x023D, 0x84), (0x1FBB, 0x325D, 0x0245, 0x97), (0x1FBB, 0x325D, 0x024D, 0x9F),
    (0x1FBB, 0x325D, 0x0255, 0xA7), (0x1FBB, 0x3250, 0x025D, 0xA2), (0x1FBB, 0x3250, 0x0265, 0xAA),
    (0x1FBB, 0x3250, 0x026D, 0xB2), (0x1FBB, 0x3255, 0x0276, 0xC0), (0x1FCE, 0x3255, 0x027E, 0xDB),
    (0x1FCE, 0x3255, 0x0286, 0xE3), (0x1FCE, 0x3254, 0x028E, 0xEA), (0x1FCE, 0x3254, 0x0296, 0xF2),
    (0x1FCE, 0x3254, 0x029E, 0xFA), (0x1FCE, 0x3260, 0x02A6, 0x0E),
]  # fmt: skip
# ESPEasy#1920, header F2 (the power's period is out of range): voltage's, current's and power's period, checksum.
ESPEASY = [
    (0x329, 0x043D7E, 0xFAE89C, 238), (0x329, 0x04329B, 0x000080, 2),
    (0x32B, 0x04329B, 0x1F174A, 4), (0x32B, 0x04329B, 0x224B13, 4),
]  # fmt: skip


def _frame(header, fields, flags, count):
    body = b"".join([value.to_bytes(3, "big") for value in fields]) + bytes([flags]) + count.to_bytes(2, "big")
    return bytes([header, 0x5A]) + body + bytes([sum(body) & 0xFF])


def _tasmota(current, power, count):
    return _frame(0x55, (0x02FB48, 0x32B, 0x404C, current, 0x5265C0, power), 0x71, count)


def _counted(count):
    return _tasmota(0x1FBB, 0x3252, count & 0xFFFF)


def _meter(stores=None):
    bench, ticks = Bench(stores), Ticks()
    return Cse7766({"power_max_w": 3680}, bench, bench.wire, ticks), bench, ticks


def _say(meter, bench, ticks, data, pause_ms=100):
    bench.wire.incoming += data
    ticks.now_ms += pause_ms
    meter.poll()


def test_frames_of_tasmota():
    """14 frames in a row, 105 ms apart: checksums as they came, 240.9 V, 8 pulses a frame."""
    meter, bench, ticks = _meter()
    for current, power, count, mark in TASMOTA:
        frame = _tasmota(current, power, count)
        assert frame[-1] == mark
        _say(meter, bench, ticks, frame, 105)
    state = meter.state()
    assert state["voltage_mv"] == 240937
    assert 418000 <= state["power_mw"] <= 420000
    assert state["wh_per_pulse"] == [5400000, 3600000000]
    # The first frame says the coefficient, the second confirms it, counting begins with two counts that agree.
    assert state["pulses"] == 0x02A6 - 0x024D
    assert meter.read() == [(1, 0)]


def test_frames_of_espeasy():
    """Header F2: the device showed 235.11 V and no power, not the 41 117 W that Pt gives; 51941 pulses."""
    for voltage, current, power, mark in ESPEASY:
        frame = _frame(0xF2, (0x02E6F8, voltage, 0x401F, current, 0x504E98, power), 97, 51941)
        assert frame[-1] == mark
        assert is_frame(frame)
        meter, bench, ticks = _meter()
        for _ in range(4):
            _say(meter, bench, ticks, frame)
        state = meter.state()
        assert state["power_mw"] == 0
        assert state["voltage_mv"] in (235105, 234525)


def test_wrap():
    """Past 65535 the counter begins again, ten times: nothing is lost and nothing invented."""
    meter, bench, ticks = _meter()
    for count in range(0, 10 * 65536, 60):
        _say(meter, bench, ticks, _counted(count))
    pulses = count - 120
    assert meter.read() == [(1, pulses * 5400000 // 3600000000)]
    assert meter.state()["counter_wraps"] == 9
    assert meter.state()["counter_resets"] == 0


def test_reset():
    """The chip lost its power for a moment: its count begins at 0, and that is no wrap."""
    meter, bench, ticks = _meter()
    for count in list(range(0, 30000, 60)) + list(range(0, 6000, 60)):
        _say(meter, bench, ticks, _counted(count))
    state = meter.state()
    assert (state["counter_wraps"], state["counter_resets"]) == (0, 1)
    assert state["pulses"] == (29940 - 120) + 5940


def test_desync():
    """A header in the middle of a frame begins no frame: bytes are dropped until a checksum agrees (Tasmota#6302)."""
    meter, bench, ticks = _meter()
    stream = b"\x55\x5a\x02" + _counted(0)[7:]
    for count in range(0, 50, 5):
        stream += _counted(count) + b"\x55\x5a"
    for at in range(0, len(stream), 7):
        _say(meter, bench, ticks, stream[at : at + 7], 30)
    state = meter.state()
    assert state["frames"] == 10
    assert state["noise_bytes"] == len(stream) - 240 - 2  # the last two wait for more
    assert state["pulses"] == 35


def test_chip_that_is_not_calibrated():
    """Header AA, or a coefficient that no chip has: no value, and it is told."""
    good = (0x02FB48, 0x32B, 0x404C, 0x1FBB, 0x5265C0, 0x3252)
    for header, fields in ((0xAA, good), (0xF1, good), (0x55, good[:4] + (0x20, 0x3252))):
        meter, bench, ticks = _meter()
        for count in range(9):
            _say(meter, bench, ticks, _frame(header, fields, 0x71, count))
        assert raises(OSError, meter.read)
        assert meter.state()["foreign"] == 9


def test_noise():
    """Bits flipped, bytes lost and put in, seeded: every good pulse is counted and no other."""
    chance = seeded(7766)
    meter, bench, ticks = _meter()
    for count in range(0, 30000, 20):
        frame = bytearray(_counted(count))
        kind = chance.randrange(6)
        if kind == 0:
            frame[chance.randrange(24)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            frame = frame[: chance.randrange(24)]
        elif kind == 2:
            frame = noise(chance, chance.randrange(30)) + bytes(frame)
        _say(meter, bench, ticks, bytes(frame))
    for _ in range(3):
        _say(meter, bench, ticks, _counted(30000))
    pulses = meter.state()["pulses"]
    assert 30000 - 400 <= pulses <= 30000
    assert meter.state()["counter_jumps"] == 0


def test_power_cut_again_and_again():
    """Cut at any frame, seeded: the register never runs backwards and never gains what was not counted."""
    chance = seeded(12)
    stores, counted, last_wh = {}, 0, 0
    for _ in range(30):
        meter, bench, ticks = _meter(stores)
        for count in range(0, chance.randrange(1, 40000), 40):
            _say(meter, bench, ticks, _counted(count))
            if chance.randrange(20) == 0:
                try:
                    wh = meter.read()[0][1]
                except OSError:
                    continue
                assert wh >= last_wh
                last_wh = wh
        counted += count
    wh = meter.register.wh
    assert last_wh <= wh <= counted * 5400000 // 3600000000
    # Lost with the light: what was not saved, and the few pulses before two frames agree.
    assert wh > counted * 5400000 // 3600000000 - 30 * 11
