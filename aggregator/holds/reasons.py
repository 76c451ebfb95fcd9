"""Why a span waits, in words that a steward can act on, with the figures that it was held against."""

from dataclasses import fields
from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa

from aggregator import schema
from aggregator.holds.waiting import Waiting
from aggregator.plausibility import clearsky, site
from aggregator.plausibility.declared import Declared
from aggregator.reading import reading
from commonwatt.i18n import _
from commonwatt.refusal import Hold
from commonwatt.units import INTERVAL_S, format_kwh

_SKY = (Hold.NIGHT, Hold.ABOVE_CLEAR_SKY)


def explain(directory: Path, span: Waiting, *, database_url: str = "") -> list[str]:
    """Sentences: what was found, what it was held against, what usually explains it."""
    lines = [why(span.reason)]
    if span.reason in _SKY or span.reason is Hold.ABOVE_CONTRACT:
        declared, version = _declared(directory, span, database_url)
        lines.append(_sky(declared, span, version) if span.reason in _SKY else _contract(declared))
    return [*lines, _USUALLY[span.reason.label]()]


def why(reason: Hold) -> str:
    """What was found, in a sentence."""
    return _WHY[reason.label]()


def most_wh(declared: Declared, start_s: int, end_s: int) -> list[int]:
    """What declared modules make at most under the clearest sky, by interval."""
    found = []
    for at in range(start_s, end_s, INTERVAL_S):
        day_s = at - at % clearsky.DAY_S
        found.append(int(_limits(declared, day_s).ceiling_wh[0, (at - day_s) // INTERVAL_S]))
    return found


@lru_cache(maxsize=8)
def _limits(declared: Declared, day_s: int) -> clearsky.Limits:
    return clearsky.limits([declared], day_s)


def sky_of(directory: Path, span: Waiting, *, database_url: str = "") -> Declared | None:
    """What was declared of the modules that a span is of; None: too little to know their sky."""
    if span.reason not in _SKY:
        return None
    return _declared(directory, span, database_url)[0]


def _sky(declared: Declared, span: Waiting, version: str) -> str:
    return _(
        "Measured {energy}; {installed} W of modules at {latitude}, {longitude} make at most {most} in this time"
        " (clear sky of pvlib {version}; this computation: pvlib {now})."
    ).format(
        energy=format_kwh(span.energy_wh),
        installed=declared.installed_wp,
        latitude=declared.latitude,
        longitude=declared.longitude,
        most=format_kwh(sum(most_wh(declared, span.start_s, span.end_s))),
        version=version,
        now=clearsky.version(),
    )


def _contract(declared: Declared) -> str:
    assert declared.contracted_va is not None
    return _("A contract of {contracted} VA lets at most {most} through in a quarter of an hour.").format(
        contracted=declared.contracted_va, most=format_kwh(site.import_wh_max(declared.contracted_va, 1))
    )


def _declared(directory: Path, span: Waiting, database_url: str) -> tuple[Declared, str]:
    """What counted for the window that held it."""
    declared = schema.declared.c
    names = [field.name for field in fields(Declared)]
    counted = sa.select(*(declared[name] for name in names), declared.pvlib).where(
        declared.site == span.site_id, declared.from_s < span.since_s
    )
    with reading(directory, database_url) as connection:
        *values, version = connection.execute(counted.order_by(declared.from_s.desc()).limit(1)).one()
    return Declared(*values), version or ""


_WHY = {
    "backwards": lambda: _("A register is smaller at the end than at the beginning."),
    "future": lambda: _("The reading is dated after the time at which it came."),
    "above-rating": lambda: _("More energy than the device's rated power carries in this time."),
    "frozen": lambda: _("The device signed two different histories."),
    "stuck": lambda: _("The same energy in every quarter of an hour for two hours or more."),
    "copied": lambda: _("Six hours or more repeat an earlier day to the watt-hour."),
    "plugs-exceed": lambda: _("The home's plugs used more than the home did."),
    "night": lambda: _("Solar modules produced while the sun was far below the horizon."),
    "above-clear-sky": lambda: _("More than the declared modules make under the clearest sky."),
    "above-contract": lambda: _("The home drew more than its contract lets through."),
    "export-exceeds": lambda: _("The home fed in more than it made and stored."),
    "replaced": lambda: _("The meter's register was replaced; what was used between the two is not measured."),
    "twin": lambda: _("A meter of another home measured the same for six hours, to the watt-hour."),
}

_USUALLY = {
    "backwards": lambda: _("Often: a meter was exchanged, or its reader was set up again."),
    "future": lambda: _("Often: the clock of a device or a gateway is ahead."),
    "above-rating": lambda: _("Often: a wrong pulse constant, or a rated power that was declared too low."),
    "frozen": lambda: _("Often: a device was put back from a copy; otherwise its key is in other hands."),
    "stuck": lambda: _("Often: the reader stands still while the meter goes on."),
    "copied": lambda: _("Often: a logger filled a gap with an earlier day."),
    "plugs-exceed": lambda: _("Often: a plug was carried to another home, or the main meter misses a phase."),
    "night": lambda: _("Often: a clock is hours off, or there is a battery that nobody declared."),
    "above-clear-sky": lambda: _("Often: modules were added that nobody declared."),
    "above-contract": lambda: _("Often: the contract was raised and nobody said so."),
    "export-exceeds": lambda: _("Often: a generator without a meter, or a battery larger than declared."),
    "replaced": lambda: _("Release it with what the old meter's display showed last."),
    "twin": lambda: _("Often: one meter was admitted twice, under two homes."),
}
