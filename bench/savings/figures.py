"""Runs the savings rule many times over the forty homes, each time with others taking part. Seeded.

In a run `PARTICIPANTS` of the homes take part and the others are the comparison group. A saving is put in by using so
much less on every reported day.
"""

import random
from collections.abc import Iterator

from aggregator.savings.measure import Saving, measure
from aggregator.savings.terms import Terms
from bench.savings.homes import BASELINE_DAYS, Record, read

RUNS = 100
PARTICIPANTS = 15
PERMILLE = 1000

Days = dict[bytes, tuple[int, ...]]


def qualified(terms: Terms | None = None) -> dict[bytes, Saving]:
    """Every home judged alone against the 39 others, with nothing put in."""
    record = read()
    answers: dict[bytes, Saving] = {}
    for site in record.homes:
        answers |= measure(record.homes, frozenset({site}), record.outdoor_dc, BASELINE_DAYS, terms or Terms())
    return answers


def false_positives(runs: int = RUNS, terms: Terms | None = None) -> list[float]:
    """Credited Wh (held ones included) over what the qualified homes used, run by run, when nobody saved."""
    return [credited / used for credited, used, _put_in in _runs(runs, 0, terms or Terms())]


def recovered(saved_permille: int, runs: int = RUNS, terms: Terms | None = None) -> list[float]:
    """Credited Wh over the saving that was put in at the qualified homes, run by run."""
    return [credited / put_in for credited, _used, put_in in _runs(runs, saved_permille, terms or Terms())]


def _runs(runs: int, saved_permille: int, terms: Terms) -> Iterator[tuple[int, int, int]]:
    record = read()
    for seed in range(runs):
        chosen = frozenset(random.Random(seed).sample(sorted(record.homes), PARTICIPANTS))  # noqa: S311 - a lot
        homes = _with_saving(record, chosen, saved_permille)
        answers = measure(homes, chosen, record.outdoor_dc, BASELINE_DAYS, terms)
        told = {site: answer for site, answer in answers.items() if answer.reason is None}
        used_wh = sum(answer.used_wh for answer in told.values())
        before_wh = sum(sum(record.homes[site][BASELINE_DAYS:]) for site in told)
        yield sum(answer.lower_wh for answer in told.values()), used_wh, before_wh - used_wh


def _with_saving(record: Record, chosen: frozenset[bytes], saved_permille: int) -> Days:
    left = PERMILLE - saved_permille
    return {
        site: days[:BASELINE_DAYS] + tuple(wh * left // PERMILLE for wh in days[BASELINE_DAYS:])
        if site in chosen
        else days
        for site, days in record.homes.items()
    }
