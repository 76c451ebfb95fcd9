"""Reads emission factors: the tables beside the code, and files of RTE's eCO2mix that a commune adds."""

import csv
import gzip
import tomllib
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

from aggregator.impact.carbon import HOUR_S, Average, Factors, Hourly
from commonwatt.errors import UserError
from commonwatt.i18n import _

HERE = Path(__file__).parent / "factors"
FOLDER = "eco2mix"
"""Below a commune's directory: CSV files as RTE and ODRÉ export them, .csv or .csv.gz."""

_TIME, _FACTOR = "Date - Heure", "Taux de CO2 (g/kWh)"
_FACTOR_G_MAX = 2000


def read(directory: Path | None = None) -> Factors:
    """Every factor that is known here. UserError says which line of which file cannot be read."""
    facts = tomllib.loads((HERE / "factors.toml").read_text(encoding="utf-8"))
    hourly = dict(_ours())
    for path in sorted((directory / FOLDER).glob("*.csv*")) if directory else ():
        hourly |= parse_eco2mix(path)
    average = max((Average(**row) for row in facts["average"]), key=lambda row: row.year)
    return Factors(Hourly(hourly, **facts["hourly"]), average)


def parse_eco2mix(path: Path) -> dict[int, int]:
    """Mean factor by hour of an export of eCO2mix (quarter or half hours, rows without a factor left out)."""
    try:
        return parse(path.read_bytes(), path)
    except OSError as error:
        raise _unreadable(path, 0, str(error)) from error


def parse(data: bytes, path: Path) -> dict[int, int]:
    """The same from the bytes of the file at `path`."""
    sums: dict[int, list[int]] = defaultdict(list)
    for number, row in _rows(data, path):
        try:
            factor_g, time = (row.get(_FACTOR) or "").strip(), (row.get(_TIME) or "").strip()
            if not factor_g:
                continue
            factor_ug, at = round(float(factor_g) * 1000), datetime.fromisoformat(time)
            at_s = int(at.timestamp())
        except (ValueError, OverflowError) as error:
            raise _unreadable(path, number, str(error)) from error
        if at.tzinfo is None or not 0 <= factor_ug <= 1000 * _FACTOR_G_MAX:
            raise _unreadable(path, number, _("a time without its zone, or a factor that no grid has"))
        sums[at_s - at_s % HOUR_S].append(factor_ug)
    return {hour_s: round(sum(values) / len(values)) for hour_s, values in sums.items()}


@cache
def _ours() -> Mapping[int, int]:
    with (HERE / "eco2mix_2021-12.csv").open(encoding="utf-8") as file:
        return {
            int(datetime.fromisoformat(row["hour_utc"]).timestamp()): int(row["ug_per_wh"])
            for row in csv.DictReader(file)
        }


def _rows(data: bytes, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines by number; the header is line 1."""
    number = 0
    try:
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
        reader = csv.DictReader(text.splitlines(), delimiter=";")
        number = 1
        if not {_TIME, _FACTOR} <= set(reader.fieldnames or ()):
            raise _unreadable(path, 1, _("the columns {names} are missing").format(names=f"{_TIME}, {_FACTOR}"))
        for number, row in enumerate(reader, start=2):
            yield number, row
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, number, str(error)) from error


def _unreadable(path: Path, line: int, why: str) -> UserError:
    return UserError(
        _("line {line} cannot be read: {why}").format(line=line, why=why),
        where=path,
        to_do=_("export eCO2mix again as CSV, or take the file away"),
    )
