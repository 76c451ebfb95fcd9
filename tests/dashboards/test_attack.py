"""Whatever telemetry tells of one interval, adding and subtracting it never leaves a few homes, nor a dominant one.

Seeded communes with quarters, feeders and transformers of any sizes, crossing each other as they like; what was told
is attacked with exact linear algebra, by the same rule and without `Levels`.
"""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from aggregator.privacy.levels import Levels
from aggregator.privacy.linear import leaves_few
from aggregator.privacy.public import PublicTotal
from aggregator.privacy.rule import SITES_MIN, Withheld, check_parts
from aggregator.telemetry import energies
from aggregator.telemetry.cells import Cell, Commune
from aggregator.telemetry.energies import Interval

SEEDS = 60


def made_up(seed: int) -> tuple[Commune, Interval]:
    """A commune and an interval of it."""
    chance = random.Random(seed)
    count = chance.randint(12, 90)
    cells = [Cell("commune", "c", "commune", np.arange(count), None)]
    for level in ("transformer", "quarter", "feeder"):
        places = chance.randint(1, 5)
        of = [chance.randrange(places) for _site in range(count)]
        for place in range(places):
            sites = np.array([site for site in range(count) if of[site] == place], dtype=np.int64)
            cells.append(Cell(level, str(place), f"{level}:{place}", sites, 10_000))
    sites = tuple(bytes([number]) * 16 for number in range(count))
    nobody = np.empty(0, dtype=np.int64)
    commune = Commune((), nobody, (), nobody, sites, {}, np.ones(count, dtype=bool), tuple(cells))
    sizes = chance.choice([(0, 300), (0, 3), (0, 5000)])
    import_wh = np.array([chance.randint(*sizes) for _site in range(count)])
    solar_wh = np.array([chance.randint(*sizes) if chance.random() < 0.4 else 0 for _site in range(count)])
    export_wh = np.where(chance.random() < 0.5, 0, np.minimum(solar_wh, np.array([chance.randint(*sizes)] * count)))
    is_known = np.array([chance.random() < 0.95 for _site in range(count)])
    known = int(is_known.sum())
    net = np.where(is_known, export_wh - import_wh, 0)
    total = PublicTotal(0, known, int(net[net > 0].sum()), int(-net[net < 0].sum()), 0, 0, ())
    parts = (np.where(is_known, wh, 0) for wh in (import_wh, export_wh, solar_wh, import_wh * 0))
    return commune, Interval(0, total, is_known, *parts)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_levels_when_attacked(seed):
    """No figure's totals, with the public ones, leave fewer than ten; none is told that one home makes up."""
    commune, interval = made_up(seed)
    told = list(energies.tell(commune, interval, Counter()))
    everybody = commune.ids(np.flatnonzero(interval.is_known))
    for name in ("import_wh", "export_wh", "solar_wh", "demand_wh", "supply_wh"):
        sets = [commune.ids(row.sites) for row in told if name in row.figures and len(row.sites)]
        assert not leaves_few([everybody, *sets] if sets else [], SITES_MIN), name
    for row in told:
        for name, values in (("import_wh", interval.import_wh), ("export_wh", interval.export_wh)):
            if name in row.figures:
                assert check_parts(values[row.sites].tolist()) is None
                assert row.figures[name] == values[row.sites].sum()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_import_and_export_when_one_may_not_be_told(seed):
    """import − export = demand − supply: of the four, three are never told alone."""
    commune, interval = made_up(seed)
    for row in energies.tell(commune, interval, Counter()):
        told = {"import_wh", "export_wh", "demand_wh", "supply_wh"} & row.figures.keys()
        assert len(told) != 3
        if "reverse_w" in row.figures:
            assert {"import_wh", "export_wh"} <= told


def test_quarter_when_it_differs_from_the_commune_by_nine():
    """Nineteen homes in a commune of twenty-eight: the other nine could be had by subtracting."""
    alike = np.full(28, 100)
    levels = Levels((alike,))
    assert levels.tell(np.arange(28)) is None
    assert levels.tell(np.arange(19)) is Withheld.DIFFERS_BY_FEW
    assert levels.tell(np.arange(18)) is None
    assert levels.tell(np.arange(9, 28)) is Withheld.DIFFERS_BY_FEW


def test_feeder_when_its_neighbour_has_one_large_home():
    """The rest of the commune would be one home's for the most part."""
    wh = np.full(40, 100)
    wh[39] = 5000
    levels = Levels((wh,))
    assert levels.tell(np.arange(40)) is Withheld.DOMINATED
    assert levels.tell(np.arange(20)) is None
    assert levels.tell(np.arange(20, 40)) is Withheld.DOMINATED


def test_interval_when_somebody_was_told_otherwise_before():
    """Statistics told a total over all but one of these homes: telemetry does not tell theirs."""
    commune, interval = made_up(3)
    known = commune.ids(np.flatnonzero(interval.is_known))
    earlier = [known, frozenset(sorted(known)[1:])]

    def beside(sites: frozenset[bytes]) -> Withheld | None:
        return Withheld.DIFFERS_BY_FEW if leaves_few([*earlier, sites], SITES_MIN) else None

    withheld: Counter[str] = Counter()
    told = list(energies.tell(commune, interval, withheld, beside))
    assert all("import_wh" not in row.figures for row in told)
    assert withheld["withheld.differs-by-few"] > 0


def test_interval_when_not_everybody_can_be_found_again():
    """Fewer are known than stood behind the public totals: those alone are told."""
    commune, interval = made_up(3)
    interval = replace(interval, total=replace(interval.total, sites=interval.total.sites + 1))
    (told,) = energies.tell(commune, interval, Counter())
    assert told.cell.key == "commune"
    assert {"supply_wh", "demand_wh"} <= told.figures.keys()
    assert "import_wh" not in told.figures
