"""Meters on buses of every kind: real ptys and sockets, pymodbus servers behind them, and all that goes wrong."""

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType

from commonwatt.clock import MonotonicClock
from gateway.meters import tables
from gateway.meters.buses import open_bus
from gateway.meters.meter import Bus, Heat, Linky, Meter, SunSpec, Type, limits_of
from gateway.meters.silence import MeterSilentError
from gateway.settings import BusSettings
from tests.gateway.serial_ports import SerialAdapter, Unit, serial_meters, tcp_meters

IEM3155 = tables.find("schneider-iem3155")
IMPORT, EXPORT = 0x0C83, 0x0C87


def iem3155(import_wh: int, export_wh: int) -> Unit:
    unit = Unit(functions=(3,))
    unit.put(IMPORT, struct.pack(">q", import_wh))
    unit.put(EXPORT, struct.pack(">q", export_wh))
    return unit


def serial_bus(adapter: SerialAdapter, **named: Any) -> BusSettings:
    usual: dict[str, Any] = {"kind": "modbus-rtu", "timeout_s": 0.3, "gap_s": 0.005}
    return BusSettings(name="cellar", serial=str(adapter.path), **(usual | named))


def tcp_bus(port: int, kind: Any = "modbus-tcp") -> BusSettings:
    return BusSettings(name="roof", kind=kind, host="127.0.0.1", port=port, timeout_s=0.3, gap_s=0)


def meter_on(bus: BusSettings, unit: int = 1, kind: Type = IEM3155) -> Meter:
    return Meter(f"meter {unit}", unit.to_bytes(16, "big"), bus, unit, kind, limits_of(kind))


def on_bus(settings: BusSettings, use: Callable[[Bus], Any]) -> Any:
    """What `use` gives on an open bus."""

    async def run() -> Any:
        bus = open_bus(settings, MonotonicClock())
        try:
            return await use(bus)
        finally:
            bus.close()
            await asyncio.sleep(0)

    return asyncio.run(run())


async def outcome(bus: Bus, meter: Meter) -> Any:
    """The registers, or the reason of the silence."""
    try:
        return await bus.energy(meter)
    except MeterSilentError as silence:
        return silence.reason


def test_serial_bus_when_several_meters_share_it(tmp_path: Path) -> None:
    """Each unit answers for itself; one that is not there is silent, and the next is read as if nothing was."""
    with serial_meters(tmp_path, {1: iem3155(10, 20), 7: iem3155(70, 80)}) as adapter:
        bus = serial_bus(adapter)

        async def use(opened: Bus) -> list[Any]:
            return [await outcome(opened, meter_on(bus, unit)) for unit in (1, 7, 3, 7, 1)]

        first, seventh = ((1, 10), (2, 20)), ((1, 70), (2, 80))
        assert on_bus(bus, use) == [first, seventh, "no-answer", seventh, first]


def test_rtu_over_tcp_when_a_converter_carries_the_frames() -> None:
    """A transparent converter: RTU frames with their checksum in a TCP stream."""
    with tcp_meters({5: iem3155(1, 2)}, framer=FramerType.RTU) as port:
        bus = tcp_bus(port, "modbus-rtu-over-tcp")
        assert on_bus(bus, lambda opened: outcome(opened, meter_on(bus, 5))) == ((1, 1), (2, 2))


def test_serial_bus_when_the_adapter_is_unplugged_and_plugged_in_again(tmp_path: Path) -> None:
    """While it is out there is no connection; afterwards the same path is read again, without a restart."""
    with serial_meters(tmp_path, {1: iem3155(10, 20)}) as adapter:
        bus = serial_bus(adapter)

        async def use(opened: Bus) -> list[Any]:
            found = [await outcome(opened, meter_on(bus))]
            await asyncio.to_thread(adapter.unplug)
            await asyncio.sleep(0)
            found += [await outcome(opened, meter_on(bus)) for _ in range(2)]
            await asyncio.to_thread(adapter.plug)
            return [*found, await outcome(opened, meter_on(bus))]

        good = ((1, 10), (2, 20))
        assert on_bus(bus, use) == [good, "no-connection", "no-connection", good]


def test_serial_bus_when_an_answer_comes_too_late(tmp_path: Path) -> None:
    """The late answer of one unit is never taken for another's: ids, functions and lengths are compared."""
    with serial_meters(tmp_path, {1: iem3155(10, 20), 2: iem3155(30, 40)}) as adapter:
        bus = serial_bus(adapter)
        to_meter = adapter.take
        kept: list[bytes] = []
        adapter.take = kept.append  # the first question is held back until the second is on its way

        async def use(opened: Bus) -> list[Any]:
            late = await outcome(opened, meter_on(bus, 1))

            def release(data: bytes) -> None:
                for question in (*kept, data):
                    to_meter(question)
                kept.clear()

            adapter.take = release
            return [late, await outcome(opened, meter_on(bus, 2)), await outcome(opened, meter_on(bus, 2))]

        late, second, third = on_bus(bus, use)
        assert late == "no-answer"
        assert second in (((1, 30), (2, 40)), "garbled")
        assert third == ((1, 30), (2, 40))


