"""Answers what a cell made and used, or says why not. The memory of what was told is part of every answer."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from aggregator.privacy import rule
from aggregator.privacy.cells import Cell, Consent
from aggregator.privacy.energies import EXPORT_WH, IMPORT_WH, MATCHED_WH, PRODUCTION_WH, DayOfSites
from aggregator.privacy.memory import Memory, Told
from aggregator.privacy.rule import Withheld
from commonwatt.units import INTERVAL_S

BASES = {
    "import_wh": IMPORT_WH,
    "export_wh": EXPORT_WH,
    "production_wh": PRODUCTION_WH,
    "matched_wh": MATCHED_WH,
}
DERIVED = ("consumption_wh", "self_consumed_wh")
"""Follow from import, export and production, so they are told with all three or not at all."""

STEPS = ("15min", "day", "month")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an answer: what was told of `[start_s, end_s)`, and why not of the rest. `sites`: how many stand
    behind it on its emptiest day; `left_out`: how many of the cell do not, for want of consent or of readings."""

    start_s: int
    end_s: int
    sites: int
    left_out: int
    figures: Mapping[str, int]
    withheld: Mapping[str, Withheld]

    def as_json(self) -> dict[str, object]:
        """As programs read it: figures by name, and reasons by the name of what is withheld."""
        head = {"start_s": self.start_s, "end_s": self.end_s, "sites": self.sites, "left_out": self.left_out}
        return {**head, **self.figures, "withheld": {name: reason.value for name, reason in self.withheld.items()}}


@dataclass(frozen=True, slots=True)
class Counted:
    """A day of a cell. `refused`: why nothing of it is told, whatever the figures."""

    of: DayOfSites
    sites: frozenset[bytes]
    refused: Withheld | None


def count_sites(
    cell: Cell, of: DayOfSites, consents: Mapping[bytes, Consent], memory: Memory, *, is_settled: bool
) -> Counted:
    """Who is counted on a day, and whether that may be told. Whoever was counted in an earlier answer is counted
    again, as long as everything is still there to count."""
    day = of.day
    agreed = {site for site in cell.sites if (row := consents.get(site)) and row.first <= day.date <= row.last}
    sites = frozenset(agreed & of.measured.keys())
    before = memory.of(cell.id, day.start_s, day.end_s)
    if before is not None and before <= of.measured.keys():
        sites = before
    if not is_settled:
        return Counted(of, sites, Withheld.NOT_SETTLED)
    if len(sites) < rule.SITES_MIN:
        return Counted(of, sites, Withheld.TOO_FEW_SITES)
    if None in of.publics:
        return Counted(of, sites, Withheld.NOT_RECORDED)
    return Counted(of, sites, _check_earlier(sites, of, memory.during(day.start_s, day.end_s)))


def rows(cell: Cell, counted: Sequence[Counted], step: str, memory: Memory) -> Iterator[Row]:
    """An answer line by line; what is told is remembered before the next line is worked out."""
    for group in _steps(counted, step):
        row = _row(cell, group, memory)
        if row.figures:
            for day, _slots in group:
                memory.add(Told(cell.id, day.of.day.start_s, day.of.day.end_s, day.sites))
        yield row


_Part = tuple[Counted, slice]
"""Some 15 minutes of a day."""


def _steps(counted: Sequence[Counted], step: str) -> Iterator[list[_Part]]:
    whole = slice(0, None)
    if step == "month":
        for _month, group in groupby(counted, key=lambda row: (row.of.day.date.year, row.of.day.date.month)):
            yield [(row, whole) for row in group]
    elif step == "day":
        yield from ([(row, whole)] for row in counted)
    else:
        for row in counted:
            count = (row.of.day.end_s - row.of.day.start_s) // INTERVAL_S
            yield from ([(row, slice(at, at + 1))] for at in range(count))


