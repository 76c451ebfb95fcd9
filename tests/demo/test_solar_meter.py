"""The solar meter answers a real Modbus client as an iEM3155 would, by civil time."""

import subprocess
import sys
from contextlib import contextmanager

import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.constants import ExcCodes

from commonwatt.demo import solar_meter
from commonwatt.demo.registers import DeviceRegisters, read_registers
from commonwatt.testing import ManualClock

SOLAR = read_registers()["emhass-solar"]
NOON = next(index for index, row in enumerate(SOLAR.rows) if row[0] % 86_400 == 12 * 3600)


@contextmanager
def running_meter(civil_s, *arguments):
    """The real process with a clock that all but stands still, and a client connected to it."""
    command = [sys.executable, "-m", "commonwatt.demo.solar_meter", "--clock", f"{civil_s}@4000000000x0.000000001"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stdout.readline().rsplit(":", 1)[1])
            with ModbusTcpClient("127.0.0.1", port=port) as client:
                yield client
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0


def read(client, address, kind):
    words = {client.DATATYPE.INT64: 4, client.DATATYPE.FLOAT32: 2}[kind]
    answer = client.read_holding_registers(address, count=words, device_id=1)
    assert not answer.isError()
    return client.convert_from_registers(answer.registers, kind)


def test_meter_shows_the_register_of_the_last_quarter_hour():
    """A second client's view: counters to the Wh, power as their slope, neither writable nor in other tables."""
    time_s, (register_wh,) = SOLAR.rows[NOON]
    slope_kw = (SOLAR.rows[NOON + 1][1][0] - register_wh) * 4 / 1000
    with running_meter(time_s + 850) as client:
        assert read(client, 0x0C87, client.DATATYPE.INT64) == register_wh
        assert read(client, 0x0C83, client.DATATYPE.INT64) == 0
        assert read(client, 0x0BF3, client.DATATYPE.FLOAT32) == pytest.approx(-slope_kw)
        assert read(client, 0x0BD3, client.DATATYPE.FLOAT32) == 230.0
        assert client.read_holding_registers(0x0C83, count=8, device_id=1).registers[:4] == [0, 0, 0, 0]
        assert client.read_input_registers(0x0C87, count=4, device_id=1).exception_code == ExcCodes.ILLEGAL_FUNCTION
        assert client.write_registers(0x0C87, [0, 0, 0, 1], device_id=1).isError()
        assert client.read_holding_registers(0x0D00, count=2, device_id=1).exception_code == ExcCodes.ILLEGAL_ADDRESS
        assert read(client, 0x0C87, client.DATATYPE.INT64) == register_wh


@pytest.mark.parametrize(("civil_s", "row"), [(SOLAR.rows[0][0] - 5000, 0), (SOLAR.rows[-1][0] + 5000, -1)])
def test_meter_stands_still_outside_the_data(civil_s, row):
    """Before the first row it shows the first, after the last the last, and no power."""
    meter = solar_meter.SolarMeter(registers=SOLAR, clock=ManualClock(civil_s))
    values = meter.values(civil_s)
    assert values[solar_meter.ENERGY_EXPORT] == SOLAR.rows[row][1][0]
    assert values[solar_meter.POWER] == 0


def test_import_counts_where_the_device_imports():
    """A main meter shows both counters and signed power: import minus export."""
    main = DeviceRegisters("main", (1, 2), ((0, (2**40, 7)), (900, (2**40 + 100, 307))))
    values = solar_meter.SolarMeter(registers=main, clock=ManualClock(0)).values(450)
    assert (values[solar_meter.ENERGY_IMPORT], values[solar_meter.ENERGY_EXPORT]) == (2**40, 7)
    assert values[solar_meter.POWER] == pytest.approx((100 - 300) * 4 / 1000)


def test_meter_names_what_is_missing(capsys):
    """An unknown device ends in a sentence."""
    with pytest.raises(SystemExit) as ending:
        solar_meter.main(["--device", "nobody"])
    assert ending.value.code == 2
    assert "has no device nobody" in capsys.readouterr().err