def rtu(unit: int, function: int, words: list[int]) -> bytes:
    """An answer with a right checksum."""
    body = bytes([unit, function, 2 * len(words)]) + b"".join(word.to_bytes(2, "big") for word in words)
    crc = 0xFFFF
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return body + crc.to_bytes(2, "little")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(rtu(2, 3, 8 * [1]), "garbled", id="another-unit"),
        pytest.param(rtu(1, 4, 8 * [1]), "garbled", id="another-function"),
        pytest.param(rtu(1, 3, 7 * [1]), "short-answer", id="another-length"),
        pytest.param(rtu(1, 3, 8 * [1])[:-1], "garbled", id="cut-off"),
        pytest.param(b"\xff\x00\x81" * 9, "garbled", id="noise"),
    ],
)
def test_serial_bus_when_the_answer_is_not_ours(tmp_path: Path, answer: bytes, reason: str) -> None:
    """Whatever is not exactly the answer to our question gives no value, and its reason is counted."""
    with SerialAdapter(tmp_path / "adapter") as adapter:
        adapter.take = lambda _question: adapter.send(answer)
        bus = serial_bus(adapter)
        assert on_bus(bus, lambda opened: outcome(opened, meter_on(bus))) == reason


def test_serial_bus_when_two_meters_have_one_address(tmp_path: Path) -> None:
    """Their answers fall on each other: the checksum is wrong, and neither meter's register is taken."""
    with SerialAdapter(tmp_path / "adapter") as adapter:
        words = [list(struct.unpack(">8H", struct.pack(">qq", wh, 0))) for wh in (1000, 5000)]
        one, other = (rtu(1, 3, pair) for pair in words)
        collided = bytes(a & b for a, b in zip(one, other, strict=True))  # a driven 0 wins on the wires
        adapter.take = lambda _question: adapter.send(collided)
        bus = serial_bus(adapter)
        assert on_bus(bus, lambda opened: outcome(opened, meter_on(bus))) == "garbled"


@pytest.mark.parametrize("code", [ExcCodes.ILLEGAL_ADDRESS, ExcCodes.DEVICE_FAILURE, ExcCodes.GATEWAY_NO_RESPONSE])
def test_bus_when_the_meter_answers_with_an_exception(code: ExcCodes) -> None:
    """Each exception is counted by its number."""
    unit = iem3155(1, 2)
    unit.refuses = code
    with tcp_meters({1: unit}) as port:
        bus = tcp_bus(port)
        assert on_bus(bus, lambda opened: outcome(opened, meter_on(bus))) == f"exception-{code.value}"


@pytest.mark.parametrize("pattern", ["8000000000000000", "ffffffffffffffff", "7fffffffffffffff"])
def test_bus_when_a_register_has_no_value(pattern: str) -> None:
    """One register without a value: the whole reading is none, for its registers belong together."""
    unit = iem3155(1, 2)
    unit.put(EXPORT, bytes.fromhex(pattern))
    with tcp_meters({1: unit}) as port:
        bus = tcp_bus(port)
        assert on_bus(bus, lambda opened: outcome(opened, meter_on(bus))) == "no-value"


@pytest.mark.parametrize("pattern", ["7fc00000", "7f800000", "ff800000", "ffffffff"])
def test_bus_when_a_float_register_is_no_number(pattern: str) -> None:
    """NaN, infinity and 0xFFFFFFFF are no value."""
    table = tables.find("eastron-sdm120")
    unit = Unit(functions=(4,))
    unit.put(0x48, bytes.fromhex(pattern) + struct.pack(">f", 1.0))
    with tcp_meters({1: unit}) as port:
        bus = tcp_bus(port)
        assert on_bus(bus, lambda opened: outcome(opened, meter_on(bus, 1, table))) == "no-value"


@pytest.mark.parametrize("kind", ["modbus-rtu", "mbus-serial", "tic"])
@pytest.mark.parametrize("path", ["/dev/null", "/nowhere/adapter", "/etc/hostname", "/tmp"])
def test_serial_bus_when_the_path_is_no_adapter(kind: str, path: str) -> None:
    """Nobody is there: one wrong line in the settings stops no other bus."""
    mode = {"mode": "standard"} if kind == "tic" else {}
    bus = BusSettings(name="wrong", kind=kind, serial=path, timeout_s=0.2, **mode)  # type: ignore[arg-type]
    of_kind: Type = {"modbus-rtu": IEM3155, "mbus-serial": Heat(), "tic": Linky()}[kind]
    assert on_bus(bus, lambda opened: outcome(opened, meter_on(bus, 1, of_kind))) == "no-connection"


