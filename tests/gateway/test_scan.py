"""`commonwatt gateway scan`: who is on a bus, which type it may be, and what is written."""

import asyncio
import stat
import struct
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from commonwatt.errors import UserError
from gateway.cli import app
from gateway.meters import fitting, proposal, searching, tables
from gateway.meters.scanning import Found
from gateway.meters.tables import MeterTable, Register
from gateway.settings import BusSettings, read_settings
from tests.gateway.serial_ports import SerialAdapter, Unit, serial_meters, tcp_meters
from tests.gateway.test_buses import INVERTER, METER, STRINGS, sunspec_map
from tests.gateway.test_mbus import BY_NAME, KAMSTRUP, HeatBus
from tests.gateway.test_settings import GOOD
from tests.gateway.test_tic import HISTORIQUE, framed

LIBRARY = tables.all_tables()
BY_TYPE = {table.type: table for table in LIBRARY}
SHOWN = {"V": 231.25, "Hz": 50.0, "A": 4.0, "W": 920.0, "kW": 0.92}


def words_of(register: Register, value: float) -> bytes:
    """What stands in the register when its value is this."""
    number = value * register.divide_by / register.multiply_by
    letter = tables.WORDS[register.words][1]
    data = struct.pack(f">{letter}", number if letter in "fd" else round(number))
    pairs = [data[i : i + 2] for i in range(0, len(data), 2)]
    return b"".join(pairs if register.order == "big" else pairs[::-1])


def simulated(table: MeterTable, *, identity: str = "", with_identity: bool = False, kwh: float = 1234.5) -> Unit:
    """A meter of this type on mains, with a load of 4 A."""
    unit = Unit(functions=(3, 4), identity=identity)
    for energy in table.energy:
        unit.put(energy.address, words_of(energy, kwh * 1000 / float(tables.ENERGY_UNITS[energy.unit])))
    for shown in table.shown:
        unit.put(shown.address, words_of(shown, SHOWN.get(shown.unit, 1.0)))
    if with_identity:
        for known in table.identity:
            unit.put(known.address, bytes.fromhex(known.words[0]))
    return unit


def scan(*words: str) -> Result:
    return CliRunner().invoke(app, ["scan", *words], catch_exceptions=True)


@pytest.mark.parametrize("name", [name for name, table in BY_TYPE.items() if table.power_max_kw is None])
def test_fit_when_a_table_is_the_right_one(name: str) -> None:
    """Of all tables those fit best that have the same map: the right one is among them."""
    memory = simulated(BY_TYPE[name]).memory
    fits = {}
    for table in LIBRARY:
        wanted = [r.span for r in (*table.energy, *table.shown)]
        if all(address in memory for span in wanted for address in span):
            found = fitting.fit(table, memory)
            if found is not None:
                fits[table.type] = found
    if not any(register.unit in ("V", "Hz") for register in BY_TYPE[name].shown):
        assert name not in fits, "nothing that mains would prove"
        return
    assert name in fitting.best(fits)


def test_fit_when_the_words_are_turned_around() -> None:
    """A table with the wrong word order does not fit what a meter shows."""
    table = BY_TYPE["eastron-sdm630"]
    memory = simulated(table).memory
    little = table.model_copy(
        update={
            "energy": tuple(r.model_copy(update={"order": "little"}) for r in table.energy),
            "shown": tuple(r.model_copy(update={"order": "little"}) for r in table.shown),
        }
    )
    assert fitting.fit(table, memory) is not None
    assert fitting.fit(little, memory) is None


def test_name_when_a_device_says_what_it_is() -> None:
    """The longest model that stands in the text counts."""
    assert fitting.named("Schneider Electric iEM3155 V1.3", LIBRARY) == ["schneider-iem3155"]
    assert fitting.named("Eastron SDM120-Modbus", LIBRARY) == ["eastron-sdm120"]
    assert fitting.named("Toaster 3000", LIBRARY) == []


