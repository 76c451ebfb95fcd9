"""Figures as they are told: each with its unit, its span, where it comes from and the factor in it. Pure."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from aggregator.impact.balance import Balance
from aggregator.impact.carbon import Emitted, Factors, emitted

MEASURED = "signed readings of the site's meters"
TOTALS = "totals of sites, by the privacy rule"
ONE_KNOWN_PERMILLE_MIN = 900
"""Two spans are compared if this much of both was measured."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of `[start_s, end_s)`. `value`: whole `unit`s; `at_s`: when it was so, of a peak; `known_permille`:
    how much of the span was measured. Of CO2 alone: `factor_ug_per_wh` as used on the whole (milligrams per kWh),
    `scope` of it, and `hourly_permille`: how much of the energy had a factor of its own hour."""

    name: str
    value: int
    unit: str
    start_s: int
    end_s: int
    source: str
    known_permille: int
    at_s: int | None = None
    factor_ug_per_wh: int | None = None
    scope: str | None = None
    hourly_permille: int | None = None

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def of_balance(balance: Balance, factors: Factors, span_s: tuple[int, int], source: str) -> Iterator[Figure]:
    """Every figure of a span, in the order in which they are shown; those that nothing is known of are left out."""

    def figure(name: str, value: int, unit: str, **more: Any) -> Figure:
        basis = more.pop("source", source)
        return Figure(name, value, unit, *span_s, basis, balance.known_permille, **more)

    if not balance.known.any():
        return
    for name in ("consumption", "import", "export", "production"):
        yield figure(name, int(getattr(balance, f"{name}_wh").sum()), "Wh")
    yield figure("local", int(balance.local_wh.sum()), "Wh")
    for name in ("self_consumption", "self_sufficiency"):
        if (permille := getattr(balance, f"{name}_permille")) is not None:
            yield figure(name, permille, "permille")
    for name, energies_wh in (("peak_import", balance.import_wh), ("peak_export", balance.export_wh)):
        if (peak := balance.peak(energies_wh)) is not None:
            yield figure(name, peak[0], "W", at_s=peak[1])
    for name, energies_wh in (("co2_avoided", balance.production_wh), ("co2_imported", balance.import_wh)):
        carbon = emitted(energies_wh, balance.starts_s, factors)
        yield figure(name, carbon.grams, "g", source=f"{source}; {carbon.basis}", **factor_of(carbon))


def factor_of(carbon: Emitted) -> dict[str, Any]:
    """The fields of a figure that say which factor is in it."""
    mean, factors = carbon.mean_ug_per_wh, carbon.factors
    scopes = [factors.hourly.scope] if carbon.hourly_wh else []
    if carbon.hourly_wh < carbon.energy_wh or not scopes:
        scopes.append(factors.average.scope)
    return {
        "factor_ug_per_wh": factors.average.ug_per_wh if mean is None else mean,
        "scope": "+".join(scopes),
        "hourly_permille": carbon.hourly_permille,
    }


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure beside the same one of another span, or of other homes. `with_`: "before", "year_before", "similar";
    `value`: None if it cannot be told, `why_not` says why; `homes`: how many stand behind it."""

    name: str
    with_: str
    start_s: int
    end_s: int
    value: int | None
    unit: str
    change_permille: int | None = None
    why_not: str | None = None
    homes: int | None = None

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        row = {key: value for key, value in asdict(self).items() if value is not None}
        return {"with": row.pop("with_"), **row}


def compare(now: Figure, then: Figure | None, with_: str, span_s: tuple[int, int]) -> Comparison:
    """A figure and the same one of another span."""
    if then is None or min(now.known_permille, then.known_permille) < ONE_KNOWN_PERMILLE_MIN:
        return Comparison(now.name, with_, *span_s, None, now.unit, why_not="not-measured-enough")
    return Comparison(now.name, with_, *span_s, then.value, now.unit, change_permille(now.value, then.value))


def change_permille(now: int, then: int) -> int | None:
    """How much more now is than then; None from nothing."""
    return (2000 * (now - then) + then) // (2 * then) if then > 0 else None