@pytest.mark.parametrize(
    ("name", "power_max_w", "rollover_wh"),
    [
        ("schneider-iem3155", 63 * 3 * 230 * 125 // 100, 2**63),
        ("carlo-gavazzi-em340", 65 * 3 * 230 * 125 // 100, 2**31 * 100),
        ("hager-ecr380d", 80 * 3 * 230 * 125 // 100, 2**32 * 1000),
        ("eastron-sdm120", 45 * 230 * 125 // 100, None),
        ("aquametro-calec-st", 3_000_000, None),
    ],
)
def test_limits_when_a_type_says_its_rating(name: str, power_max_w: int, rollover_wh: int | None) -> None:
    """From the rating, and from how many numbers a register has; a person's word goes before both."""
    limits = limits_of(tables.find(name))
    assert (limits.power_max_w, limits.rollover_wh) == (power_max_w, rollover_wh)
    assert limits_of(tables.find(name), 7).power_max_w == 7000


def sunspec_map(*models: tuple[int, dict[int, int], int]) -> Unit:
    """A device with a map at 40000: (number, words by offset, length) per model."""
    unit = Unit(functions=(3,))
    address = 40000
    unit.put(address, b"SunS")
    address += 2
    common = b"Maker".ljust(32, b"\0") + b"Model 5".ljust(32, b"\0") + bytes(68)
    unit.put(address, struct.pack(">HH", 1, 66) + common)
    address += 68
    for number, words, length in models:
        body = [0] * (length + 2)
        body[0], body[1] = number, length
        for offset, word in words.items():
            body[offset] = word
        unit.put(address, struct.pack(f">{length + 2}H", *body))
        address += length + 2
    unit.put(address, bytes.fromhex("ffff0000"))
    return unit


INVERTER = (103, {24: 1, 25: 2, 26: 0}, 50)
METER = (203, {38: 0, 39: 500, 40: 9, 46: 0, 47: 700, 54: 1}, 105)
STRINGS = (160, {5: 0, 8: 1, 10: 1, 22: 0, 23: 77}, 28)


@pytest.mark.parametrize(
    ("models", "wanted", "expected"),
    [
        ([INVERTER, STRINGS], None, ((2, 0x10002),)),
        ([METER], None, ((1, 7000), (2, 5000))),
        ([INVERTER, METER], 203, ((1, 7000), (2, 5000))),
        ([INVERTER, METER], None, "sunspec-ambiguous"),
        ([STRINGS], None, "sunspec-no-energy"),
    ],
)
def test_sunspec_when_it_is_discovered_on_a_bus(
    models: list[tuple[int, dict[int, int], int]], wanted: int | None, expected: object
) -> None:
    """The models say what there is; totals are read, phases never added."""
    with tcp_meters({126: sunspec_map(*models)}) as port:
        bus = tcp_bus(port)
        assert on_bus(bus, lambda opened: outcome(opened, meter_on(bus, 126, SunSpec(wanted)))) == expected


def test_sunspec_when_the_device_is_read_again_and_changes() -> None:
    """Discovery happens once; when another model stands there it is told, and looked for anew."""
    unit = sunspec_map(METER)
    with tcp_meters({1: unit}) as port:
        bus = tcp_bus(port)
        meter = meter_on(bus, 1, SunSpec())

        async def use(opened: Bus) -> list[Any]:
            found = [await outcome(opened, meter)]
            before = unit.asked
            found.append(await outcome(opened, meter))
            assert unit.asked == before + 1
            unit.memory = sunspec_map(INVERTER).memory
            return [*found, await outcome(opened, meter), await outcome(opened, meter)]

        good = ((1, 7000), (2, 5000))
        assert on_bus(bus, use) == [good, good, "sunspec-moved", ((2, 0x10002),)]


def test_sunspec_when_a_person_checks_it() -> None:
    """Who it is, the totals with their scale, and each string of panels."""
    with tcp_meters({1: sunspec_map(METER, STRINGS)}) as port:
        bus = tcp_bus(port)
        shown = dict(on_bus(bus, lambda opened: opened.shown(meter_on(bus, 1, SunSpec()))))
    assert (shown["maker"], shown["model"]) == ("Maker", "Model 5")
    assert shown["203 TotWhImp"] == "7000.000"
    assert shown["160 string 1 DCWH"] == "77.000"