def test_scan_when_several_meters_share_a_serial_bus(tmp_path: Path) -> None:
    """Known by its register, by its name, by its map and by SunSpec; what nobody knows is said, not configured."""
    units = {
        1: simulated(BY_TYPE["abb-b23"], with_identity=True),
        2: simulated(BY_TYPE["schneider-iem3155"], identity="Schneider Electric iEM3155"),
        3: simulated(BY_TYPE["carlo-gavazzi-em340"]),
        4: sunspec_map(INVERTER, STRINGS),
        5: Unit(),
    }
    settings = tmp_path / "gateway.toml"
    settings.write_text(GOOD)
    with serial_meters(tmp_path, units) as adapter:
        words = (str(settings), "--serial", str(adapter.path), "--baud", "9600", "--units", "1-6")
        done = scan(*words, "--parity", "none", "--timeout-s", "0.1")
        assert done.exit_code == 0, done.output
        own = read_settings(settings)
        assert [(m.unit, m.type, m.bus) for m in own.meters] == [
            (1, "abb-b23", "adapter"), (2, "schneider-iem3155", "adapter"),
            (3, "carlo-gavazzi-em340", "adapter"), (4, "sunspec", "adapter"),
        ]  # fmt: skip
        assert len({m.device for m in own.meters}) == 4
        assert "# unit 5: answers, but no table makes sense of its registers" in settings.read_text()
        again = scan(*words, "--parity", "none", "--timeout-s", "0.1", "--units", "1-4")
        assert "stands in" in again.output
        assert read_settings(settings) == own


def test_scan_when_two_types_have_one_map(tmp_path: Path) -> None:
    """The others are named beside it, for the person who sees the meter."""
    settings = tmp_path / "gateway.toml"
    settings.write_text(GOOD)
    with tcp_meters({1: simulated(BY_TYPE["carlo-gavazzi-em111"])}) as port:
        assert scan(str(settings), "--tcp", f"127.0.0.1:{port}", "--units", "1").exit_code == 0
    assert "# as likely: carlo-gavazzi-em112" in settings.read_text()


def test_scan_when_an_inverter_has_a_meter_behind_it(tmp_path: Path) -> None:
    """Two energy registers: one is proposed, the other named."""
    settings = tmp_path / "gateway.toml"
    settings.write_text(GOOD)
    with tcp_meters({126: sunspec_map(INVERTER, METER)}) as port:
        assert scan(str(settings), "--tcp", f"127.0.0.1:{port}", "--timeout-s", "0.05").exit_code == 0
    (meter,) = read_settings(settings).meters
    assert (meter.unit, meter.type, meter.model) == (126, "sunspec", 103)
    assert "# as likely: model = 203" in settings.read_text()


def test_scan_when_a_meter_answers_under_every_number(tmp_path: Path) -> None:
    """The same registers in the network are the same meter; it is proposed once."""
    settings = tmp_path / "gateway.toml"
    settings.write_text(GOOD)
    same = simulated(BY_TYPE["schneider-iem3155"])
    with tcp_meters({1: same, 2: same, 3: same}) as port:
        assert scan(str(settings), "--tcp", f"127.0.0.1:{port}", "--units", "1-3").exit_code == 0
    assert [meter.unit for meter in read_settings(settings).meters] == [1]


def test_scan_when_it_looks_for_heat(tmp_path: Path) -> None:
    """Heat meters are proposed, a water meter is only named."""
    water = BY_NAME["ACW_Itron-BM-plus-m"]
    settings = tmp_path / "gateway.toml"
    settings.write_text(GOOD)
    line = HeatBus(tmp_path / "converter", {17: KAMSTRUP, water[5]: water})
    with line.adapter:
        words = ("--mbus", str(line.adapter.path), "--units", f"16-18,{water[5]}", "--timeout-s", "0.1")
        done = scan(str(settings), *words, "--baud", "2400")
    assert done.exit_code == 0, done.output
    assert [(m.unit, m.type) for m in read_settings(settings).meters] == [(17, "mbus-heat")]
    assert f"# unit {water[5]}: " in settings.read_text()


