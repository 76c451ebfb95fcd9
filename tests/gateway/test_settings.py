"""gateway.toml: mistakes are named with their place, and every setting says why it exists."""

import ast
import inspect
from pathlib import Path

import pytest

from commonwatt.errors import UserError
from gateway import settings
from gateway.settings import Account, BusSettings, GatewaySettings, MeterSettings, read_settings

GOOD = f"""
id = "{"aa" * 16}"
commune = "lyon"
genesis_sha256 = "{"00" * 32}"
aggregator_public_key = "{"11" * 32}"
key_file = "keys/gateway.key"
spool_file = "/var/lib/commonwatt/spool.db"
status_file = "status.json"
[local]
url = "mqtt://localhost"
username = "{"aa" * 16}"
password = "secret"
"""
METER = """
[[meters]]
name = "{name}"
device = "{device}"
key_file = "{name}.key"
type = "schneider-iem3155"
host = "127.0.0.1"
unit = {unit}
"""


def read(tmp_path: Path, text: str) -> GatewaySettings:
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    return read_settings(path)


def test_settings_when_they_are_good(tmp_path: Path) -> None:
    """Relative paths start at the file, the local broker serves upstream too, the password is not shown."""
    own = read(tmp_path, GOOD + METER.format(name="roof", device="bb" * 16, unit=1))
    assert own.key_file == tmp_path / "keys" / "gateway.key"
    assert own.spool_file == Path("/var/lib/commonwatt/spool.db")
    assert own.meters[0].key_file == tmp_path / "roof.key"
    assert own.upstream_account is own.local
    assert own.local.broker_account().host_port() == ("localhost", 1883)
    assert "secret" not in repr(own)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('id = "aa', 'id = "zz', "id: .*32 hexadecimal digits"),
        ('commune = "lyon"', 'commune = "Lyon"', "commune: .*slug"),
        ('commune = "lyon"', 'commune = "lyon"\nstep_s = 7', "step_s: .*900"),
        ('commune = "lyon"', 'commune = "lyon"\nstep_s = 1800', "step_s"),
        ('commune = "lyon"', 'commune = "lyon"\nblock_readings = 25', "block_readings"),
        ('commune = "lyon"', 'commune = "lyon"\nbatch_bytes_max = 262144', "batch_bytes_max"),
        ('commune = "lyon"', 'commune = "lyon"\nbatch_size = 3', "batch_size: Extra"),
        ("username", "user", "local.username: .*required"),
        ("key_file =", "key_file", "is not TOML.*line 6"),
    ],
)
def test_settings_when_there_is_a_mistake(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    """The message names the file, the place and what is expected there."""
    with pytest.raises(UserError, match=rf"gateway\.toml: .*{complaint}"):
        read(tmp_path, GOOD.replace(old, new, 1))


@pytest.mark.parametrize(
    ("second", "what"),
    [
        ({"name": "roof", "device": "cc" * 16, "unit": 2}, "name"),
        ({"name": "barn", "device": "bb" * 16, "unit": 2}, "device"),
        ({"name": "barn", "device": "cc" * 16, "unit": 1}, "host, port and unit"),
    ],
)
def test_settings_when_two_meters_are_one(tmp_path: Path, second: dict[str, object], what: str) -> None:
    """Two meters with one name, one device or one address would sign each other's energy."""
    first = {"name": "roof", "device": "bb" * 16, "unit": 1}
    with pytest.raises(UserError, match=f"two meters have the same {what}"):
        read(tmp_path, GOOD + METER.format(**first) + METER.format(**second))


BUS = """
[[bus]]
name = "{name}"
kind = "{kind}"
{rest}
"""
ON_BUS = """
[[meters]]
name = "{name}"
device = "{device}"
key_file = "{name}.key"
type = "{type}"
bus = "{bus}"
unit = {unit}
"""
CELLAR = BUS.format(name="cellar", kind="modbus-rtu", rest='serial = "/dev/ttyUSB0"')
HEATING = BUS.format(name="heating", kind="mbus-serial", rest='serial = "/dev/ttyUSB1"')
TIC = BUS.format(name="tic", kind="tic", rest='serial = "/dev/ttyUSB2"\nmode = "historique"')


def on_bus(bus: str, kind: str, unit: int = 1) -> str:
    return ON_BUS.format(name=f"{bus} {unit}", device=f"{unit:032x}", type=kind, bus=bus, unit=unit)


def test_buses_when_they_are_good(tmp_path: Path) -> None:
    """Each kind has the line settings that are usual for it; a meter with a host has a bus of its own."""
    meters = on_bus("cellar", "eastron-sdm630", 3) + on_bus("heating", "mbus-heat", 17) + on_bus("tic", "linky")
    roof = METER.format(name="roof", device="bb" * 16, unit=1)
    own = read(tmp_path, GOOD + CELLAR + HEATING + TIC + meters + roof)
    lines = [(bus.name, bus.line_baud, bus.line_parity) for bus in own.bus]
    assert lines == [("cellar", 9600, "none"), ("heating", 2400, "even"), ("tic", 1200, "even")]
    assert [own.bus_of(meter).place for meter in own.meters] == [
        "/dev/ttyUSB0", "/dev/ttyUSB1", "/dev/ttyUSB2", "127.0.0.1:502",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (BUS.format(name="a", kind="modbus-rtu", rest='host = "h"'), "bus.0: .*has serial, and neither host"),
        (BUS.format(name="a", kind="modbus-tcp", rest='serial = "s"'), "bus.0: .*has host, and none of serial"),
        (BUS.format(name="a", kind="modbus-tcp", rest='host = "h"\nbaud = 9600'), "none of serial, baud"),
        (BUS.format(name="a", kind="modbus-rtu-over-tcp", rest='host = "h"'), "has a port"),
        (BUS.format(name="a", kind="tic", rest='serial = "s"'), 'has mode = "historique" or "standard"'),
        (BUS.format(name="a", kind="canbus", rest=""), "bus.0.kind"),
        (CELLAR + CELLAR.replace("USB0", "USB9"), "two buses have the same name"),
        (CELLAR + CELLAR.replace("cellar", "attic"), "two buses have the same place"),
        (on_bus("attic", "eastron-sdm630"), "on the bus 'attic', which is not there"),
        (CELLAR + on_bus("cellar", "linky"), "'linky' is read over tic"),
        (CELLAR + on_bus("cellar", "mbus-heat"), "'mbus-heat' is read over mbus-serial"),
        (HEATING + on_bus("heating", "eastron-sdm630"), "is read over modbus-tcp"),
        (HEATING + on_bus("heating", "mbus-heat", 251), "at most 250"),
        (CELLAR + on_bus("cellar", "eastron-sdm630", 0), "a unit is 1 to 247"),
        (TIC + on_bus("tic", "linky", 1) + on_bus("tic", "linky", 2), "one Linky"),
        (on_bus("cellar", "sunspec").replace("unit", 'host = "h"\nunit'), "either the name of its bus or a host"),
        (METER.format(name="a", device="bb" * 16, unit=1) + "model = 3", "only a sunspec meter has a model"),
        (
            BUS.format(name="a", kind="modbus-tcp", rest='host = "127.0.0.1"')
            + METER.format(name="b", device="bb" * 16, unit=1),
            "name the bus, not the host",
        ),
    ],
)
def test_buses_when_there_is_a_mistake(tmp_path: Path, text: str, complaint: str) -> None:
    """What cannot work is refused before anything starts."""
    with pytest.raises(UserError, match=rf"gateway\.toml: .*{complaint}"):
        read(tmp_path, GOOD + text)


def test_settings_when_someone_reads_them() -> None:
    """Each setting is followed by a sentence that says why."""
    tree = ast.parse(inspect.getsource(settings))
    for model in (Account, BusSettings, MeterSettings, GatewaySettings):
        (node,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == model.__name__)
        for here, after in zip(node.body, node.body[1:], strict=False):
            if isinstance(here, ast.AnnAssign):
                said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                assert said, f"{model.__name__}.{ast.unparse(here.target)} has no sentence"
