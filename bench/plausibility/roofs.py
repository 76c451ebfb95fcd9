"""Days of four real roofs, for the clear sky: those on which each came nearest to its ceiling."""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

from aggregator.plausibility import clearsky
from aggregator.plausibility.declared import Declared
from commonwatt.units import INTERVAL_S


class Produced(NamedTuple):
    """What a roof made in `[start_s, end_s)`."""

    start_s: int
    end_s: int
    energy_wh: int


ROOFS = {
    "pvdaq50": Declared(installed_wp=3368, latitude=39.742, longitude=-105.1727),
    "sma7000": Declared(installed_wp=6513, latitude=37.5, longitude=-121.0),
    "emhass": Declared(installed_wp=4412, latitude=46.5, longitude=2.5),
    "serf_east": Declared(installed_wp=4551, latitude=39.742, longitude=-105.1727),
}
"""Nobody published what their owners declared. The largest output that was measured stands for the peak power, which
is less than the modules' label and so the stricter test; the middle of California and of France for two places."""


def produced(roof: str) -> list[Produced]:
    """In order of time; not every quarter hour is there."""
    with Path(__file__).with_name("roofs.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["roof"] == roof]
    return [Produced(start := int(row["start_s"]), start + int(row["seconds"]), int(row["wh"])) for row in rows]


def ceiling_wh(roof: Declared, start_s: int, end_s: int) -> int:
    """The most that a roof can make in a span."""
    total_wh = 0
    for at in range(start_s, end_s, INTERVAL_S):
        day_s = at - at % clearsky.DAY_S
        total_wh += int(_limits(roof, day_s).ceiling_wh[0, (at - day_s) // INTERVAL_S])
    return total_wh


@cache
def _limits(roof: Declared, day_s: int) -> clearsky.Limits:
    return clearsky.limits([roof], day_s)
