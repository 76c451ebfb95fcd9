"""Tries the rule of shifting on the forty homes: events at random hours of which nobody was told, and the same events
with a part of the use taken away."""

import csv
import gzip
import random
from pathlib import Path
from typing import NamedTuple

from aggregator.earning.shifting import measure
from aggregator.policy.terms import Shifting

FILE = Path(__file__).parent / "swiss_households" / "evening_wh.csv.gz"
EVENTS = 40
SHIFTED_PERMILLE = 300
FIRST_DAY = 20
"""Early enough for ten comparable days of a working day before it, and four of a weekend."""


class Found(NamedTuple):
    """Shares: credited over what is used if nobody shifts; of a real shift how much is credited."""

    false_positive: float
    recovered: float


def run(events: int = EVENTS, terms: Shifting | None = None) -> Found:
    """Seeded events of two hours between 17:00 and 21:00."""
    days, homes = read()
    chance = random.Random(5)  # noqa: S311 - a lot
    terms = terms or Shifting(rate_mc_per_kwh=0)
    credited = used = found = moved = 0
    for _event in range(events):
        day, half = chance.randrange(FIRST_DAY, len(days)), chance.randrange(5)
        alike = [other for other in range(day - 1, -1, -1) if (days[other] >= 5) == (days[day] >= 5)][: terms.days]
        for hours in homes:
            use_wh = sum(hours[day][half : half + 4])
            before_wh = [sum(hours[other][half : half + 4]) for other in alike]
            credited += measure(use_wh, before_wh, terms, is_peak=True).credited_wh
            less_wh = use_wh * SHIFTED_PERMILLE // 1000
            found += measure(use_wh - less_wh, before_wh, terms, is_peak=True).credited_wh
            used, moved = used + use_wh, moved + less_wh
    return Found(credited / used, found / moved)


def read() -> tuple[list[int], list[list[list[int]]]]:
    """Weekday of each local day (Monday 0), and of each home by day the Wh of eight half hours from 17:00."""
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        rows = [[int(cell) for cell in row] for row in list(csv.reader(file))[1:]]
    days = [row[0] for row in rows[::8]]
    homes = [
        [[row[home] for row in rows[8 * day : 8 * day + 8]] for day in range(len(days))]
        for home in range(2, len(rows[0]))
    ]
    return days, homes
