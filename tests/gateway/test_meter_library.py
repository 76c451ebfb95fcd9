"""The library of meters: what it must contain, recorded frames of real meters, and mistakes refused by line."""

import re
import struct
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.errors import UserError
from gateway.meters import tables as meters
from gateway.meters.tables import CLONED, MeterTable
from tests.gateway.test_buses import rtu

# What people read at an SDM630 (volkszaehler/mbmd#63): volts, amperes, watts, VA, var, power factors and angles of
# three phases; sent as floats, most significant word first, behind the head of a Modbus TCP answer of unit 1.
SDM630_SHOWN = (
    228.7295, 222.94063, 224.24974, 0, 1.4444535, 0.24127388, 0, 277.02496, 0, 9.011102, 317.9521, 52.855865,
    -8.768687, 156.04713, -52.475544, 1, 0.87127894, 0.11974638, 0, 29.394562, -83.128654,
)  # fmt: skip
SDM630_ANSWER = bytes.fromhex("003500000057010454") + struct.pack(">21f", *SDM630_SHOWN)
# 233.1 V of a Carlo Gavazzi ET112 (ioBroker/ioBroker.modbus#286): tenths of a volt, least significant word first.
ET112_ANSWER = rtu(1, 3, [2331, 0])
NEEDED = {
    "eastron-sdm72", "eastron-sdm120", "eastron-sdm230", "eastron-sdm630",
    "carlo-gavazzi-em111", "carlo-gavazzi-em112", "carlo-gavazzi-em340",
    "schneider-iem3150", "schneider-iem3250", "schneider-iem3350", "schneider-iem3155", "schneider-iem3255",
    "schneider-iem3355", "abb-b21", "abb-b23", "janitza-umg96rm", "socomec-countis-e24", "hager-ecr380d",
    "aquametro-calec-st",
}  # fmt: skip
TABLES = {path.stem: meters.find(path.stem) for path in sorted(CLONED.glob("*.toml"))}


def memory_of(data: bytes, address: int) -> dict[int, int]:
    return {address + i: word for i, (word,) in enumerate(struct.iter_unpack(">H", data))}


def test_library_when_it_ships() -> None:
    """The meters that were promised are there."""
    assert set(TABLES) >= NEEDED


@pytest.mark.parametrize("name", TABLES)
def test_table_when_its_word_order_is_turned_around(name: str, tmp_path: Path) -> None:
    """Every register of several words has an example, so a wrong word order is refused with its line."""
    table = TABLES[name]
    text = (CLONED / f"{name}.toml").read_text()
    for kind, registers in (("energy", table.energy), ("shown", table.shown)):
        assert all(register.example for register in registers)
        for index, register in enumerate(registers):
            if register.count == 1:
                continue
            start = [match.start() for match in re.finditer(rf"^\[\[{kind}\]\]", text, re.MULTILINE)][index]
            other = {"big": "little", "little": "big"}[register.order]
            wrong = text[:start] + re.sub(r'order = "\w+"', f'order = "{other}"', text[start:], count=1)
            (tmp_path / f"{name}.toml").write_text(wrong)
            if register.example and float(register.example.value) == 0:
                continue  # a meter that was recorded without a load: zero reads the same both ways
            line = text[:start].count("\n") + 1 + text[start:].split("example")[0].count("\n")
            with pytest.raises(UserError, match=rf"line {line}: {kind}\.{index}\.example: .*wrong order"):
                meters.find(name, (tmp_path,))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("schneider-iem3155", [(0x0C83, 8)]),
        ("carlo-gavazzi-em340", [(0x0034, 28)]),
        ("carlo-gavazzi-em111", [(0x0010, 18)]),
        ("janitza-umg96rm", [(0x4A7C, 10)]),
        ("hager-ecr380d", [(0xB060, 2), (0xB064, 2)]),
    ],
)
def test_requests_when_registers_lie_apart(name: str, expected: list[tuple[int, int]]) -> None:
    """As few as can be: those that touch, and others where the meter is known to answer what lies between."""
    assert [(r.address, r.count) for r in meters.energy_requests(TABLES[name])] == expected


def test_requests_when_they_would_grow_too_long() -> None:
    """Neither across a hole that is too wide nor beyond what the meter gives at once."""
    energy = TABLES["carlo-gavazzi-em340"].energy
    both, apart = [meters.Request(0x34, 28)], [meters.Request(0x34, 2), meters.Request(0x4E, 2)]
    assert meters.requests(energy, 28, reads_across=24) == both
    assert meters.requests(energy, 27, reads_across=24) == apart
    assert meters.requests(energy, 28, reads_across=23) == apart


