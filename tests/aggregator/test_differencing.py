"""Against somebody who adds and subtracts whatever is told: never are one to nine homes left."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import combinations, product

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.privacy import statistics
from aggregator.privacy.cells import Cell, Consent, Day
from aggregator.privacy.energies import DayOfSites
from aggregator.privacy.linear import GROUPS_MAX, SETS_MAX, leaves_few
from aggregator.privacy.memory import Memory
from aggregator.privacy.rule import SITES_MIN
from aggregator.private import schema

LEAST = 4
"""Small, so that small examples are hard."""

Numbers = frozenset[int]


def homes(*numbers: int) -> frozenset[bytes]:
    return frozenset(bytes([number]) * 16 for number in numbers)


@pytest.mark.parametrize(
    ("sets", "isolates"),
    [
        ([range(3)], True),
        ([range(4)], False),
        ([range(8), range(7)], True),
        ([range(8), range(4)], False),
        ([range(8), range(4), range(2, 6)], False),
        ([range(8), [0, 1, 2, 3], [4, 5, 6, 7]], False),  # a whole and its halves
        ([range(9), [0, 1, 2, 3], [4, 5, 6, 7]], True),  # … and one home that is in neither half
        ([range(8), [0, 1, 2, 3, 4], [3, 4, 5, 6, 7]], True),  # the halves share two
        ([[0, 1, 2, 3], [2, 3, 4, 5], [0, 1, 4, 5]], True),  # half the sum less the third: two homes twice
    ],
)
def test_sets_when_combined(sets, isolates):
    """Worked out by hand: what subtracting leaves, for pairs and for three."""
    assert leaves_few([homes(*row) for row in sets], LEAST) is isolates


def test_sets_when_there_are_too_many_to_look_at():
    """Then the answer is no without looking; at the limit it looks."""
    crossing = [homes(*range(200)) - homes(number) for number in range(SETS_MAX + 1)]
    assert leaves_few(crossing[:2], LEAST)
    whole = [homes(*range(number, number + 4)) for number in range(0, 4 * (SETS_MAX + 1), 4) if number < 250]
    assert not leaves_few(whole[:SETS_MAX], LEAST)
    assert leaves_few(crossing, LEAST)
    assert GROUPS_MAX > 1


def attacks(count: int, weights: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Every combination of so many totals, except taking nothing."""
    return (row for row in product(weights, repeat=count) if any(row))


def is_laid_bare(sets: Sequence[Numbers], least: int) -> bool:
    """By brute force: does any combination stand for 1 to `least` − 1?"""
    for weights in attacks(len(sets), range(-2, 3)):
        weight: Counter[int] = Counter()
        for factor, row in zip(weights, sets, strict=True):
            for number in row:
                weight[number] += factor
        if 0 < sum(1 for value in weight.values() if value) < least:
            return True
    return False


number_sets = st.frozensets(st.integers(0, 11), min_size=1)


