"""The same labelled faults, found by the detectors of pvanalytics (a development dependency) in the same run.

They are given what their authors would give them: the values as published, before they became whole watt-hours, and
for values that stand still the hours with light only, because they call every dark night a fault.
"""

import csv
import warnings
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from bench.plausibility.faults import Found


class Counted(NamedTuple):
    """How many steps a detector reports, how many of these are faults, and how many faults there are."""

    reported: int
    hits: int
    labelled: int


@cache
def counted() -> dict[str, Counted]:
    """By detector and what it was given."""
    import pvanalytics
    from pvanalytics.quality import gaps, outliers

    data = Path(pvanalytics.__file__).parent / "data"
    still, still_faults = _read(data / "ac_power_inv_2173_stale_data.csv", "stale_data_mask")
    wild, wild_faults = _read(data / "ac_power_inv_7539_outliers.csv", "outlier")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas announces its next version
        return {
            "stale_values_diff": _count(gaps.stale_values_diff(still), still_faults),
            "stale_values_diff by day": _count(gaps.stale_values_diff(still.where(still > 0)), still_faults),
            "stale_values_round by day": _count(gaps.stale_values_round(still.where(still > 0)), still_faults),
            "hampel": _count(outliers.hampel(wild), wild_faults),
            "zscore": _count(outliers.zscore(wild), wild_faults),
        }


def best() -> Found:
    """The best precision and the best recall of any pair of their detectors, one for each kind of fault."""
    figures = counted()
    still = [figure for name, figure in figures.items() if name.startswith("stale")]
    wild = [figures["hampel"], figures["zscore"]]
    pairs = [tuple(map(sum, zip(*pair, strict=True))) for pair in product(still, wild)]
    precision = max(hits / reported for reported, hits, _labelled in pairs)
    return Found(precision, max(hits / labelled for _reported, hits, labelled in pairs))


def _read(path: Path, label: str) -> tuple[Any, Any]:
    """Values and labels as pandas series."""
    import pandas as pd

    with path.open() as file:
        rows = list(csv.DictReader(file))
    times = pd.to_datetime([row["timestamp"] for row in rows], utc=True)
    values = [float(row["value_normalized"] or "nan") for row in rows]
    return pd.Series(values, times), pd.Series([row[label].lower() == "true" for row in rows], times)


def _count(found: Any, faults: Any) -> Counted:
    reported = found.fillna(False).astype(bool)
    return Counted(int(reported.sum()), int((reported & faults).sum()), int(faults.sum()))
