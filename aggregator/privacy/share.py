"""What a resident's home was matched with, worked out again from its own readings and the public totals alone. Pure.

    share = own demand × matched / demand

Settlement gives whole watt-hours by largest remainder, which depends on everybody else's: so the share of one
interval is known to lie between two whole numbers next to each other.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from aggregator.privacy.public import PublicTotal
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.units import INTERVAL_S

HEADER = ["time_s", "import_wh", "export_wh"]


@dataclass(frozen=True, slots=True)
class Share:
    """One interval. `own_wh`: import − export of the home, 0 at least; None: the public totals do not have it."""

    start_s: int
    own_wh: int
    least_wh: int | None
    most_wh: int | None


def shares(registers_wh: Mapping[int, tuple[int, int]], totals: Iterable[PublicTotal]) -> Iterator[Share]:
    """Of each interval with a reading at both ends. `registers_wh`: import and export by time."""
    public = {row.start_s: row for row in totals}
    for start_s, end_s in pairwise(sorted(registers_wh)):
        if end_s - start_s != INTERVAL_S:
            continue
        (import_before, export_before), (import_after, export_after) = registers_wh[start_s], registers_wh[end_s]
        own_wh = max(0, import_after - import_before - (export_after - export_before))
        total = public.get(start_s)
        if own_wh == 0:
            yield Share(start_s, 0, 0, 0)
        elif total is None or not total.demand_wh or total.matched_wh is None:
            yield Share(start_s, own_wh, None, None)
        else:
            whole, rest = divmod(own_wh * total.matched_wh, total.demand_wh)
            yield Share(start_s, own_wh, whole, whole + (rest > 0))


def read_registers(text: str, *, where: object) -> dict[int, tuple[int, int]]:
    """Registers at quarters of an hour from CSV (HEADER; times are Unix seconds); UserError names the line."""
    try:
        header, *rows = csv.reader(io.StringIO(text))
    except (ValueError, csv.Error) as error:
        raise UserError(_("cannot be read: {error}").format(error=error), where=where) from error
    if header != HEADER:
        raise UserError(
            _("the first line is not {header}").format(header=",".join(HEADER)),
            where=where,
            to_do=_("mend that line"),
        )
    found: dict[int, tuple[int, int]] = {}
    for number, row in enumerate(rows, 2):
        try:
            time_s, import_wh, export_wh = map(int, row)
        except ValueError as error:
            raise UserError(
                _("line {number} is not three whole numbers").format(number=number),
                where=where,
                to_do=_("mend that line"),
            ) from error
        if time_s % INTERVAL_S == 0:
            found[time_s] = (import_wh, export_wh)
    return found
