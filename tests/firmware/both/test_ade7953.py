"""ADE7953: two registers, energy that is reset when it is read, a bus that fails."""

from meters.ade7953 import Ade7953

from neutral import raises
from wires import Bench, Ticks


class Bus:
    """The chip's registers; energy is cleared by reading it."""

    def __init__(self):
        self.registers = {0x31C: 5980000, 0x31A: 100000, 0x312: 154 * 230}
        self.energy = 0
        self.written = []
        self.fails = False

    def writeto_mem(self, address, register, data, addrsize):
        self._check(address, addrsize)
        self.written.append((register, bytes(data)))

    def readfrom_mem(self, address, register, size, addrsize):
        self._check(address, addrsize)
        value = self.registers.get(register, 0)
        if register == 0x31E:
            value, self.energy = self.energy, 0
        return (value % (1 << 32)).to_bytes(size, "big")

    def _check(self, address, addrsize):
        assert (address, addrsize) == (0x38, 16)
        if self.fails:
            raise OSError("no acknowledgement")


def _meter(stores=None):
    bench, ticks, bus = Bench(stores), Ticks(), Bus()
    return Ade7953({}, bench, bus, ticks), bus, ticks


def _run(meter, bus, ticks, seconds, counts):
    for _ in range(seconds):
        ticks.now_ms += 1000
        bus.energy += counts
        meter.poll()


def test_set_up():
    """Unlocked and set before anything is read."""
    meter, bus, _ticks = _meter()
    assert raises(OSError, meter.read)
    meter.poll()
    assert bus.written == [(0xFE, b"\xad"), (0x120, b"\x00\x30")]


def test_energy_in_both_directions():
    """An hour at 2300 W in and half an hour at 460 W out, at 2.5 counts a watt-second, each in its register."""
    meter, bus, ticks = _meter()
    meter.poll()
    _run(meter, bus, ticks, 3600, 5750)
    _run(meter, bus, ticks, 1800, -1150)
    assert meter.read() == [(1, 2300), (2, 230)]
    state = meter.state()
    assert (state["voltage_mv"], state["current_ma"], state["power_mw"]) == (230000, 1000, 230000)


def test_bus_that_fails():
    """Failures are counted, the chip is set up again, and there is no value after ten seconds."""
    meter, bus, ticks = _meter()
    meter.poll()
    _run(meter, bus, ticks, 10, 5750)
    before = meter.read()
    bus.fails = True
    _run(meter, bus, ticks, 11, 0)
    assert raises(OSError, meter.read)
    assert meter.state()["bus_failures"] == 11
    bus.fails = False
    _run(meter, bus, ticks, 3, 0)
    assert meter.read() == before
    assert len(bus.written) == 4


def test_implausible_count():
    """More than twice the rating in the time: not credited, counted."""
    meter, bus, ticks = _meter()
    meter.poll()
    _run(meter, bus, ticks, 3, 5750)
    before = meter.read()
    _run(meter, bus, ticks, 1, 8000000)
    assert meter.read() == before
    assert meter.state()["counter_jumps"] == 1
