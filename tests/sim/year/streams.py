"""How a year's blocks arrive: as they were made, or mangled. Pure and seeded.

A step is an hour of civil time: the block of hour `h` (its readings end at `h + 1`) comes at step `h + 1` at the
earliest. What comes six steps after its hour began is still within the grace of six hours for its first quarter.
"""

import random
from collections.abc import Sequence

GRACE_STEPS = 6
LATE_STEPS = (8, 72)

Place = tuple[int, int]
"""Which device, and which hour of the year."""
Arrivals = list[list[Place]]
"""What comes at each step, in order; one batch each."""

DELAYED, REPEATED, LATE, LOST = 0.25, 0.1, 0.002, 0.0005
"""How many of the blocks, each by itself."""
OUTAGES_PER_MONTH = 3
"""Times at which nothing gets through for hours; then everything comes at once."""


def clean(devices: int, hours: int, steps: int) -> Arrivals:
    """Every block as soon as it is whole."""
    arrivals: Arrivals = [[] for _ in range(steps)]
    for hour in range(hours):
        arrivals[hour + 1] = [(device, hour) for device in range(devices)]
    return arrivals


def mangled(seed: int, devices: int, hours: int, steps: int) -> Arrivals:
    """Shuffled, repeated and delayed, by outages too, but all within the grace."""
    chance = random.Random(seed)
    arrivals: Arrivals = [[] for _ in range(steps)]
    up_again = _outages(chance, hours, steps)
    for hour in range(hours):
        for device in range(devices):
            delay = chance.randint(1, GRACE_STEPS) if chance.random() < DELAYED else 1
            step = min(max(hour + delay, up_again[hour + 1]), hour + GRACE_STEPS)
            arrivals[step].append((device, hour))
            if chance.random() < REPEATED:
                arrivals[chance.randint(step, min(step + 200, steps - 1))].append((device, hour))
    for places in arrivals:
        chance.shuffle(places)
    return arrivals


def late(seed: int, devices: int, hours: int, steps: int) -> tuple[Arrivals, set[Place]]:
    """Mangled, and a few blocks come when their intervals have closed, or never; also which those are.

    The last two days keep to the grace, so that everything that comes has come by the end.
    """
    chance = random.Random(seed)
    arrivals = mangled(seed, devices, hours, steps)
    odd = {}
    for hour in range(1, hours - 48):
        for device in range(devices):
            if (drawn := chance.random()) < LATE:
                odd[device, hour] = None if drawn < LOST else hour + chance.randint(*LATE_STEPS)
    arrivals = [[place for place in places if place not in odd] for places in arrivals]
    for place, step in odd.items():
        if step is not None:
            arrivals[step].append(place)
    return arrivals, set(odd)


def _outages(chance: random.Random, hours: int, steps: int) -> Sequence[int]:
    """By step: the first one from then on at which something gets through."""
    up_again = list(range(steps))
    for _ in range(OUTAGES_PER_MONTH * hours // 720):
        first = chance.randrange(1, hours)
        last = min(first + chance.randint(2, GRACE_STEPS), steps - 1)
        for step in range(first, last):
            up_again[step] = max(up_again[step], last)
    return up_again
