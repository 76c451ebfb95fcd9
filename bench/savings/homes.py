"""Reads the homes' days and the weather that lie beside this file."""

import csv
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
BASELINE_DAYS = 28


class Record(NamedTuple):
    """`homes`: Wh of 49 consecutive local days by meter; `outdoor_dc`: their mean temperature, tenths of a degree."""

    homes: dict[bytes, tuple[int, ...]]
    outdoor_dc: tuple[int, ...]


def read() -> Record:
    """The homes and their weather."""
    with (HERE / "swiss_households" / "daily_wh.csv").open() as file:
        header, *rows = csv.reader(file)
    columns = zip(*([int(cell) for cell in row[1:]] for row in rows), strict=True)
    with (HERE / "meteo_france" / "bale_mulhouse_daily_dc.csv").open() as file:
        outdoor_dc = tuple(int(row["mean_dc"]) for row in csv.DictReader(file))
    return Record({name.encode(): days for name, days in zip(header[1:], columns, strict=True)}, outdoor_dc)