def test_scan_when_it_looks_for_a_linky(tmp_path: Path) -> None:
    """The mode in which whole frames come is the meter's."""
    settings = tmp_path / "gateway.toml"
    settings.write_text(GOOD)
    with talking_dongle(tmp_path / "dongle", framed(HISTORIQUE)) as path:
        bus, found = run_search(tic=str(path))
    assert (bus.mode, [one.type for one in found]) == ("historique", ["linky"])


@contextmanager
def talking_dongle(path: Path, frame: bytes) -> Iterator[Path]:
    """A Linky that repeats itself until nobody listens any more."""
    stop = threading.Event()
    with SerialAdapter(path) as dongle:

        def talk() -> None:
            while not stop.wait(0.05):
                dongle.send(frame)

        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield path
        finally:
            stop.set()
            thread.join()


def run_search(**places: str) -> tuple[BusSettings, list[Found]]:
    buses = searching.candidates(places, bauds="", parities="", timeout_s=0.1)
    return asyncio.run(searching.search(buses, [1], LIBRARY, lambda _: None))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "name one bus"),
        (["--tcp", "a", "--serial", "b"], "name one bus"),
        (["--tcp", "host:port"], "not an address"),
        (["--rtu-over-tcp", "host"], "write HOST:PORT"),
        (["--serial", "/dev/null", "--baud", "fast"], "--baud"),
        (["--serial", "/dev/null", "--baud", "7"], "there is no such bus"),
        (["--serial", "/dev/null", "--parity", "mark"], "there is no such bus"),
        (["--serial", "/nowhere/adapter", "--baud", "9600", "--parity", "none"], "nobody is there"),
        (["--mbus", "/nowhere/adapter"], "nobody is there"),
        (["--tic", "/nowhere/adapter"], "nobody is there"),
        (["--tcp", "h", "--units", "1-999"], "--units"),
        (["--tcp", "h", "--units", "300"], "addresses up to 255"),
    ],
)
def test_scan_when_it_is_asked_wrongly(tmp_path: Path, words: list[str], says: str) -> None:
    """A sentence that says what to write; nothing is created."""
    settings = tmp_path / "gateway.toml"
    done = scan(str(settings), *words)
    assert isinstance(done.exception, UserError)
    assert says in str(done.exception)
    assert not settings.exists()


BUS = BusSettings(name="cellar", kind="modbus-rtu", serial="/dev/ttyUSB0")
FOUND = [Found(3, "eastron-sdm630", 'it calls itself "\x07SDM\n630"')]


def ids() -> Callable[[], bytes]:
    numbers = iter(range(1, 100))
    return lambda: next(numbers).to_bytes(16, "big")


