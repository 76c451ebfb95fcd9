"""Reads a weather station's file: daily means in tenths of a degree, by local days. Two forms are understood.

    numer_sta,date,t          three-hourly SYNOP as Météo-France publishes it: UTC, kelvin, "mq": not known
    07299,20181029000000,280.35

    day,mean_c                a day's mean from anywhere else, in degrees Celsius
    2018-10-29,7.2

Separated by commas or semicolons; further columns are passed over; gzip is unpacked.
"""

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

from commonwatt.errors import UserError
from commonwatt.i18n import _

ZERO_C = Decimal("273.15")
READINGS_MIN = 6
"""Of the eight three-hourly readings of a day: with fewer the mean says more about which are missing than about the
day."""
COLDEST_C, WARMEST_C = Decimal(-90), Decimal(60)
UNKNOWN = ("", "mq")
FILE_SIZE_MAX = 64 * 2**20

Row = tuple[str, Mapping[str, str]]
"""Where it stands, and its fields by column."""


def read(path: Path, station: str, zone: ZoneInfo) -> dict[date, int]:
    """Mean temperature of each local day of a station in tenths of a degree. UserError names a mistake's line, or
    says that the station is not in the file."""
    rows = list(_rows(path))
    columns = set(rows[0][1]) if rows else set()
    if {"numer_sta", "date", "t"} <= columns:
        found = _of_readings(rows, station, zone)
    elif {"day", "mean_c"} <= columns:
        found = _of_days(rows)
    else:
        raise UserError(
            _("the first line names neither numer_sta, date and t nor day and mean_c, or no line follows"),
            where=path,
            to_do=_("see docs/savings.md for what a station's file looks like"),
        )
    if not found:
        raise UserError(
            _("nothing is known of station {station!r} here").format(station=station),
            where=path,
            to_do=_("write its number or name as in the file"),
        )
    return found


def _rows(path: Path) -> Iterator[Row]:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            with gzip.open(path) as packed:
                data = packed.read(FILE_SIZE_MAX + 1)
        lines = data.decode("utf-8-sig").splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(_("cannot be read: {error}").format(error=error), where=path) from error
    if len(data) > FILE_SIZE_MAX:
        raise UserError(
            _("has more than {size} MiB").format(size=FILE_SIZE_MAX // 2**20),
            where=path,
            to_do=_("leave out years or stations that nobody needs"),
        )
    separator = ";" if lines and lines[0].count(";") > lines[0].count(",") else ","
    reader = csv.DictReader(lines, delimiter=separator, restval="", restkey="")
    for row in reader:
        where = f"{path}: {_('line {line}').format(line=reader.line_num)}"
        yield where, {name.strip().lower(): str(value).strip() for name, value in row.items() if name}


def _of_readings(rows: Iterable[Row], station: str, zone: ZoneInfo) -> dict[date, int]:
    readings: dict[date, dict[datetime, Decimal]] = defaultdict(dict)
    wanted = station.strip().lower().lstrip("0")
    for where, row in rows:
        names = (row["numer_sta"].lstrip("0"), row.get("station", "").lower(), row.get("nom", "").lower())
        if wanted not in names or row["t"].lower() in UNKNOWN:
            continue
        try:
            time = datetime.fromisoformat(row["date"]) if "-" in row["date"] else _compact(row["date"])
        except ValueError as error:
            raise UserError(_("{text!r} is no time").format(text=row["date"]), where=where) from error
        time = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        readings[time.astimezone(zone).date()][time] = _celsius(row["t"], where, ZERO_C)
    return {
        day: _tenths(sum(of_day.values(), Decimal(0)) / len(of_day))
        for day, of_day in sorted(readings.items())
        if len(of_day) >= READINGS_MIN
    }


def _of_days(rows: Iterable[Row]) -> dict[date, int]:
    found: dict[date, int] = {}
    for where, row in rows:
        try:
            day = date.fromisoformat(row["day"])
        except ValueError as error:
            raise UserError(_("{text!r} is no day").format(text=row["day"]), where=where) from error
        if row["mean_c"].lower() not in UNKNOWN:
            found[day] = _tenths(_celsius(row["mean_c"], where, Decimal(0)))
    return found


def _compact(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _celsius(text: str, where: str, zero: Decimal) -> Decimal:
    try:
        degrees = Decimal(text.replace(",", ".")) - zero
    except InvalidOperation as error:
        raise UserError(_("{text!r} is no temperature").format(text=text), where=where) from error
    if not COLDEST_C <= degrees <= WARMEST_C:
        raise UserError(
            _("{text} is no temperature of the air").format(text=text),
            where=where,
            to_do=_("SYNOP is in kelvin, mean_c in degrees Celsius"),
        )
    return degrees


def _tenths(degrees: Decimal) -> int:
    return int((degrees * 10).to_integral_value(ROUND_HALF_EVEN))