@pytest.mark.parametrize("name", TABLES)
def test_table_when_the_meter_has_no_value(name: str) -> None:
    """What the table calls no value, and what is no number, never becomes energy."""
    for register in TABLES[name].energy:
        patterns = register.no_value or ({"f32": "7fc00000", "f64": "7ff8000000000000"}[register.words],)
        for pattern in patterns:
            words = [pattern[i : i + 4] for i in range(0, len(pattern), 4)]
            if register.order == "little":
                words.reverse()
            memory = memory_of(bytes.fromhex("".join(words)), register.address)
            assert meters.energy_wh(register, memory) is None


def test_sdm630_when_a_real_frame_is_read() -> None:
    """mbmd#63: 42 registers of an SDM630; the values that the issue's author saw."""
    frame = SDM630_ANSWER
    assert frame[6:9] == bytes([1, 4, 84])
    memory = memory_of(frame[9:], 0x0000)
    shown = {r.name: meters.quantity(r, memory) for r in TABLES["eastron-sdm630"].shown if r.span.stop <= 0x34}
    rounded = {name: round(float(exact), 2) for name, exact in shown.items() if exact is not None}
    assert rounded == {
        "voltage L1": 228.73, "voltage L2": 222.94, "voltage L3": 224.25,
        "current L1": 0.0, "current L2": 1.44, "current L3": 0.24,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["carlo-gavazzi-em111", "carlo-gavazzi-em112"])
def test_em110_family_when_a_real_frame_is_read(name: str) -> None:
    """ioBroker.modbus#286: 091B 0000 is 233.1 V, so the low word comes first."""
    frame = ET112_ANSWER
    assert frame.hex() == "010304091b000089a8"
    memory = memory_of(frame[3:7], 0x0000)
    assert meters.quantity(TABLES[name].shown[0], memory) == Fraction(2331, 10)


def test_umg96rm_when_totals_are_read() -> None:
    """The totals, not phase 1: 19068 and 19076, where another project reads 19062 and 19070."""
    assert [register.address for register in TABLES["janitza-umg96rm"].energy] == [19068, 19076]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("address = 0x004A", "address = 0x0049", "line 33: energy.1.address: .*overlaps"),
        ('unit = "kWh"', 'unit = "kwh"', "line 28: energy.0.unit"),
        ('order = "big"', 'order = "little"', "line 29: energy.0.example: .*wrong order"),
        ('order = "big"', 'order = "dcba"', "line 27: energy.0.order"),
        ('quantity = "1-0:1.8.0"', 'quantity = "1-0:2.8.0"', "line 32: energy.1.quantity: quantities ascend"),
        ('words = "f32"', "", "line 23: energy.0.words: Field required"),
        ('accuracy = "EN 50470-3 class B"', 'accuracy = "good"', "line 13: accuracy: .*unknown class"),
        ('accuracy = "EN 50470-3 class B"', 'accuracy = "EN 1434 class 2"', "line 13: accuracy: EN 1434 is for heat"),
        ("phases = 3", "", "rated by"),
        ("function = 4", "function = four", "line 9"),
    ],
)
def test_table_when_it_has_a_mistake(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    """The line is named, also for what only the whole table shows."""
    text = (CLONED / "eastron-sdm630.toml").read_text()
    assert old in text
    (tmp_path / "eastron-sdm630.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=complaint):
        meters.find("eastron-sdm630", (tmp_path,))


@pytest.mark.parametrize(
    ("identity", "complaint"),
    [
        ('function = 3\naddress = 1\nwords = ["12"]', "line 19: identity.0.words.0"),
        ('function = 3\naddress = 1\nwords = ["1234", "12345678"]', "line 16: identity.0: .*equally many"),
        ("function = 5\naddress = 1\nwords = []", "line 17: identity.0.function"),
    ],
)
def test_table_when_its_identity_has_a_mistake(tmp_path: Path, identity: str, complaint: str) -> None:
    """So is a mistake in the registers that name a type."""
    text = (CLONED / "eastron-sdm230.toml").read_text().replace("# Energy:", f"[[identity]]\n{identity}\n# Energy:")
    (tmp_path / "eastron-sdm230.toml").write_text(text)
    with pytest.raises(UserError, match=complaint):
        meters.find("eastron-sdm230", (tmp_path,))


def float_register() -> meters.EnergyRegister:
    table: MeterTable = TABLES["eastron-sdm630"]
    return table.energy[0]


@given(st.lists(st.floats(min_value=0, max_value=1e7, width=32), min_size=2, max_size=20))
def test_float_register_when_it_grows(values_kwh: list[float]) -> None:
    """Rounding down keeps order and never invents: whole Wh ascend with the float, within 1 Wh below it."""
    own = float_register()
    read_wh = []
    for value_kwh in sorted(values_kwh):
        register_wh = meters.energy_wh(own, memory_of(struct.pack(">f", value_kwh), own.address))
        assert register_wh is not None
        assert 0 <= Fraction(value_kwh) * 1000 - register_wh < 1
        read_wh.append(register_wh)
    assert read_wh == sorted(read_wh)
