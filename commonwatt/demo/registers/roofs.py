"""What the measured roofs of other places would have made on the demo's week: Wh per quarter hour, exactly.

Every source is read by the sun of its own place: local standard time becomes UTC, as if the roof stood at the
meridian of Greenwich, so that its noon is the village's.
"""

import csv
import gzip
import io
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

from commonwatt.demo.registers.homes import INTERVALS, Roof
from commonwatt.units import INTERVAL_S, WH_PER_KWH

HERE = Path(__file__).parent
SIMBENCH_CSV = HERE / "simbench" / "roofs_15min.csv.gz"
PVDAQ_CSV = HERE / "pvdaq" / "roof_15min.csv.gz"
SMA_CSV = HERE / "sma" / "inverter_5min.csv.gz"

Energies = list[Fraction]
"""Wh in each of the week's 672 quarter hours."""

STANDBY_W = 5
"""Below this an inverter sleeps: what a meter shows then is its noise."""

_PVDAQ_AHEAD = timedelta(hours=1)  # its logger kept daylight-saving time, whatever its stamps say
_SMA_BEHIND = timedelta(hours=8)  # Pacific standard time
_QUARTER = timedelta(seconds=INTERVAL_S)


def roof_energies(roof: Roof, emhass: Energies) -> Energies:
    """What the roof makes: its source, scaled from the source's nameplate to its own. `emhass`: that home's own."""
    if roof.source == "emhass":
        made = emhass
    elif roof.source == "simbench":
        made = [Fraction(row[roof.series]) * INTERVAL_S / 3600 for row in rows(SIMBENCH_CSV)]
    elif roof.source == "pvdaq":
        made = _pvdaq(roof.series)
    else:
        made = _sma(roof.series)
    assert len(made) == INTERVALS
    return [energy_wh * roof.peak_w / roof.source_w for energy_wh in made]


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of an excerpt."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("ascii")
    return iter(csv.DictReader(io.StringIO(text)))


def _pvdaq(monday: str) -> Energies:
    """Mean W of each quarter hour. The last hour of the week, by night, is the one that the logger's clock lacks."""
    start = datetime.fromisoformat(monday)
    watts = {
        (datetime.fromisoformat(row["measured_on"]).replace(tzinfo=None) - _PVDAQ_AHEAD - start): row["ac_power_2"]
        for row in rows(PVDAQ_CSV)
    }
    means_w = (Fraction(watts.get(at * _QUARTER, "0")) for at in range(INTERVALS))
    return [mean_w * INTERVAL_S / 3600 if mean_w >= STANDBY_W else Fraction(0) for mean_w in means_w]


def _sma(monday: str) -> Energies:
    """Mean kW of five minutes each, by day only."""
    start = datetime.fromisoformat(monday)
    made: dict[int, Fraction] = defaultdict(Fraction)
    for row in rows(SMA_CSV):
        quarter = (datetime.fromisoformat(row["ts"]) - _SMA_BEHIND - start) // _QUARTER
        made[quarter] += Fraction(row["meas_val_f"]) * WH_PER_KWH * 5 / 60
    return [made[at] for at in range(INTERVALS)]
