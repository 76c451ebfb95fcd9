"""Charts as SVG, drawn on the server: no script, colours from the stylesheet, every mark with its words.

A chart is read three ways: as a picture, by its <title> under a pointer or in a screen reader, and as the table that
the page shows beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT, FOOT, HEAD = 720, 300, 34, 14
"""Units of the drawing, which scales with the page; `FOOT` and `HEAD`: room for words below and above."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its parts from the bottom up as (class, amount), the word below it, and what a reader is told.
    `is_gap`: nothing is known of it, which is not the same as nothing."""

    parts: Sequence[tuple[str, int]]
    label: str
    words: str
    is_gap: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a class of the stylesheet and amounts at equal steps; None where nothing is told."""

    kind: str
    amounts: Sequence[int | None]


def bars(rows: Sequence[Bar], *, title: str, top: str = "") -> Markup:
    """Stacked bars from zero; the tallest fills the drawing. `top`: what the tallest amounts to, in words."""
    tallest = max((sum(amount for _kind, amount in row.parts) for row in rows), default=0) or 1
    step = WIDTH / max(len(rows), 1)
    marks = []
    for number, row in enumerate(rows):
        bottom, left, wide = float(HEIGHT - FOOT), number * step + step * 0.14, step * 0.72
        if row.is_gap:
            marks.append(
                f'<rect class="gap" x="{left:.1f}" y="{HEAD}" width="{wide:.1f}" height="{HEIGHT - FOOT - HEAD}">'
                f"<title>{escape(row.words)}</title></rect>"
            )
        for kind, amount in row.parts:
            if amount <= 0:
                continue
            height = amount * (HEIGHT - FOOT - HEAD) / tallest
            bottom -= height
            marks.append(
                f'<rect class="{escape(kind)}" x="{left:.1f}" y="{bottom:.1f}" '
                f'width="{wide:.1f}" height="{height:.1f}"><title>{escape(row.words)}</title></rect>'
            )
        middle = number * step + step / 2
        if row.label:
            marks.append(f'<text x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(row.label)}</text>')
    if top:
        marks.append(f'<path class="axis" d="M0 {HEAD} H{WIDTH}"/>')
        marks.append(f'<text class="top" x="{WIDTH - 4}" y="{HEAD + 22}" text-anchor="end">{escape(top)}</text>')
    return _svg(marks, title)


def lines(rows: Sequence[Line], labels: Sequence[tuple[int, str]], *, title: str) -> Markup:
    """Lines over equal steps from zero, filled below; broken where nothing is told. `labels`: at which step what."""
    count = max((len(row.amounts) for row in rows), default=0)
    highest = max((amount for row in rows for amount in row.amounts if amount is not None), default=0) or 1
    marks = []
    for row in rows:
        for start, amounts in _stretches(row.amounts):
            points = [
                (_across(start + at, count), HEIGHT - FOOT - amount * (HEIGHT - FOOT - HEAD) / highest)
                for at, amount in enumerate(amounts)
            ]
            path = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            ground = f"L{points[-1][0]:.1f} {HEIGHT - FOOT} L{points[0][0]:.1f} {HEIGHT - FOOT} Z"
            marks.append(f'<path class="{escape(row.kind)} under" d="M{path} {ground}"/>')
            marks.append(f'<path class="{escape(row.kind)} over" d="M{path}"/>')
    marks += [
        f'<text x="{_across(at, count):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>'
        for at, label in labels
    ]
    return _svg(marks, title)


def _stretches(amounts: Sequence[int | None]) -> list[tuple[int, list[int]]]:
    """Neighbours that are told, and where each stretch begins."""
    found: list[tuple[int, list[int]]] = []
    is_open = False
    for at, amount in enumerate(amounts):
        if amount is None:
            is_open = False
            continue
        if not is_open:
            found.append((at, []))
        found[-1][1].append(amount)
        is_open = True
    return found


def _across(at: int, count: int) -> float:
    return at * WIDTH / max(count - 1, 1)


def _svg(marks: Sequence[str], title: str) -> Markup:
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
    ground = f'<path class="axis" d="M0 {HEIGHT - FOOT} H{WIDTH}"/>'
    return Markup(head + "".join(marks) + ground + "</svg>")  # noqa: S704 every word above was escaped
