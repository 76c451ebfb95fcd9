"""The days around a held span as a picture: what the meter measured, what the sky allows, what meters like it did."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from markupsafe import Markup, escape

from aggregator.earning.local_time import day_of, days_from, start_of
from aggregator.holds.waiting import Waiting
from aggregator.settling import history
from commonwatt.i18n import _
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.units import INTERVAL_S
from ledger.book.admissions import DeviceAccount
from web.looks import Words

WIDTH, HEIGHT, FOOT, HEAD = 720, 270, 34, 34
"""Units of the drawing; `FOOT`, `HEAD`: room for words below and above."""
DAYS_MAX = 3
"""A longer span is shown as far as three days: a bar is then two units wide."""
OTHERS_MAX = 200
"""So many meters like it say well enough what was usual."""


@dataclass(frozen=True, slots=True)
class Around:
    """By quarter of an hour from `start_s`, whole Wh; None: unknown. `usual_wh`: the mean of meters like it, empty if
    there are none; `most_wh`: the clearest sky above what was declared, empty where nothing was."""

    start_s: int
    own_wh: Sequence[int | None]
    usual_wh: Sequence[int | None]
    most_wh: Sequence[int]
    others: int

    def is_held(self, at: int, span: Waiting) -> bool:
        """Whether a quarter is part of the span."""
        return span.start_s <= self.start_s + at * INTERVAL_S < span.end_s


def days_of(span: Waiting, zone: ZoneInfo) -> tuple[int, int]:
    """The local days that a span touches, in Unix seconds."""
    first = day_of(span.start_s, zone)
    count = min((day_of(span.end_s - 1, zone) - first).days + 1, DAYS_MAX)
    days = days_from(first, count + 1)
    return start_of(first, zone), start_of(days[-1], zone)


def read(
    connection: sa.Connection,
    span: Waiting,
    devices: Iterable[DeviceAccount],
    days_s: tuple[int, int],
    most_wh: Sequence[int],
) -> Around:
    """What was measured in these days by the meter and by active ones of its role at other sites."""
    everybody = list(devices)
    own = next(row for row in everybody if row.device == span.device)
    others = [row.device for row in everybody if row.role is own.role and row.site != own.site][:OTHERS_MAX]
    quantity, own_wh = _own(connection, span, days_s)
    rows = history.growth(connection, others, quantity, *days_s) if others else np.empty((0, len(own_wh)), np.int64)
    known = rows != history.UNKNOWN
    counts = known.sum(axis=0)
    sums = np.where(known, rows, 0).sum(axis=0)
    usual = [int(total) // int(count) if count else None for total, count in zip(sums, counts, strict=True)]
    return Around(days_s[0], own_wh, usual, most_wh, int(known.any(axis=1).sum()))


def _own(connection: sa.Connection, span: Waiting, days_s: tuple[int, int]) -> tuple[int, list[int | None]]:
    """What the meter measured by the register that the span is of: whose growth comes nearest to the energy held."""
    found = {}
    for quantity in (IMPORT.number, EXPORT.number):
        (row,) = history.growth(connection, [span.device], quantity, *days_s)
        first, end = (max(0, (at - days_s[0]) // INTERVAL_S) for at in (span.start_s, span.end_s))
        held = row[first:end]
        grown_wh = int(held[held != history.UNKNOWN].sum())
        is_empty = bool((row == history.UNKNOWN).all())
        found[quantity] = is_empty, abs(grown_wh - span.energy_wh), row
    quantity = min(found, key=lambda number: found[number][:2])
    return quantity, [None if wh == history.UNKNOWN else int(wh) for wh in found[quantity][2].tolist()]


def draw(around: Around, span: Waiting, words: Words, zone: ZoneInfo) -> Markup:
    """Bars of the meter, those that wait in the colour of alarm; lines of the sky and of meters like it."""
    count = len(around.own_wh)
    known = [wh for row in (around.own_wh, around.usual_wh, around.most_wh) for wh in row if wh is not None]
    highest = max([1, *known])
    step, room = WIDTH / count, HEIGHT - FOOT - HEAD
    marks = []
    for at, wh in enumerate(around.own_wh):
        if wh:
            tall = max(0, wh) * room / highest
            kind = "suspect" if around.is_held(at, span) else "usual"
            said = f"{words.clock(around.start_s + at * INTERVAL_S)}: {words.kwh(wh)}"
            marks.append(
                f'<rect class="{kind}" x="{at * step:.1f}" y="{HEIGHT - FOOT - tall:.1f}" width="{step * 0.86:.1f}" '
                f'height="{tall:.1f}"><title>{escape(said)}</title></rect>'
            )
    for kind, row in (("sky", around.most_wh), ("others", around.usual_wh)):
        marks += _line(kind, row, step, room / highest)
    for at in range(0, count, 24):
        local = datetime.fromtimestamp(around.start_s + at * INTERVAL_S, zone)
        if at:
            marks.append(f'<text x="{at * step:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{local:%H:%M}</text>')
    most = _("{energy} in a quarter of an hour").format(energy=words.kwh(highest))
    title = _("What the meter measured around the time that waits")
    return Markup(  # noqa: S704 every word in it was escaped
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'<path class="axis" d="M0 {HEAD} H{WIDTH} M0 {HEIGHT - FOOT} H{WIDTH}"/>{"".join(marks)}'
        f'<text x="0" y="{HEAD - 8}">{escape(most)}</text></svg>'
    )


def _line(kind: str, row: Sequence[int | None], step: float, scale: float) -> list[str]:
    points: list[str] = []
    paths = []
    for at, wh in enumerate([*row, None]):
        if wh is None:
            if points:
                paths.append(f'<path class="{kind} over" d="M{" L".join(points)}"/>')
            points = []
        else:
            points.append(f"{(at + 0.5) * step:.1f} {HEIGHT - FOOT - wh * scale:.1f}")
    return paths