def test_proposal_when_there_is_no_file_yet(tmp_path: Path) -> None:
    """It begins one, for its owner's eyes, that says what is still missing."""
    path = tmp_path / "gateway.toml"
    proposal.append(path, proposal.addition({}, BUS, FOUND, ids()))
    written = tomllib.loads(path.read_text())
    assert (written["bus"][0]["serial"], written["meters"][0]["unit"]) == ("/dev/ttyUSB0", 3)
    assert "genesis_sha256" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_proposal_when_the_file_has_content(tmp_path: Path) -> None:
    """Every byte that stood there stands there still, its rights too; names never collide."""
    path = tmp_path / "gateway.toml"
    taken = BUS.model_copy(update={"serial": "/dev/ttyUSB9"})
    first = proposal.addition({}, taken, FOUND, ids())
    path.write_text("# by hand\n" + GOOD + first.replace('"3', '"other').rstrip("\n"))
    path.chmod(0o640)
    before = path.read_text()
    proposal.append(path, proposal.addition(proposal.read_known(path), BUS, FOUND, lambda: b"\x09" * 16))
    assert path.read_text().startswith(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    own = read_settings(path)
    assert [bus.name for bus in own.bus] == ["cellar", "cellar (2)"]
    assert [meter.name for meter in own.meters] == ["eastron-sdm630 3", "eastron-sdm630 3 (2)"]


def test_proposal_when_meters_are_there_by_host(tmp_path: Path) -> None:
    """A second unit at the same address is added in the same way, since a bus would be there twice."""
    path = tmp_path / "gateway.toml"
    bus = BusSettings(name="h", kind="modbus-tcp", host="10.0.0.5", port=502)
    host = 'host = "10.0.0.5"\n'
    meter = f'[[meters]]\nname = "a"\ndevice = "{"bb" * 16}"\nkey_file = "a.key"\ntype = "abb-b23"\n{host}'
    path.write_text(GOOD + meter)
    proposal.append(path, proposal.addition(proposal.read_known(path), bus, [Found(1, "x", ""), *FOUND], ids()))
    assert [(m.host, m.unit) for m in read_settings(path).meters] == [("10.0.0.5", 1), ("10.0.0.5", 3)]


def test_proposal_when_the_file_would_become_wrong(tmp_path: Path) -> None:
    """A device id that is there already, by whatever accident: nothing is written."""
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD + proposal.addition({}, BUS, FOUND, ids()))
    before = path.read_bytes()
    other = [Found(4, "eastron-sdm630", "")]
    with pytest.raises(UserError, match="nothing was written"):
        proposal.append(path, proposal.addition(proposal.read_known(path), BUS, other, ids()))
    assert path.read_bytes() == before


def test_proposal_when_the_file_is_no_toml(tmp_path: Path) -> None:
    """It is to be mended first."""
    path = tmp_path / "gateway.toml"
    path.write_text("[[bus\n")
    with pytest.raises(UserError, match="mend it first"):
        proposal.read_known(path)


def test_scan_when_it_is_a_dry_run(tmp_path: Path) -> None:
    """What would be written is printed."""
    settings = tmp_path / "gateway.toml"
    with tcp_meters({1: simulated(BY_TYPE["janitza-umg604"])}) as port:
        done = scan(str(settings), "--tcp", f"127.0.0.1:{port}", "--units", "1", "--dry-run")
    assert 'type = "janitza-umg604"' in done.output
    assert not settings.exists()


def test_check_when_each_kind_of_meter_is_read(tmp_path: Path) -> None:
    """Values as a display shows them, for a table, a SunSpec device, a heat meter and a Linky."""
    heat = HeatBus(tmp_path / "converter", {17: KAMSTRUP})
    units: dict[int, Any] = {1: simulated(BY_TYPE["schneider-iem3155"]), 2: sunspec_map(METER)}
    with tcp_meters(units) as port, heat.adapter, talking_dongle(tmp_path / "dongle", framed(HISTORIQUE)) as dongle:
        meters = [("stairs", "schneider-iem3155", "net", 1), ("roof", "sunspec", "net", 2)]
        meters += [("boiler", "mbus-heat", "heat", 17), ("mains", "linky", "tic", 1)]
        (tmp_path / "gateway.toml").write_text(
            f'{GOOD}\n[[bus]]\nname = "net"\nkind = "modbus-tcp"\nhost = "127.0.0.1"\nport = {port}\n'
            f'[[bus]]\nname = "heat"\nkind = "mbus-serial"\nserial = "{heat.adapter.path}"\n'
            f'[[bus]]\nname = "tic"\nkind = "tic"\nserial = "{dongle}"\nmode = "historique"\n'
            + "".join(
                f'[[meters]]\nname = "{name}"\ndevice = "{index:032x}"\nkey_file = "{name}.key"\n'
                f'type = "{kind}"\nbus = "{bus}"\nunit = {unit}\n'
                for index, (name, kind, bus, unit) in enumerate(meters)
            )
        )
        done = CliRunner().invoke(app, ["check", str(tmp_path / "gateway.toml")])
    assert done.exit_code == 0, done.output
    for shown in ("1234.500 kWh", "231.250 V", "203 TotWhImp", "37351.000 kWh", "123456.789 kWh"):
        assert shown in done.output