def _row(cell: Cell, parts: Sequence[_Part], memory: Memory) -> Row:
    first, last = parts[0], parts[-1]
    start_s = first[0].of.day.start_s + (first[1].start or 0) * INTERVAL_S
    end_s = last[0].of.day.end_s if last[1].stop is None else start_s + INTERVAL_S
    sites = min(len(day.sites) for day, _slots in parts)
    head = (start_s, end_s, sites, len(cell.sites) - sites)
    refused = next((day.refused for day, _slots in parts if day.refused), None)
    if refused is not None:
        return Row(*head, {}, dict.fromkeys((*BASES, *DERIVED), refused))
    energies_wh = _sum_by_site(parts, lambda day: day.sites)
    rests = [_sum_by_site(parts, rest) for rest in _rests(parts, memory)]
    figures: dict[str, int] = {}
    withheld: dict[str, Withheld] = {}
    for name, base in BASES.items():
        reason = next((r for part in (energies_wh, *rests) if (r := rule.check_parts(_column(part, base)))), None)
        if reason is None:
            figures[name] = sum(_column(energies_wh, base))
        else:
            withheld[name] = reason
    supply_or_demand = next((withheld[name] for name in ("import_wh", "export_wh") if name in withheld), None)
    if supply_or_demand is not None and figures.pop("matched_wh", None) is not None:
        # At noon all that is exported is matched: the one would tell the other.
        withheld["matched_wh"] = supply_or_demand
    missing = next((withheld[name] for name in ("import_wh", "export_wh", "production_wh") if name in withheld), None)
    if missing is None:
        figures["self_consumed_wh"] = figures["production_wh"] - figures["export_wh"]
        figures["consumption_wh"] = figures["import_wh"] + figures["self_consumed_wh"]
    else:
        withheld |= dict.fromkeys(DERIVED, missing)
    return Row(*head, figures, withheld)


def _check_earlier(sites: frozenset[bytes], of: DayOfSites, told: Iterable[Told]) -> Withheld | None:
    """Against the public totals of each quarter of an hour together with everything told of it."""
    families = set()
    for slot, public in enumerate(of.publics):
        start_s = of.day.start_s + slot * INTERVAL_S
        earlier = {row.sites for row in told if row.start_s <= start_s < row.end_s}
        if public is not None and len(public) >= rule.SITES_MIN:
            earlier.add(public)
        families.add(frozenset(earlier))
    for family in families:
        if (reason := rule.check_earlier(sites, sorted(family, key=sorted))) is not None:
            return reason
    return None


def _rests(parts: Sequence[_Part], memory: Memory) -> Iterator[Callable[[Counted], frozenset[bytes]]]:
    """What subtracting this answer and an earlier one of a cell around or inside it would leave, by day: it must not
    be one site's for the most part either."""
    if all(_beyond(day) for day, _slots in parts):
        yield _beyond
    span = (parts[0][0].of.day.start_s, parts[-1][0].of.day.end_s)
    told = memory.during(*span)
    for other in dict.fromkeys(row.cell for row in told):
        of_day = {row.start_s: row.sites for row in told if row.cell == other}

        def rest(day: Counted, of_day: Mapping[int, frozenset[bytes]] = of_day) -> frozenset[bytes]:
            sites = of_day.get(day.of.day.start_s, day.sites)
            return sites ^ day.sites if sites < day.sites or sites > day.sites else frozenset()

        if all(rest(day) for day, _slots in parts):
            yield rest


def _beyond(day: Counted) -> frozenset[bytes]:
    """The commune without a cell inside it: what subtracting from the public totals leaves."""
    publics = [sites for sites in day.of.publics if sites]
    rest = frozenset.intersection(*publics) - day.sites if publics else frozenset()
    return rest if len(rest) >= rule.SITES_MIN else frozenset()


def _sum_by_site(
    parts: Sequence[_Part], whose: Callable[[Counted], Iterable[bytes]]
) -> dict[bytes, NDArray[np.int64]]:
    """Wh of each site, by the rows of a site's day."""
    sums: dict[bytes, NDArray[np.int64]] = {}
    for day, slots in parts:
        for site in whose(day):
            if (measured := day.of.measured.get(site)) is not None:
                sums[site] = sums.get(site, 0) + measured[:, slots].sum(axis=1)
    return sums


def _column(energies_wh: Mapping[bytes, NDArray[np.int64]], base: int) -> list[int]:
    return [int(row[base]) for row in energies_wh.values()]


def consents_by_site(
    sites: Mapping[bytes, bytes], consent: Callable[[bytes], Consent | None]
) -> dict[bytes, Consent]:
    """The consent of each site's member, where there is one. `sites`: member by site."""
    found = {site: consent(member) for site, member in sites.items()}
    return {site: row for site, row in found.items() if row is not None}
