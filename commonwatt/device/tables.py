"""Compiles hardware/meters/*.toml into modules the firmware can import: `python -m commonwatt.device.tables`.

    TABLE = {"function": 3, "registers_max": 64, "power_max_w": 47250, "energy": (
        (1, 0x0C83, "i64", "big", 1, 1, ("8000000000000000",)),
    )}

Only what is signed is carried; a key that is not known here is refused, because it might change what a number means.
"""

import sys
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

from commonwatt.errors import UserError
from commonwatt.quantities import BY_OBIS

CLONE = Path(__file__).parents[2]
SOURCES = CLONE / "hardware" / "meters"
TARGETS = CLONE / "firmware" / "meters" / "tables"

_UNITS: dict[str, Fraction] = {"Wh": Fraction(1), "kWh": Fraction(1000), "MWh": Fraction(10**6)}
_ENERGY_KEYS = {"quantity", "address", "words", "order", "unit", "divide_by", "multiply_by", "no_value", "example"}
_VOLTAGE_V_MAX = 250


def module_name(type_name: str) -> str:
    """The file name of a type's module, without its ending."""
    return type_name.replace("-", "_")


def _row(register: dict[str, Any], where: Path) -> str:
    unknown = sorted(set(register) - _ENERGY_KEYS)
    if unknown:
        raise UserError(f"energy: the firmware does not know {', '.join(unknown)}", where=where)
    weight = _UNITS[register["unit"]] * register.get("multiply_by", 1) / register.get("divide_by", 1)
    patterns = "".join(f'"{pattern.lower()}", ' for pattern in register.get("no_value", ()))
    return (
        f'        ({BY_OBIS[register["quantity"]].number}, 0x{register["address"]:04X}, "{register["words"]}", '
        f'"{register["order"]}", {weight.numerator}, {weight.denominator}, ({patterns.rstrip()})),\n'
    )


def _power_max_w(table: dict[str, Any]) -> int:
    """What the connection can carry, in watts: a register that grows faster is not believed."""
    if "power_max_kw" in table:
        return int(table["power_max_kw"] * 1000)
    return int(table["current_max_a"] * table["phases"] * _VOLTAGE_V_MAX)


def render(source: Path) -> str:
    """The module for one table; UserError names what the firmware cannot read."""
    table = tomllib.loads(source.read_text())
    rows = "".join(_row(register, source) for register in table["energy"])
    return (
        f'"""{table["maker"]} {table["model"]}. Made from hardware/meters/{source.name}; not edited by hand."""\n\n'
        "# fmt: off\n# ruff: noqa: E501\nTABLE = {\n"  # one register a line is how a table is read
        f'    "function": {table["function"]},\n'
        f'    "registers_max": {table.get("registers_max", 64)},\n'
        f'    "power_max_w": {_power_max_w(table)},\n'
        f'    "energy": (\n{rows}    ),\n'
        "}\n"
    )


def compile_all(sources: Path, targets: Path) -> list[Path]:
    """Write the module of every table in `sources`; remove those whose table is gone. What was written."""
    wanted = {targets / f"{module_name(source.stem)}.py": render(source) for source in sorted(sources.glob("*.toml"))}
    for path in sorted(targets.glob("*.py")):
        if path.name != "__init__.py" and path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.write_text(text)
    return list(wanted)


if __name__ == "__main__":
    for written in compile_all(SOURCES, TARGETS):
        sys.stdout.write(f"{written.relative_to(CLONE)}\n")
