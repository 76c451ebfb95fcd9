"""Heat meters over M-Bus: real telegrams (rscada/libmbus) against the values that libmbus gives for them."""

import asyncio
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.clock import MonotonicClock
from gateway.meters import mbus
from gateway.meters.buses import open_bus
from gateway.meters.mbus import MBusRefusal, Telegram
from gateway.meters.meter import Heat, Meter, limits_of
from gateway.meters.silence import MeterSilentError
from gateway.settings import BusSettings
from tests.gateway.serial_ports import SerialAdapter

TELEGRAMS = sorted((Path(__file__).parent / "captures" / "mbus").glob("*.hex"))
BY_NAME = {path.stem: bytes.fromhex(path.read_text()) for path in TELEGRAMS}
HEAT_WH = {
    "kamstrup_multical_601": 37_351_000,
    "SEN_Pollustat": 39_831_000,
    "ZRM_Minol-Minocal-C2": 3_000,
    "sontex_supercal_531_telegram1": 0,
    "allmess_cf50": MBusRefusal.METER_ERROR,
    "amt_calec_mb": MBusRefusal.NO_VALUE,
    "eastron_sdm630": MBusRefusal.NOT_HEAT,
    "ACW_Itron-BM-plus-m": MBusRefusal.NOT_HEAT,
}


def taken_apart(name: str) -> Telegram:
    telegram = mbus.parse(BY_NAME[name])
    assert isinstance(telegram, Telegram)
    return telegram


@pytest.mark.parametrize("path", TELEGRAMS, ids=lambda path: path.stem)
def test_telegram_when_a_real_meter_sent_it(path: Path) -> None:
    """Who answered, and every energy with its storage number, tariff and subunit, are as libmbus reads them."""
    telegram = taken_apart(path.stem)
    expected = ElementTree.fromstring(path.with_suffix(".norm.xml").read_text())
    meter = expected.find("SlaveInformation")
    assert meter is not None
    assert int(telegram.identification) == int(meter.findtext("Id", ""))
    assert telegram.manufacturer == meter.findtext("Manufacturer")
    assert telegram.status == int(meter.findtext("Status", ""), 16)
    compared = 0
    for own, record in zip(telegram.records, expected.findall("DataRecord"), strict=False):
        if own.energy_wh is not None:
            divisor = {"Wh": 1, "J": 3600}[record.findtext("Unit", "")]
            assert own.energy_wh == Fraction(record.findtext("Value", "")) / divisor
            assert own.storage == int(record.findtext("StorageNumber", ""))
            assert own.tariff == int(record.findtext("Tariff") or 0)
            assert own.subunit == int(record.findtext("Device") or 0)
            compared += 1
    if telegram.medium in mbus.HEAT_MEDIA:
        assert bool(compared) == any(record.findtext("Unit") in ("Wh", "J") for record in expected.iter("DataRecord"))


@pytest.mark.parametrize("name", HEAT_WH)
def test_heat_when_a_real_meter_sent_it(name: str) -> None:
    """The present register of the whole meter in whole Wh; another medium or a broken meter gives none."""
    assert mbus.heat_wh(taken_apart(name)) == HEAT_WH[name]


@pytest.mark.parametrize("name", BY_NAME)
def test_parse_when_a_byte_is_damaged(name: str) -> None:
    """The checksum, the lengths and the end are proven before a record is looked at."""
    data = BY_NAME[name]
    for index in range(len(data)):
        damaged = data[:index] + bytes([data[index] ^ 0x10]) + data[index + 1 :]
        assert mbus.parse(damaged) is MBusRefusal.MALFORMED
    assert mbus.parse(data[:-1]) is MBusRefusal.MALFORMED


@given(st.binary(max_size=mbus.TELEGRAM_SIZE_MAX + 1))
def test_parse_when_bytes_are_noise(content: bytes) -> None:
    """Whatever stands in a well-framed telegram, the answer is a telegram or a refusal."""
    length = len(content) & 0xFF
    body = content[:length]
    data = bytes([0x68, length, length, 0x68]) + body + bytes([sum(body) & 0xFF, 0x16])
    assert isinstance(mbus.parse(data), Telegram | MBusRefusal)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0406E7910000", "040600000080"),  # the most negative number is "no value"
        ("0406E7910000", "0406FFFFFFFF"),  # minus one
        ("0406E7910000", "0C06AABBCCDD"),  # digits that are none
        ("0406E7910000", "05060000C07F"),  # not a number
        ("0406E7910000", "3406E7910000"),  # the value of an error state
    ],
)
def test_heat_when_the_register_has_no_value(old: str, new: str) -> None:
    """A register without a value never becomes 0, and no other record takes its place."""
    data = BY_NAME["kamstrup_multical_601"]
    body = data[4:-2].hex().upper().replace(old, new, 1)
    assert body != data[4:-2].hex().upper()
    raw = bytes.fromhex(body)
    telegram = mbus.parse(data[:4] + raw + bytes([sum(raw) & 0xFF, 0x16]))
    assert isinstance(telegram, Telegram)
    assert mbus.heat_wh(telegram) is MBusRefusal.NO_VALUE


