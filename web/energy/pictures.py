"""The charts and tables of a home's energy, with their words."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from commonwatt.i18n import _
from web import chart
from web.chart import Bar
from web.energy.slices import Slice, Sums
from web.energy.spans import Kind
from web.looks import Words


def used(slices: Sequence[Slice], kind: Kind, words: Words) -> Markup:
    """Where what was used came from."""
    rows = [
        Bar(
            (("own", sums.own_wh), ("matched", sums.neighbours_wh), ("outside", sums.outside_wh)),
            label,
            _("{when}: nothing was measured").format(when=when)
            if sums.is_gap
            else _("{when}: used {used}; own roof {own}, neighbours {neighbours}, outside {outside}").format(
                when=when,
                used=words.energy(sums.used_wh),
                own=words.energy(sums.own_wh),
                neighbours=words.energy(sums.neighbours_wh),
                outside=words.energy(sums.outside_wh),
            ),
            sums.is_gap,
        )
        for label, when, sums in _rows(slices, kind, words)
    ]
    tallest = max((row.sums.used_wh for row in slices), default=0)
    return chart.bars(rows, title=_("What you used, and where it came from"), top=_top(tallest, words))


def made(slices: Sequence[Slice], kind: Kind, words: Words) -> Markup:
    """Where what was made went to."""
    rows = [
        Bar(
            (("own", sums.kept_wh), ("matched", sums.given_wh), ("outside", sums.away_wh)),
            label,
            _("{when}: nothing was measured").format(when=when)
            if sums.is_gap
            else _("{when}: made {made}; used at home {own}, given to neighbours {given}, further {away}").format(
                when=when,
                made=words.energy(sums.made_wh),
                own=words.energy(sums.kept_wh),
                given=words.energy(sums.given_wh),
                away=words.energy(sums.away_wh),
            ),
            sums.is_gap,
        )
        for label, when, sums in _rows(slices, kind, words)
    ]
    tallest = max((row.sums.kept_wh + row.sums.given_wh + row.sums.away_wh for row in slices), default=0)
    return chart.bars(rows, title=_("What your roof made, and where it went"), top=_top(tallest, words))


def earned(slices: Sequence[Slice], kind: Kind, words: Words) -> Markup:
    """Credits by what they were earned with."""
    rows = [
        Bar(
            tuple((name, max(0, amount)) for name, amount in _sources(sums)),
            label,
            _("{when}: {amount} credits").format(when=when, amount=words.credits(sums.earned_mc)),
        )
        for label, when, sums in _rows(slices, kind, words)
    ]
    tallest = max((row.sums.earned_mc for row in slices), default=0)
    top = _("{amount} credits").format(amount=words.credits(tallest)) if tallest > 0 else ""
    return chart.bars(rows, title=_("Credits you earned"), top=top)


def _sources(sums: Sums) -> tuple[tuple[str, int], ...]:
    return ("own", sums.production_mc), ("matched", sums.matched_mc), ("demand-fill", sums.other_mc)


def table(slices: Sequence[Slice], kind: Kind, words: Words) -> list[dict[str, Any]]:
    """The same in rows."""
    return [
        {"when": when, "sums": sums, "span": row.span}
        for row, (_label, when, sums) in zip(slices, _rows(slices, kind, words), strict=True)
    ]


def _rows(slices: Sequence[Slice], kind: Kind, words: Words) -> list[tuple[str, str, Sums]]:
    """Below each bar, in each sentence: labels as many as a phone has room for."""
    found = []
    for row in slices:
        begins = row.begins
        match kind:
            case Kind.DAY:
                label = words.hour(begins) if begins.hour % 6 == 0 and begins.hour else ""
                when = words.hour(begins)
            case Kind.WEEK:
                label, when = words.weekday(begins.date()), words.day(begins.date())
            case Kind.MONTH:
                label, when = str(begins.day) if begins.day % 7 == 1 else "", words.day(begins.date())
            case Kind.YEAR:
                label, when = words.month_letter(begins.date()), words.month_of(begins.date())
        found.append((label, when, row.sums))
    return found


def _top(tallest_wh: int, words: Words) -> str:
    return words.energy(tallest_wh) if tallest_wh > 0 else ""
