"""BL0937 and HLW8012: pulses on pins, the selector, a kettle for an hour."""

from meters.bl0937 import PulseMeter, constants

from neutral import raises
from wires import Bench, Ticks

CONFIG = {"shunt_uohm": 1000, "divider": 1830, "power_max_w": 2300}


def _meter(stores=None, config=CONFIG):
    bench, ticks = Bench(stores), Ticks()
    return PulseMeter(config, bench, ticks), bench, ticks


def _run(meter, bench, ticks, seconds, cf_hz, cf1_hz=0):
    for _ in range(seconds):
        ticks.now_ms += 1000
        bench.pins["cf"].total += cf_hz
        bench.pins["cf1"].total += cf1_hz
        meter.poll()


def test_constants_by_the_formulae():
    """BL0937: 1.577 W/Hz with 1 mOhm and 1830; HLW8012: 10.6 W/Hz with 1 mOhm and 2351, as ESPHome works them out."""
    wh, mv, ma = constants("bl0937", 1000, 1830)
    assert abs(wh[0] * 3600 / wh[1] - 1.218 * 1.218 * 1830 / 0.001 / 1721506) < 1e-6
    assert abs(mv[0] / mv[1] - 1000 * 1.218 * 1830 / 15397) < 1e-3
    assert abs(ma[0] / ma[1] - 1000 * 1.218 / 0.001 / 94638) < 1e-3
    wh, mv, ma = constants("hlw8012", 1000, 2351)
    assert abs(wh[0] * 3600 / wh[1] - 2.43 * 2.43 * 2351 / 0.001 * 64 / 24 / 3579000) < 1e-4
    assert abs(mv[0] / mv[1] - 1000 * 2.43 * 2351 * 256 / 3579000) < 1e-2
    assert abs(ma[0] / ma[1] - 1000 * 2.43 / 0.001 * 512 / 24 / 3579000) < 1e-3
    assert raises(ValueError, constants, "abacus", 1, 1)


def test_hour_of_a_kettle():
    """1268 Hz are 1999.7 W: after an hour 1999 or 2000 Wh, and the power shown."""
    meter, bench, ticks = _meter()
    _run(meter, bench, ticks, 3600, 1268)
    wh = meter.read()[0][1]
    exact = constants("bl0937", 1000, 1830)[0]
    assert wh == 3600 * 1268 * exact[0] // exact[1]
    assert wh == 1999
    assert abs(meter.state()["power_mw"] - 1999600) < 500


def test_selector():
    """Voltage and current are shown by turns, and the first interval after each turn is not looked at."""
    meter, bench, ticks = _meter()
    assert bench.switched == [("sel", True)]
    _run(meter, bench, ticks, 6, 100, 1589)
    assert bench.switched[-1] == ("sel", False)
    assert meter.state()["voltage_mv"] == 230030
    _run(meter, bench, ticks, 6, 100, 100)
    assert bench.switched[-1] == ("sel", True)
    assert meter.state()["current_ma"] == 1287


def test_single_pulses_at_idle():
    """One pulse in an interval is noise to a person who looks; the energy of it is counted."""
    meter, bench, ticks = _meter()
    for _ in range(100):
        _run(meter, bench, ticks, 1, 1)
        _run(meter, bench, ticks, 3, 0)
    assert meter.state()["power_mw"] == 0
    assert meter.state()["pulses"] == 100


def test_burst_of_interference():
    """A million pulses in a second are none: nothing is credited, and it is told."""
    meter, bench, ticks = _meter()
    _run(meter, bench, ticks, 10, 10)
    _run(meter, bench, ticks, 1, 1000000)
    _run(meter, bench, ticks, 10, 10)
    assert meter.state()["counter_jumps"] == 1
    assert meter.state()["pulses"] == 100 + 90  # nor what came in the interval that confirmed it


def test_power_cut():
    """After a cut the pins count from 0 and the register from what it gave out."""
    stores = {}
    meter, bench, ticks = _meter(stores)
    _run(meter, bench, ticks, 3600, 1268)
    assert meter.read() == [(1, 1999)]
    meter, bench, ticks = _meter(stores)
    _run(meter, bench, ticks, 1, 0)
    assert meter.read() == [(1, 1999)]
    _run(meter, bench, ticks, 3600, 1268)
    assert meter.read() == [(1, 3999)]  # the two remainders make one more
