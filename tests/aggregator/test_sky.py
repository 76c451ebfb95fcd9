"""The clear sky above declared roofs: real roofs stay below it, and what no roof makes does not."""

import numpy as np
import pytest

from aggregator.plausibility import clearsky
from aggregator.plausibility.declared import Declared
from bench.plausibility import roofs

MIDSUMMER_S, MIDWINTER_S = 1_718_841_600, 1_734_652_800  # 2024-06-20 and 2024-12-20, 00:00 UTC
HERE = Declared(installed_wp=3000, latitude=46.2, longitude=5.2)


@pytest.mark.parametrize("name", roofs.ROOFS)
def test_real_roof_stays_below_its_ceiling(name):
    """On the days on which it came nearest, twilight and night included, nothing is suspicious."""
    spans = roofs.produced(name)
    assert len(spans) > 90
    shares = [wh / roofs.ceiling_wh(roofs.ROOFS[name], start_s, end_s) for start_s, end_s, wh in spans]
    assert 0.8 < max(shares) < 0.9


@pytest.mark.parametrize("name", roofs.ROOFS)
def test_real_roof_that_claims_twice_what_it_makes_is_above(name):
    """As if somebody had declared half of the modules, or written every value twice."""
    assert any(2 * wh > roofs.ceiling_wh(roofs.ROOFS[name], start, end) for start, end, wh in roofs.produced(name))


@pytest.mark.parametrize("name", roofs.ROOFS)
def test_real_roof_whose_clock_is_six_hours_off_is_above(name):
    """The day's production falls into its night."""
    later = 6 * 3600
    assert any(
        wh > roofs.ceiling_wh(roofs.ROOFS[name], start + later, end + later)
        for start, end, wh in roofs.produced(name)
    )


def test_limits_over_a_day():
    """Seven hours of night in June, fourteen in December, in which the standby of an inverter is let pass."""
    summer, winter = (clearsky.limits([HERE], day_s) for day_s in (MIDSUMMER_S, MIDWINTER_S))
    assert summer.ceiling_wh.shape == summer.is_night.shape == (1, 96)
    assert 4 * 6 < summer.is_night.sum() < 4 * 7.5
    assert 4 * 13 < winter.is_night.sum() < 4 * 15
    assert set(summer.ceiling_wh[summer.is_night]) == {clearsky.STANDBY_WH}
    noon_w = 4 * int(summer.ceiling_wh.max())
    assert 1.0 < noon_w / 3000 < 1.2


def test_limits_follow_the_declared_orientation():
    """Modules that look east end early; a flat roof is the same to everywhere."""
    east, west, flat, flat_too = (
        Declared(installed_wp=3000, latitude=46.2, longitude=5.2, tilt_deg=tilt, azimuth_deg=azimuth)
        for tilt, azimuth in ((35.0, 90.0), (35.0, 270.0), (0.0, 90.0), (0.0, 270.0))
    )
    ceiling = clearsky.limits([east, west, flat, flat_too], MIDSUMMER_S).ceiling_wh
    morning, evening = slice(20, 32), slice(64, 76)
    assert ceiling[0, morning].sum() > 2 * ceiling[1, morning].sum()
    assert ceiling[1, evening].sum() > 2 * ceiling[0, evening].sum()
    assert (ceiling[2] == ceiling[3]).all()


def test_limits_of_many_roofs_are_those_of_each():
    """One row a roof, in their order; nobody's limit depends on a neighbour."""
    many = [Declared(installed_wp=wp, latitude=46.2, longitude=5.2 + wp / 20_000) for wp in (1000, 3000, 9000)]
    together = clearsky.limits(many, MIDSUMMER_S)
    alone = [clearsky.limits([roof], MIDSUMMER_S) for roof in many]
    assert (together.ceiling_wh == np.concatenate([limits.ceiling_wh for limits in alone])).all()
    assert clearsky.limits([], MIDSUMMER_S).ceiling_wh.shape == (0, 96)


def test_limits_near_the_pole():
    """The sun that does not set, and the one that does not rise."""
    cape = Declared(installed_wp=1000, latitude=71.2, longitude=25.8)
    assert not clearsky.limits([cape], MIDSUMMER_S).is_night.any()
    assert clearsky.limits([cape], MIDWINTER_S).ceiling_wh.max() <= 8
