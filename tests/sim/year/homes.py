"""The year's ten homes: measured hours and quarter hours, dated onto one year (data/SOURCES.md says what is real).

Energies are whole milliwatt-hours, so that every sum is exact; registers are whole watt-hours, rounded down once.
"""

import csv
import gzip
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from pathlib import Path

from commonwatt.quantities import EXPORT, IMPORT
from ledger.book.kinds import DeviceRole

DATA = Path(__file__).parent / "data"
DAYS_MAX = 365
QUARTERS = 96
START_WH = 1_000_000
"""Where every register stands at the beginning: meters have a past."""

Energies = list[int]
"""mWh in each quarter hour."""


@dataclass(frozen=True)
class Meter:
    """A device of the year. `registers_wh`: by quantity, at the start of the year and after every quarter hour."""

    name: str
    home: str
    role: DeviceRole
    registers_wh: dict[int, list[int]]


RATED_POWER_W = 17_250
SWISS = {
    "swiss1": "1320610",
    "swiss2": "1928936",
    "swiss3": "3041349",
    "swiss4": "3198290",
    "swiss5": "3254948",
    "swiss6": "3520987",
}

# From which Monday on how many days of each source are played, one piece after the other, from mid-July to mid-July.
KONSTANZ = (("2016-07-11", 49), ("2016-07-11", 49), ("2015-10-19", 267))
SCEAUX = {
    "sceaux-a": (("2007-07-16", 365),),
    "sceaux-b": (("2008-07-14", 365),),
    "sceaux-c": (("2009-07-13", 168), ("2007-01-01", 197)),
}
PVDAQ_DAY = "2011-07-18"


def meters(days: int) -> list[Meter]:
    """The devices of all ten homes, for the first days of the year."""
    konstanz = _konstanz()
    solar = _pvdaq()
    swiss = _swiss()
    imported = [max(0, a - b) for a, b in zip(swiss["swiss1"], solar, strict=True)]
    exported = [max(0, b - a) for a, b in zip(swiss["swiss1"], solar, strict=True)]
    main, roof = DeviceRole.MAIN, DeviceRole.PRODUCTION
    rows: list[tuple[str, str, DeviceRole, dict[int, Energies]]] = [
        (
            "konstanz-main",
            "konstanz",
            main,
            {IMPORT.number: konstanz["grid_import"], EXPORT.number: konstanz["grid_export"]},
        ),
        ("konstanz-roof", "konstanz", roof, {EXPORT.number: konstanz["pv"]}),
        ("swiss1-main", "swiss1", main, {IMPORT.number: imported, EXPORT.number: exported}),
        ("swiss1-roof", "swiss1", roof, {EXPORT.number: solar}),
        *((f"{name}-main", name, main, {IMPORT.number: swiss[name]}) for name in SWISS if name != "swiss1"),
        *((f"{name}-main", name, main, {IMPORT.number: _sceaux(pieces)}) for name, pieces in SCEAUX.items()),
    ]
    return [
        Meter(name, home, role, {q: _registers(mwh[: days * QUARTERS]) for q, mwh in by_quantity.items()})
        for name, home, role, by_quantity in rows
    ]


def _registers(mwh: Energies) -> list[int]:
    return [START_WH + total // 1000 for total in accumulate(mwh, initial=0)]


def quarters_of_hours(hours_mwh: Sequence[int]) -> Energies:
    """Quarter hours that sum to their hours, along a line as steep as from the hour before to the hour after; where
    that line would cross zero it is cut off."""
    quarters: Energies = []
    for at, energy in enumerate(hours_mwh):
        before, after = hours_mwh[max(at - 1, 0)], hours_mwh[min(at + 1, len(hours_mwh) - 1)]
        parts = [max(0, 16 * energy + (2 * quarter - 3) * (after - before)) for quarter in range(4)]
        ends = list(accumulate(parts, initial=0))
        marks = [energy * end // ends[-1] if ends[-1] else 0 for end in ends]
        quarters += [b - a for a, b in pairwise(marks)]
    return quarters


def _konstanz() -> dict[str, Energies]:
    """Import, export and production, from hourly counters in kWh."""
    rows = list(_rows("konstanz/residential4_60min.csv.gz"))
    found = {}
    for name in ("grid_import", "grid_export", "pv"):
        counters = _without_holes([row[f"DE_KN_residential4_{name}"] for row in rows])
        growth = {row["utc_timestamp"][:19]: b - a for row, (a, b) in zip(rows, pairwise(counters), strict=False)}
        found[name] = quarters_of_hours([growth[hour.isoformat()] for hour in _hours(KONSTANZ)])
    return found


def _without_holes(kwh: Sequence[str]) -> list[int]:
    """Counters in mWh; over hours without one the growth is shared evenly."""
    known = [(at, _milli(value)) for at, value in enumerate(kwh) if value]
    counters = [known[0][1]] * known[0][0]
    for (first, before), (last, after) in pairwise(known):
        counters += [before + (after - before) * (at - first) // (last - first) for at in range(first, last)]
    return [*counters, known[-1][1]]


def _sceaux(pieces: Iterable[tuple[str, int]]) -> Energies:
    """A home, from kWh by the hour."""
    rows = {row["date_time"]: row["Global_active_energy_kWh"] for row in _rows("sceaux/house_60min.csv.gz")}
    return quarters_of_hours([_milli(rows[str(hour)]) for hour in _hours(pieces)])


def _pvdaq() -> Energies:
    """A roof, from mean W by the quarter hour; a missing one made nothing."""
    rows = {row["measured_on"][:19]: row["ac_power_2"] for row in _rows("pvdaq/roof_year_15min.csv.gz")}
    start = datetime.fromisoformat(PVDAQ_DAY)
    stamps = (start + at * timedelta(minutes=15) for at in range(DAYS_MAX * QUARTERS))
    return [int(rows.get(str(stamp)) or 0) * 250 for stamp in stamps]


def _swiss() -> dict[str, Energies]:
    """Homes of seven measured weeks from the end of October, repeated over the year and scaled by its season."""
    rows = list(_rows("swiss/homes_15min_7weeks.csv.gz"))
    seasons = [season_permille(week) for week in range(DAYS_MAX // 7 + 1)]

    def year(meter: str) -> Energies:
        column = [_milli(row[meter]) for row in rows]
        return [column[at % len(column)] * seasons[at // (7 * QUARTERS)] // 1000 for at in range(DAYS_MAX * QUARTERS)]

    return {name: year(meter) for name, meter in SWISS.items()}


def season_permille(week: int) -> int:
    """How much of an early winter week a home uses in a week of the year, invented: 1 in January, 0.4 in July."""
    return round(700 - 300 * math.cos(2 * math.pi * (week - 0.5) / 52))


def _hours(pieces: Iterable[tuple[str, int]]) -> list[datetime]:
    hours = [datetime.fromisoformat(day) + timedelta(hours=at) for day, days in pieces for at in range(24 * days)]
    assert len(hours) == 24 * DAYS_MAX
    return hours


def _milli(kilo: str) -> int:
    """kWh with at most six decimals as mWh."""
    whole, _, decimals = kilo.partition(".")
    return int(whole) * 1_000_000 + int(decimals.ljust(6, "0"))


def _rows(name: str) -> Iterable[dict[str, str]]:
    return csv.DictReader(io.StringIO(gzip.decompress((DATA / name).read_bytes()).decode("ascii")))
