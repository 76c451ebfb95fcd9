"""Figures in words and lines, for people."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from aggregator.impact.figures import Comparison, Figure
from aggregator.impact.of_home import Impact
from commonwatt.i18n import _
from commonwatt.units import format_kwh


def names() -> dict[str, str]:
    """What each figure is called."""
    return {
        "consumption": _("used"),
        "import": _("drawn from the grid"),
        "export": _("fed into the grid"),
        "production": _("produced"),
        "local": _("produced here and used here"),
        "self_consumption": _("self-consumption: of what was produced, used here"),
        "self_sufficiency": _("self-sufficiency: of what was used, produced here"),
        "peak_import": _("highest quarter hour drawn"),
        "peak_export": _("highest quarter hour fed in"),
        "co2_avoided": _("CO2 of the grid that production replaces"),
        "co2_imported": _("CO2 of what was drawn"),
    }


def reasons() -> dict[str, str]:
    """Why something is not told."""
    return {
        "not-measured-enough": _("too little was measured"),
        "size-unknown": _("the home has not been measured for a week yet"),
        "too-few-sites": _("fewer than ten homes"),
        "not-settled": _("not every interval of it has closed"),
        "not-recorded": _("not recorded"),
        "dominated": _("one home makes up too much of it"),
        "differs-by-few": _("together with earlier answers it would tell of a few homes"),
    }


def lines(impact: Impact, title: str) -> Iterator[str]:
    """A page: figures, comparisons below each, then factors, sources and span."""
    zone, words = impact.period.zone, names()
    yield _("{title}, {first} to {last} (days in {zone})").format(
        title=title, first=impact.period.first, last=impact.period.last, zone=zone.key
    )
    for figure in impact.figures:
        at = "" if figure.at_s is None else f"  ({datetime.fromtimestamp(figure.at_s, zone):%Y-%m-%d %H:%M})"
        yield f"  {words[figure.name]:<54} {value(figure.value, figure.unit):>14}{at}"
        yield from (f"      {text}" for text in _beside(figure, impact.comparisons, zone))
        if figure.factor_ug_per_wh is not None:
            yield f"      {_factor(figure)}"
    if not impact.figures:
        yield "  " + _("nothing was measured in this time")
    yield from _sources(impact.figures)


def value(number: int, unit: str) -> str:
    """A figure with its unit, as people read it."""
    if unit == "Wh":
        return format_kwh(number)
    if unit == "permille":
        return f"{number / 10:.1f} %"
    return f"{number / 1000:.3f} {'kW' if unit == 'W' else 'kg'}"


def change(permille: int | None) -> str:
    """How much more or less."""
    return "" if permille is None else f"{permille / 10:+.1f} %".replace("-", "−")


def _beside(figure: Figure, comparisons: Sequence[Comparison], zone: ZoneInfo) -> Iterator[str]:
    for row in comparisons:
        if row.name != figure.name:
            continue
        day = f"{datetime.fromtimestamp(row.start_s, zone):%Y-%m-%d}"
        what = {
            "before": _("the time before (from {day})").format(day=day),
            "year_before": _("a year before (from {day})").format(day=day),
            "similar": _("{homes} similar homes").format(homes=row.homes or ""),
        }[row.with_].strip()
        if row.value is None:
            yield f"{what}: {reasons()[row.why_not or '']}"
        else:
            yield f"{what}: {value(row.value, row.unit)}  {change(row.change_permille)}".rstrip()


def _factor(figure: Figure) -> str:
    scopes = {"direct": _("direct emissions"), "life-cycle": _("life cycle")}
    scope = " + ".join(scopes[name] for name in (figure.scope or "").split("+") if name in scopes)
    return _("factor {factor} g/kWh ({scope}), for {part} % of the energy that of its own hour").format(
        factor=f"{(figure.factor_ug_per_wh or 0) / 1000:.1f}", scope=scope, part=(figure.hourly_permille or 0) / 10
    )


def _sources(figures: Sequence[Figure]) -> Iterator[str]:
    least = min((figure.known_permille for figure in figures), default=1000)
    if least < 1000:
        yield _("Measured: {part} % of the time; the rest is in no figure.").format(part=least / 10)
    for source in sorted({part for figure in figures for part in figure.source.split("; ")}):
        yield _("Source: {source}").format(source=source)
    if any(figure.name == "co2_avoided" for figure in figures):
        yield _("What making the modules cost the climate is not deducted.")
