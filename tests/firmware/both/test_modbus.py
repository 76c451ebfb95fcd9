"""Modbus meters: rounds of questions, registers believed or not, back-off, and a table of hardware/meters."""

import meters
from buses import rtu
from meters.modbus import ModbusMeter, questions

from neutral import raises, seeded
from wires import Bench, Ticks, Wire

TABLE = {
    "function": 4,
    "registers_max": 64,
    "power_max_w": 20000,
    "energy": (
        (1, 0x48, "f32", "big", 1000, 1, ()),
        (2, 0x4A, "f32", "big", 1000, 1, ()),
    ),
}
THOUSAND = 0x447A0000  # 1000.0


class Slave:
    """A meter with `registers`, 32 bits at each even address; answers as a Modbus unit does."""

    def __init__(self, unit, registers):
        self.unit = unit
        self.registers = registers
        self.asked = 0
        self.is_silent = False

    def __call__(self, written):
        assert rtu.crc16(written[:-2]).to_bytes(2, "little") == written[-2:]
        self.asked += 1
        if self.is_silent or written[0] != self.unit:
            return b""
        first, count = int.from_bytes(written[2:4], "big"), int.from_bytes(written[4:6], "big")
        data = b"".join([self.registers[at].to_bytes(4, "big") for at in range(first, first + count, 2)])
        body = written[:2] + bytes([len(data)]) + data
        return body + rtu.crc16(body).to_bytes(2, "little")


def _meter(registers=None, table=TABLE):
    slave = Slave(1, registers or {0x48: THOUSAND, 0x4A: 0x3F800000})
    wire, ticks = Wire(slave), Ticks()
    return ModbusMeter({"unit": 1}, table, wire, ticks), slave, ticks


def _run(meter, ticks, seconds):
    """Poll as the device does, for a while."""
    end_ms = ticks.now_ms + 1000 * seconds
    while ticks.now_ms < end_ms:
        ticks.now_ms += meter.poll()


def test_read():
    """The first reading waits for a second; both registers come by one question."""
    meter, slave, ticks = _meter()
    _run(meter, ticks, 3)
    assert raises(OSError, meter.read)
    _run(meter, ticks, 5)
    assert meter.read() == [(1, 1000000), (2, 1000)]
    assert slave.asked == 2


def test_questions():
    """Registers that touch are asked together, up to the table's limit; holes are not read."""
    rows = ((1, 0, "u32", "big", 1, 1, ()), (2, 2, "u32", "big", 1, 1, ()), (3, 5, "u64", "big", 1, 1, ()))
    assert [(address, count) for address, count, _rows in questions(rows, 64)] == [(0, 4), (5, 4)]
    assert [(address, count) for address, count, _rows in questions(rows, 2)] == [(0, 2), (2, 2), (5, 4)]


def test_register_that_says_nothing():
    """Not a number for one register: the round is not taken, counted, and the last one goes stale."""
    meter, slave, ticks = _meter()
    _run(meter, ticks, 12)
    slave.registers[0x4A] = 0x7FC00000
    _run(meter, ticks, 10)
    assert meter.read() == [(1, 1000000), (2, 1000)]
    _run(meter, ticks, 20)
    assert raises(OSError, meter.read)
    assert meter.state()["modbus_no_value"] >= 5


def test_register_that_runs_backwards():
    """An export counter that falls is counted, not believed; after ten minutes of it, it is another meter's."""
    meter, slave, ticks = _meter({0x48: THOUSAND, 0x4A: THOUSAND})
    _run(meter, ticks, 12)
    slave.registers[0x4A] = 0x3F800000
    _run(meter, ticks, 60)
    assert raises(OSError, meter.read)
    assert meter.state()["register_backwards"] > 5
    assert meter.state()["register_replaced"] == 0
    _run(meter, ticks, 600)
    assert meter.read() == [(1, 1000000), (2, 1000)]
    assert meter.state()["register_replaced"] == 1


def test_register_that_jumps():
    """For one round a register shows what no connection carries: the one before it stays."""
    meter, slave, ticks = _meter()
    _run(meter, ticks, 12)
    slave.registers[0x48] = 0x4B000000
    _run(meter, ticks, 5)
    slave.registers[0x48] = THOUSAND
    _run(meter, ticks, 10)
    assert meter.read() == [(1, 1000000), (2, 1000)]
    assert meter.state()["register_jumps"] == 1


def test_silence():
    """A meter that does not answer is asked ever less often, up to five minutes, and is back within them."""
    meter, slave, ticks = _meter()
    _run(meter, ticks, 12)
    slave.is_silent = True
    asked = slave.asked
    _run(meter, ticks, 3600)
    assert raises(OSError, meter.read)
    assert 20 <= slave.asked - asked <= 60
    slave.is_silent = False
    _run(meter, ticks, 310)
    assert meter.read() == [(1, 1000000), (2, 1000)]


def test_line_with_noise():
    """Answers damaged or cut at random, seeded: the meter's own registers, growing, or none."""
    chance = seeded(9253)
    meter, slave, ticks = _meter()

    def noisy(written):
        answer = bytearray(slave(written))
        if chance.randrange(3) == 0:
            answer[chance.randrange(len(answer))] ^= 1 << chance.randrange(8)
        return bytes(answer)[: len(answer) - chance.randrange(2) * chance.randrange(3)]

    meter._master._uart.answer = noisy
    last_wh, seen = 0, 0
    for step in range(300):
        slave.registers[0x48] = THOUSAND + step
        _run(meter, ticks, 5)
        try:
            registers = meter.read()
        except OSError:
            continue
        assert registers[1] == (2, 1000)
        assert last_wh <= registers[0][1] <= 1000000 + step
        last_wh, seen = registers[0][1], seen + 1
    assert seen > 100


def test_table_of_the_library():
    """A table of hardware/meters, by its name in device.json: the iEM3155 over 8E1."""
    bench = Bench()
    meter = meters.make({"type": "modbus", "table": "schneider-iem3155", "unit": 7, "parity": "E"}, None, bench)
    assert bench.opened == [(9600, 8, 0, 1)]
    meter.poll()
    meter.poll()
    assert bench.wire.sent == [rtu.question(7, 3, 0x0C83, 8)]
    assert raises(ImportError, meters.make, {"type": "modbus", "table": "no-such-meter"}, None, bench)
