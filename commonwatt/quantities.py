"""The quantity table: small numbers in a block for the registers of a meter, named by their OBIS code.

The code of a register is fixed by IEC 62056-61 (electricity 1-0, heat 6-0). Numbers never change meaning.
"""

from typing import NamedTuple


class Quantity(NamedTuple):
    """One row: the number in a block, the OBIS code, and the name people see."""

    number: int
    obis: str
    name: str


IMPORT = Quantity(1, "1-0:1.8.0", "active energy import")
EXPORT = Quantity(2, "1-0:2.8.0", "active energy export")
HEAT = Quantity(3, "6-0:1.0.0", "heat energy")

QUANTITIES: dict[int, Quantity] = {row.number: row for row in (IMPORT, EXPORT, HEAT)}
BY_OBIS: dict[str, Quantity] = {row.obis: row for row in QUANTITIES.values()}
