"""Every meter table is well formed, and a mistake in one is named with its file and place."""

import struct
import tomllib
from fractions import Fraction
from pathlib import Path

import pytest

from commonwatt.errors import UserError
from gateway.meters import tables as meters
from gateway.meters.tables import CLONED, PACKAGED, EnergyRegister, MeterTable, Register, Request

TYPES = sorted(path.stem for path in CLONED.glob("*.toml"))
PAGE = CLONED.parents[0] / "din-meter" / "README.md"


def memory_of(register: Register, data: bytes) -> dict[int, int]:
    words = struct.unpack(f">{register.count}H", data)
    return dict(zip(register.span, words, strict=True))


@pytest.mark.parametrize("name", TYPES)
def test_table_when_it_ships(name: str) -> None:
    """Each file is read, named like its type, and speaks of a meter that counts energy."""
    table = meters.find(name)
    assert table.type == name
    assert table.energy


def test_iem3155_when_a_frame_of_its_map_is_read() -> None:
    """The registers of the manual (3204 import, 3208 export; one more than on the wire) give whole Wh."""
    table = meters.find("schneider-iem3155")
    assert [register.address + 1 for register in table.energy] == [3204, 3208]
    assert meters.requests(table.energy, table.registers_max) == [Request(0x0C83, 8)]
    frame = bytes.fromhex("00000000000012d600000000499602d2")
    memory = memory_of(table.energy[0], frame[:8]) | memory_of(table.energy[1], frame[8:])
    assert meters.registers_wh(table, memory) == ((1, 4822), (2, 1234567890))


def test_iem3155_when_one_register_has_no_value() -> None:
    """Without one register there is no reading: the other alone would look like a change of meter."""
    table = meters.find("schneider-iem3155")
    memory = memory_of(table.energy[0], bytes(8)) | memory_of(table.energy[1], bytes.fromhex("8000000000000000"))
    assert meters.registers_wh(table, memory) is None


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("address = 0x0C87", "address = 0x0C85", "overlaps"),
        ('unit = "Wh"', 'unit = "Joule"', "energy.0.unit"),
        ('order = "big"', 'order = "middle"', "energy.0.order"),
        ('words = "i64"', 'words = "i48"', "energy.0.words"),
        ('quantity = "1-0:1.8.0"', 'quantity = "1-0:9.9.9"', "energy.0.quantity: .*unknown OBIS"),
        ('quantity = "1-0:1.8.0"', 'quantity = "1-0:2.8.0"', "ascend and appear once"),
        ('"8000000000000000"', '"8000"', "energy.0: .*16 hexadecimal digits"),
        ("address = 0x0C83", "address = 0xFFFE", "ends beyond"),
        ("function = 3", "function = 6", "function"),
        ("function = 3", "function = ", r"is not TOML: .*line 9"),
        ("phases = 3", "phases = 3\ncolour = 1", "colour: Extra"),
        ("https://www", "www", "data_sheet"),
        ('type = "schneider-iem3155"', 'type = "other"', "file is named otherwise"),
    ],
)
def test_table_when_it_has_a_mistake(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    """A mistake would become wrong energy under a true signature, so the table is refused with its place."""
    text = (CLONED / "schneider-iem3155.toml").read_text()
    (tmp_path / "schneider-iem3155.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=rf"schneider-iem3155\.toml: .*{complaint}"):
        meters.find("schneider-iem3155", (tmp_path,))


def test_find_when_the_type_is_unknown() -> None:
    """The message lists the types there are."""
    with pytest.raises(UserError, match=r"'sdm9000'(.|\n)*schneider-iem3155"):
        meters.find("sdm9000")


def register(words: str, order: str = "big", **more: object) -> EnergyRegister:
    fields = {"address": 10, "words": words, "order": order, "quantity": "1-0:1.8.0", "unit": "Wh"}
    return EnergyRegister.model_validate(fields | more)


@pytest.mark.parametrize(
    ("own", "data", "energy_wh"),
    [
        (register("u32"), "0001e240", 123456),
        (register("u32", "little"), "e2400001", 123456),
        (register("i32", "little", divide_by=10, unit="kWh"), "86a00001", 10_000_000),
        (register("f32", unit="kWh"), struct.pack(">f", 21767.4).hex(), int(Fraction(struct.unpack(
            ">f", struct.pack(">f", 21767.4))[0]) * 1000)),
        (register("f64"), struct.pack(">d", 999.999).hex(), 999),
        (register("u16", divide_by=3), "0008", 2),
        (register("i32"), "ffffffff", None),
        (register("u32", no_value=["FFFFFFFF"]), "ffffffff", None),
        (register("f32"), "7fc00000", None),
        (register("f32"), "7f800000", None),
        (register("u64"), "ffffffffffffffff", None),
    ],
)  # fmt: skip
def test_energy_when_words_and_units_differ(own: EnergyRegister, data: str, energy_wh: int | None) -> None:
    """Any register becomes whole Wh by exact arithmetic, rounded down; what is no number becomes no value."""
    assert meters.energy_wh(own, memory_of(own, bytes.fromhex(data))) == energy_wh


def test_requests_when_registers_touch() -> None:
    """Touching registers are read at once up to the limit; a hole is never read."""
    own = tuple(Register(address=a, words="u32", order="big") for a in (10, 12, 14, 20))
    assert meters.requests(own, 64) == [Request(10, 6), Request(20, 2)]
    assert meters.requests(own, 4) == [Request(10, 4), Request(14, 2), Request(20, 2)]


def test_page_when_it_names_things() -> None:
    """The wiring page speaks of a meter that there is a table for, puts safety first, in both languages."""
    text = PAGE.read_text()
    table: MeterTable = meters.find("schneider-iem3155")
    assert f'type = "{table.type}"' in text
    assert f"{table.maker} {table.model}" in text
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[0].startswith("## Safety first")
    assert any(heading.startswith("## D’abord la sécurité") for heading in headings)


def test_tables_when_installed() -> None:
    """A wheel carries the tables to where an installed gateway looks for them."""
    project = tomllib.loads((CLONED.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    root = CLONED.parents[1]
    assert {root / source: root / target for source, target in included.items()}[CLONED] == PACKAGED
