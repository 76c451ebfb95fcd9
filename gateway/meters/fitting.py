"""Which type of meter it may be: by what it says of itself, or by which table makes sense of its registers. Pure.

The registers that a person compares with the display are a test of a table as well: mains has about 230 V and 50 Hz,
and words in the wrong order or at the wrong address show neither. A value of 0 V is an unconnected phase and proves
nothing either way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.meters import tables
from gateway.meters.tables import MeterTable

VOLTS = (80, 300)
HERTZ = (45, 65)

Memory = Mapping[int, int]
"""Registers by address, as one function reads them."""


@dataclass(frozen=True, slots=True, order=True)
class Fit:
    """How well a table explains a meter: what is as mains is, less what is missing."""

    likely: int
    missing: int

    @property
    def rank(self) -> tuple[int, int]:
        """More likely values first, then fewer that are missing."""
        return (self.likely, -self.missing)


def fit(table: MeterTable, memory: Memory) -> Fit | None:
    """How the table explains the registers; None if a value cannot be."""
    if tables.registers_wh(table, memory) is None:
        return None
    likely = missing = 0
    for register in table.shown:
        limits = {"V": VOLTS, "Hz": HERTZ}.get(register.unit)
        if limits is None:
            continue
        exact = tables.quantity(register, memory)
        if exact is None or exact == 0:
            missing += 1
        elif limits[0] <= exact <= limits[1]:
            likely += 1
        else:
            return None
    return Fit(likely, missing) if likely else None


def best(fits: Mapping[str, Fit]) -> list[str]:
    """The types that fit best, by name: maps that are alike cannot be told apart."""
    if not fits:
        return []
    rank = max(found.rank for found in fits.values())
    return sorted(name for name, found in fits.items() if found.rank == rank)


def named(text: str, library: Sequence[MeterTable]) -> list[str]:
    """The types whose model stands in what a device calls itself; the longest name counts (B23 in "B23 212")."""
    plain = _plain(text)
    models = {table.type: _plain(table.model) for table in library}
    found = {name: len(model) for name, model in models.items() if model in plain}
    return sorted(name for name, length in found.items() if length == max(found.values()))


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
