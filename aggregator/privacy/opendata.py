"""Open data: the public totals as CSV, a file a month, beside a Data Package (datapackage.json) that describes them.

    start,sites,supply_wh,demand_wh,matched_wh,unallocated_wh,ratio,withheld
    2026-07-01T10:00:00Z,38,8120,9310,8120,0,0.872180,
    2026-07-01T04:15:00Z,38,,4310,,,,dominated

https://specs.frictionlessdata.io/data-package/. The same intervals give the same bytes.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from aggregator.privacy.public import PublicTotal
from aggregator.privacy.rule import Withheld
from commonwatt import files
from commonwatt.errors import StorageError, UserError
from commonwatt.i18n import _

MANIFEST = "datapackage.json"
LICENCES = {
    "etalab-2.0": "https://www.etalab.gouv.fr/licence-ouverte-open-licence/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "ODbL-1.0": "https://opendatacommons.org/licenses/odbl/1-0/",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
}
COLUMNS = {
    "start": ("datetime", "beginning of the 15 minutes, UTC"),
    "sites": ("integer", "homes behind the line: those whose main meter was settled on time"),
    "supply_wh": ("integer", "Wh that homes gave to the grid, each home's use taken off"),
    "demand_wh": ("integer", "Wh that homes took from the grid, each home's own production taken off"),
    "matched_wh": ("integer", "Wh of demand that local supply covered"),
    "unallocated_wh": ("integer", "Wh of supply that no home on time took"),
    "ratio": ("number", "matched_wh / demand_wh: a home's share is its own demand times this"),
    "withheld": ("string", "why what is missing is not told"),
}


def write(out: Path, totals: Iterable[PublicTotal], *, commune: str, title: str, licence: str) -> list[Path]:
    """Write whole files, each at once or not at all; the paths, the manifest last. UserError for the licence."""
    if licence not in LICENCES:
        raise UserError(_("{name!r} is no licence known here").format(name=licence), to_do=", ".join(LICENCES))
    written = []
    resources = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for month, rows in groupby(totals, key=lambda row: _utc(row.start_s).strftime("%Y-%m")):
            data = csv_of(rows)
            path = out / f"energy-15min-{month}.csv"
            files.replace(path, data)
            written.append(path)
            resources.append(_resource(path.name, data))
        manifest = {
            "profile": "tabular-data-package",
            "name": f"{commune}-energy",
            "title": title,
            "licenses": [{"name": licence, "path": LICENCES[licence]}],
            "resources": resources,
        }
        files.replace(out / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False).encode() + b"\n")
    except OSError as error:
        raise StorageError(f"cannot be written: {error.strerror}", where=out, to_do="make room") from error
    return [*written, out / MANIFEST]


def read(directory: Path) -> Iterator[PublicTotal]:
    """The totals of a directory that `write` filled; UserError if a file is not the one of the manifest."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        resources = [(str(row["path"]), str(row["hash"])) for row in manifest["resources"]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise UserError(
            _("this is no open data of a commune"), where=directory / MANIFEST, to_do=_("name its directory")
        ) from error
    for name, digest in resources:
        path = directory / Path(name).name
        try:
            data = path.read_bytes()
            if f"sha256:{sha256(data).hexdigest()}" != digest:
                raise ValueError(_("it is not the file that the manifest names"))
            yield from parse_totals(data)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, csv.Error) as error:
            raise UserError(str(error), where=path, to_do=_("fetch the open data anew")) from error


def parse_totals(data: bytes) -> Iterator[PublicTotal]:
    """The totals of one file of them. ValueError, KeyError, TypeError, AttributeError, OverflowError or csv.Error."""
    yield from map(_total, csv.DictReader(io.StringIO(data.decode())))


def csv_of(rows: Iterable[PublicTotal]) -> bytes:
    """One file: a line for each interval, below the names of `COLUMNS`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(_line, rows))
    return text.getvalue().encode()


def _line(row: PublicTotal) -> Sequence[object]:
    matched_wh, demand_wh = row.matched_wh, row.demand_wh
    ratio = f"{matched_wh / demand_wh:.6f}" if matched_wh is not None and demand_wh else ""
    reasons = " ".join(dict.fromkeys(reason.value for reason in row.withheld))
    figures = (row.supply_wh, row.demand_wh, row.matched_wh, row.unallocated_wh)
    return (_utc(row.start_s).strftime("%Y-%m-%dT%H:%M:%SZ"), row.sites, *figures, ratio, reasons)


def _total(line: dict[str, str]) -> PublicTotal:
    start_s = int(datetime.fromisoformat(line["start"]).timestamp())
    supply, demand, matched, unallocated = (
        int(line[name]) if line[name] else None for name in ("supply_wh", "demand_wh", "matched_wh", "unallocated_wh")
    )
    reasons = tuple(map(Withheld, line["withheld"].split()))
    return PublicTotal(start_s, int(line["sites"]), supply, demand, matched, unallocated, reasons)


def _resource(name: str, data: bytes) -> dict[str, object]:
    return {
        "name": Path(name).stem,
        "path": name,
        "profile": "tabular-data-resource",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": len(data),
        "hash": f"sha256:{sha256(data).hexdigest()}",
        "schema": {
            "fields": [
                {"name": column, "type": kind, "description": text} for column, (kind, text) in COLUMNS.items()
            ],
            "primaryKey": "start",
        },
    }


def _utc(time_s: int) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)
