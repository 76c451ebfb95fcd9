"""What a roof can make at most under the clearest sky, in whole Wh per quarter hour (pvlib, an optional extra). Pure.

The rule stands in docs/spec/settlement.md, "Before a mint". Model: sun by the NREL algorithm; Ineichen and Perez'
clear sky (Solar Energy 73, 2002) with a Linke turbidity of 2 (the driest, cleanest air) at sea level; a plane that
faces the sun where no orientation is declared. The margins were tried on four real roofs (docs/plausibility.md).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aggregator.plausibility.declared import Declared
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.units import INTERVAL_S

DAY_S = 86_400
SAMPLE_S = 300
"""The sun is looked at every five minutes, both ends of a quarter hour included; the best of the four counts."""
PLACE_DEG = 0.1
"""Places are rounded to this: half of it is 12 s of the sun's way, and a town is one place to compute."""
TURBIDITY = 2.0
ALBEDO = 0.25
ORIENTATION_SLACK_DEG = 20.0
"""Roofs have several faces, and nobody measures an azimuth to the degree."""
MARGIN_PERCENT = 110
"""Bright clouds beside the sun, and cold modules, give more than the clear sky and the label say."""
TWILIGHT_DEG = -6.0
"""End of civil twilight: below it there is no light to speak of."""
TWILIGHT_W_M2 = 25.0
"""The least that is taken for light above it, where the models of clear sky end."""
STANDBY_WH = 2
"""What a quarter hour may show at any time: rounding, and an inverter's own use counted with the wrong sign."""
LABEL_W_M2 = 1000.0
"""Irradiance at which modules give their peak power (IEC 61215)."""


class Limits(NamedTuple):
    """By roof and quarter hour of a UTC day: the ceiling in Wh, and whether it is night the whole quarter hour."""

    ceiling_wh: NDArray[np.int64]
    is_night: NDArray[np.bool_]


class _Sun(NamedTuple):
    """A place's day, sampled: degrees and W/m²."""

    zenith: NDArray[np.float64]
    elevation: NDArray[np.float64]
    azimuth: NDArray[np.float64]
    global_: NDArray[np.float64]
    direct: NDArray[np.float64]
    diffuse: NDArray[np.float64]


def limits(roofs: Sequence[Declared], day_s: int) -> Limits:
    """The limits of roofs (`has_roof`) on the UTC day that begins at `day_s`, one row each.

    UserError if pvlib is not installed: money must not depend on a check that is silently left out.
    """
    assert day_s % DAY_S == 0
    rows = [_of_roof(roof, _sun(*_place(roof), day_s)) for roof in roofs]
    shape = (len(rows), DAY_S // INTERVAL_S)
    if not rows:
        return Limits(np.empty(shape, np.int64), np.empty(shape, np.bool_))
    return Limits(np.stack([ceiling for ceiling, _night in rows]), np.stack([night for _ceiling, night in rows]))


def version() -> str:
    """Of pvlib, for whoever repeats the computation; UserError if there is none."""
    try:
        import pvlib
    except ImportError as error:
        raise UserError(
            _("a site declares solar modules, and pvlib, which knows the clear sky, is not installed"),
            to_do=_("pip install 'commonwatt[plausibility]'"),
        ) from error
    return str(pvlib.__version__)


def _of_roof(roof: Declared, sun: _Sun) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    assert roof.installed_wp is not None
    is_dark = sun.elevation <= TWILIGHT_DEG
    irradiance = np.where(is_dark, 0.0, np.maximum(_on_plane(roof, sun), TWILIGHT_W_M2))
    energy_wh = roof.installed_wp * _best(irradiance) / LABEL_W_M2 * MARGIN_PERCENT / 100 * INTERVAL_S / 3600
    # Rounded before it is rounded up: another machine's last bit must not become a watt-hour.
    ceiling = np.maximum(np.ceil(np.round(energy_wh, 6)).astype(np.int64), STANDBY_WH)
    return ceiling, _best(~is_dark) == 0


def _on_plane(roof: Declared, sun: _Sun) -> NDArray[np.float64]:
    """Irradiance on the modules in W/m²."""
    if roof.tilt_deg is None or roof.azimuth_deg is None:
        return sun.direct + sun.diffuse
    from pvlib import irradiance

    incidence = irradiance.aoi(roof.tilt_deg, roof.azimuth_deg, sun.zenith, sun.azimuth)
    slack = np.maximum(0.0, incidence - ORIENTATION_SLACK_DEG)
    reflected = sun.global_ * ALBEDO * (1 - np.cos(np.radians(roof.tilt_deg))) / 2
    return np.asarray(sun.direct * np.maximum(0.0, np.cos(np.radians(slack))) + sun.diffuse + reflected)


def _best(samples: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
    """The largest sample of each quarter hour."""
    per_interval = INTERVAL_S // SAMPLE_S
    values = samples.astype(np.float64)
    inner = values[:-1].reshape(-1, per_interval).max(axis=1)
    return np.asarray(np.maximum(inner, values[per_interval::per_interval]))


def _place(roof: Declared) -> tuple[int, int]:
    """In tenths of a degree."""
    assert roof.latitude is not None
    assert roof.longitude is not None
    return round(roof.latitude / PLACE_DEG), round(roof.longitude / PLACE_DEG)


@lru_cache(maxsize=256)
def _sun(latitude_tenths: int, longitude_tenths: int, day_s: int) -> _Sun:
    version()
    import pandas as pd
    from pvlib import atmosphere, clearsky, irradiance, solarposition

    seconds = np.arange(day_s, day_s + DAY_S + 1, SAMPLE_S)
    times = pd.DatetimeIndex(pd.to_datetime(seconds, unit="s", utc=True))
    sun = solarposition.get_solarposition(times, latitude_tenths / 10, longitude_tenths / 10)
    zenith = sun["apparent_zenith"].to_numpy()
    air_mass = atmosphere.get_absolute_airmass(atmosphere.get_relative_airmass(zenith))
    with np.errstate(divide="ignore"):  # the model divides by nothing at sea level, and means infinity
        above_air = irradiance.get_extra_radiation(times[0].day_of_year)
        sky = clearsky.ineichen(zenith, air_mass, TURBIDITY, altitude=0, dni_extra=above_air)
    light = [np.nan_to_num(np.asarray(sky[name])) for name in ("ghi", "dni", "dhi")]
    return _Sun(zenith, sun["elevation"].to_numpy(), sun["azimuth"].to_numpy(), *light)