class HeatBus:
    """A level converter on a pty, behind which recorded meters answer when they are asked by their address."""

    def __init__(self, path: Path, answers: dict[int, bytes]) -> None:
        self.answers = answers
        self.asked: list[bytes] = []
        self.adapter = SerialAdapter(path, take=self._take)

    def _take(self, question: bytes) -> None:
        self.asked.append(question)
        self.adapter.send(self.answers.get(question[2], b""))


KAMSTRUP = BY_NAME["kamstrup_multical_601"]


def meter_on(bus: BusSettings, address: int) -> Meter:
    return Meter(f"heat {address}", bytes(16), bus, address, Heat(), limits_of(Heat()))


def read_all(bus: BusSettings, addresses: list[int], between: Callable[[], None] = lambda: None) -> list[Any]:
    """What each read gives; `between` happens after the first."""

    async def run() -> list[Any]:
        opened, found = open_bus(bus, MonotonicClock()), []
        for index, address in enumerate(addresses):
            try:
                found.append(await opened.energy(meter_on(bus, address)))
            except MeterSilentError as silence:
                found.append(silence.reason)
            if not index:
                await asyncio.to_thread(between)
        opened.close()
        await asyncio.sleep(0)
        return found

    return asyncio.run(run())


def heat_bus(path: Path) -> BusSettings:
    return BusSettings(name="heat", kind="mbus-serial", serial=str(path), timeout_s=0.3, gap_s=0)


def test_bus_when_recorded_meters_answer(tmp_path: Path) -> None:
    """The question is REQ_UD2 of EN 13757-2; each meter's register in whole Wh; nobody at an address is silence."""
    other = BY_NAME["sontex_supercal_531_telegram1"]
    line = HeatBus(tmp_path / "converter", {17: KAMSTRUP, other[5]: other})
    with line.adapter:
        found = read_all(heat_bus(line.adapter.path), [17, other[5], 99, 17])
    assert found == [((3, 37_351_000),), ((3, 0),), "no-answer", ((3, 37_351_000),)]
    assert line.asked[0] == bytes.fromhex("107B118C16")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (BY_NAME["SEN_Pollustat"], "garbled"),
        (KAMSTRUP[:100], "malformed"),
        (b"\x00" + KAMSTRUP, "malformed"),
        (b"\xe5\xe5\xe5\xe5", "malformed"),
        (KAMSTRUP[:30] + bytes([KAMSTRUP[30] ^ 1]) + KAMSTRUP[31:], "malformed"),
    ],
)
def test_bus_when_the_answer_is_wrong(tmp_path: Path, answer: bytes, reason: str) -> None:
    """Another meter's answer, a torn or damaged one and noise give no value, and are forgotten before the next."""
    line = HeatBus(tmp_path / "converter", {17: answer})
    with line.adapter:
        found = read_all(heat_bus(line.adapter.path), [17, 17], between=lambda: line.answers.update({17: KAMSTRUP}))
    assert found == [reason, ((3, 37_351_000),)]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("allmess_cf50", "meter-error"), ("amt_calec_mb", "no-value"), ("ACW_Itron-BM-plus-m", "not-heat")],
)
def test_bus_when_a_meter_has_no_heat_to_tell(tmp_path: Path, name: str, reason: str) -> None:
    """A broken meter, one without a value and one for water are named as such, and never 0."""
    telegram = BY_NAME[name]
    line = HeatBus(tmp_path / "converter", {telegram[5]: telegram})
    with line.adapter:
        assert read_all(heat_bus(line.adapter.path), [telegram[5]]) == [reason]


def test_bus_when_the_converter_is_unplugged_and_plugged_in_again(tmp_path: Path) -> None:
    """No connection while it is out; the same path is opened again afterwards."""
    line = HeatBus(tmp_path / "converter", {17: KAMSTRUP})
    with line.adapter:
        bus = heat_bus(line.adapter.path)
        assert read_all(bus, [17, 17], between=line.adapter.unplug) == [((3, 37_351_000),), "no-connection"]
        line.adapter.plug()
        assert read_all(bus, [17]) == [((3, 37_351_000),)]


def test_bus_when_the_converter_is_in_the_network() -> None:
    """The same telegrams through a converter that carries the line over TCP."""

    async def run() -> Any:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(5)
            writer.write(KAMSTRUP)
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            bus = BusSettings(name="heat", kind="mbus-over-tcp", host="127.0.0.1", port=port)
            opened = open_bus(bus, MonotonicClock())
            found = await opened.energy(meter_on(bus, 17))
            opened.close()
            await asyncio.sleep(0)
            return found

    assert asyncio.run(run()) == ((3, 37_351_000),)