@given(st.lists(number_sets, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_guard_when_compared_with_brute_force(sets):
    """Exactly the same answer, for up to three sets of a dozen homes."""
    assert leaves_few([homes(*row) for row in sets], LEAST) is is_laid_bare(sets, LEAST)


@given(st.lists(number_sets, min_size=4, max_size=5))
@settings(max_examples=60, deadline=None)
def test_guard_when_four_or_five_were_asked(sets):
    """What is told in this order, and only that, withstands every small combination."""
    told: list[Numbers] = []
    for row in sets:
        if not leaves_few([homes(*other) for other in (*told, row)], LEAST):
            told.append(row)
    assert not is_laid_bare(told, LEAST)


SLOTS = 4
HOMES = 44


class Town:
    """Three days of homes in quarters and on feeders, and a memory; asked like the real one."""

    def __init__(self, seed: int, publics: Sequence[frozenset[int]]) -> None:
        self.draw = np.random.default_rng(seed)
        self.engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        schema.metadata.create_all(self.engine)
        quarters = self.draw.integers(0, 3, HOMES)
        feeders = self.draw.integers(0, 2, HOMES)
        self.cells = {"commune": homes(*range(HOMES))}
        for name, places in (("quarter", quarters), ("feeder", feeders)):
            for place in set(places.tolist()):
                members = [number for number in range(HOMES) if places[number] == place]
                self.cells[f"{name}:{place}"] = homes(*members)
        self.days = [self._day(number, publics) for number in range(3)]
        self.told: list[Mapping[tuple[int, bytes], int]] = []
        for at, of in enumerate(self.days):
            for slot, public in enumerate(of.publics):
                if public is not None and len(public) >= SITES_MIN:
                    self.told.append({(at * SLOTS + slot, site): 1 for site in public})

    def _day(self, number: int, publics: Sequence[frozenset[int]]) -> DayOfSites:
        complete = [home for home in range(HOMES) if self.draw.random() > 0.04]
        measured = {next(iter(homes(home))): self.draw.integers(50, 150, (4, SLOTS)) for home in complete}
        day = Day(date(2026, 1, 1 + number), number * SLOTS * 900, (number + 1) * SLOTS * 900)
        return DayOfSites(day, measured, [homes(*range(HOMES)) - homes(*gone) for gone in publics])

    def ask(self, cell: str, first: int, count: int, step: str, consents: Mapping[bytes, Consent]) -> None:
        with self.engine.begin() as connection:
            memory = Memory(connection)
            found = Cell(cell, cell, self.cells[cell])
            days = self.days[first : first + count]
            counted = [statistics.count_sites(found, of, consents, memory, is_settled=True) for of in days]
            by_start = {row.of.day.start_s: row.sites for row in counted}
            for row in statistics.rows(found, counted, step, memory):
                if row.figures:
                    slots = range(row.start_s // 900, row.end_s // 900)
                    whose = {slot: by_start[slot // SLOTS * SLOTS * 900] for slot in slots}
                    self.told.append({(slot, site): 1 for slot in slots for site in whose[slot]})

    def is_laid_bare(self) -> bool:
        """Pairs, threes and fours of what was told, added and subtracted: does anything stand for 1 to 9 homes?"""
        index = {site: at for at, site in enumerate(sorted(self.cells["commune"]))}
        matrix = np.zeros((len(self.told), 3 * SLOTS, HOMES), dtype=np.int64)
        for at, row in enumerate(self.told):
            for slot, site in row:
                matrix[at, slot, index[site]] = 1
        rows = np.unique(matrix.reshape(len(self.told), -1), axis=0).reshape(-1, 3 * SLOTS, HOMES)[:14]
        for size in (1, 2, 3, 4):
            weights = np.array(list(product((1, -1), repeat=size - 1)), dtype=np.int64)
            weights = np.hstack([np.ones((len(weights), 1), dtype=np.int64), weights])
            for chosen in combinations(range(len(rows)), size):
                left = np.einsum("ws,shn->whn", weights, rows[list(chosen)]).any(axis=1).sum(axis=1)
                if ((left > 0) & (left < SITES_MIN)).any():
                    return True
        return False


questions = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(1, 3), st.sampled_from(["15min", "day", "month"])),
    min_size=4,
    max_size=10,
)


@given(
    st.integers(0, 2**32),
    questions,
    st.lists(st.frozensets(st.integers(0, HOMES - 1), max_size=2), min_size=SLOTS, max_size=SLOTS),
    st.integers(0, 2),
)
@settings(max_examples=40, deadline=None)
def test_statistics_when_somebody_asks_for_everything(seed, asked, publics, withdrawn):
    """Cells that cross, steps that nest, consents that end, homes late for the public totals: nobody is laid bare."""
    town = Town(seed, publics)
    names = sorted(town.cells)
    everybody = sorted(town.cells["commune"])
    for number, (cell, first, count, step) in enumerate(asked):
        gone = everybody[: withdrawn * (number > len(asked) // 2)]
        always = Consent(date(2025, 1, 1), date(2030, 1, 1))
        consents = {site: always for site in everybody if site not in gone}
        town.ask(names[cell % len(names)], first, count, step, consents)
    assert not town.is_laid_bare()


def test_statistics_when_the_guard_is_taken_away():
    """The attacker of these tests is a real one: without the guard it finds a home."""
    town = Town(1, [frozenset({3})] * SLOTS)
    town.told.append({(0, site): 1 for site in town.cells["commune"]})
    assert town.is_laid_bare()
