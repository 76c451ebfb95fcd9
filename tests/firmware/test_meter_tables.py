"""The tables that the firmware carries are those of hardware/meters, and read as their examples say."""

import json
import math
import subprocess
import sys
import tomllib
from fractions import Fraction
from pathlib import Path

import pytest
from buses.words import energy_wh

from commonwatt.device.tables import SOURCES, TARGETS, compile_all, module_name, render
from commonwatt.errors import UserError

MICROPYTHON = Path(sys.executable).parent / "micropython"
FIRMWARE = TARGETS.parents[1]
TO_WH = {"Wh": 1, "kWh": 1000, "MWh": 10**6}
TYPES = sorted(path.stem for path in SOURCES.glob("*.toml"))
ON_MICROPYTHON = """
import json, sys
sys.path.insert(0, sys.argv[1])
from buses.words import energy_wh
with open(sys.argv[2]) as file:
    cases = json.load(file)
print(json.dumps([energy_wh(tuple(row), bytes.fromhex(data)) for row, data in cases]))
"""


def _compiled(type_name):
    found = {}
    exec(render(SOURCES / f"{type_name}.toml"), found)
    return found["TABLE"]


def _examples(type_name):
    """(row, the words' bytes in hexadecimal, exact Wh) of each energy register that has an example."""
    registers = tomllib.loads((SOURCES / f"{type_name}.toml").read_text())["energy"]
    for row, register in zip(_compiled(type_name)["energy"], registers, strict=True):
        if "example" in register:
            yield row, register["example"]["words"], Fraction(register["example"]["value"]) * TO_WH[register["unit"]]


def test_tables_when_the_library_has_changed():
    """Stale? `python -m commonwatt.device.tables` makes them anew."""
    wanted = {f"{module_name(name)}.py": render(SOURCES / f"{name}.toml") for name in TYPES}
    there = {path.name: path.read_text() for path in TARGETS.glob("*.py") if path.name != "__init__.py"}
    assert there == wanted


@pytest.mark.parametrize("type_name", TYPES)
def test_examples_of_the_library(type_name):
    """Each example's words give what the meter's display shows, to the digits that it shows."""
    for row, words, exact_wh in _examples(type_name):
        wh = energy_wh(row, bytes.fromhex(words))
        assert wh is not None
        assert abs(wh - exact_wh) <= max(1, exact_wh / 10**5)


def test_examples_of_the_library_on_micropython(tmp_path):
    """Both interpreters read every example as the same whole number."""
    script = tmp_path / "read.py"
    script.write_text(ON_MICROPYTHON)
    cases = [(row, words) for name in TYPES for row, words, _wh in _examples(name)]
    given = tmp_path / "cases.json"
    given.write_text(json.dumps(cases))
    done = subprocess.run([MICROPYTHON, script, FIRMWARE, given], capture_output=True, check=True, text=True)
    assert json.loads(done.stdout) == [energy_wh(row, bytes.fromhex(words)) for row, words in cases]
    assert len(cases) > 10


def test_compile_of_a_key_that_the_firmware_does_not_know(tmp_path):
    """It may change what a number means: refused with its name and place."""
    text = (SOURCES / "schneider-iem3155.toml").read_text()
    (tmp_path / "other.toml").write_text(text.replace('unit = "Wh"', 'unit = "Wh"\nscale_register = 7', 1))
    with pytest.raises(UserError, match="scale_register"):
        compile_all(tmp_path, tmp_path)


def test_compile_when_a_table_is_gone(tmp_path):
    """Its module goes too; the package's own file stays."""
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "gone.py").write_text("")
    (tmp_path / "here.toml").write_text((SOURCES / "schneider-iem3155.toml").read_text())
    assert compile_all(tmp_path, tmp_path) == [tmp_path / "here.py"]
    assert sorted(path.name for path in tmp_path.glob("*.py")) == ["__init__.py", "here.py"]


def test_weight_of_a_unit():
    """Whole watt-hours come of it exactly, whatever the table multiplies and divides by."""
    for name in TYPES:
        for row in _compiled(name)["energy"]:
            assert row[4] > 0
            assert row[5] > 0
            assert math.gcd(row[4], row[5]) == 1
