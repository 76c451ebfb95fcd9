"""Energy as kWh, CO2, rates and peaks: exact sums, local days, and comparisons that lay nobody bare."""

import gzip
import json
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.impact import carbon, figures, indicators, periods, similar, tables
from aggregator.impact.balance import of_site
from aggregator.impact.carbon import Average, Factors, Hourly
from aggregator.impact.indicators import Step
from aggregator.impact.periods import Period
from aggregator.impact.similar import Alone, Home
from commonwatt.errors import UserError

PARIS = ZoneInfo("Europe/Paris")
UNKNOWN = -(2**63)
FACTORS = Factors(
    Hourly({0: 50_000, 3600: 80_000}, "direct", "RTE", "LO"), Average(2023, 56_039, "life-cycle", "Ember", "CC BY")
)


# --- CO2


def test_emissions_take_the_factor_of_their_hour():
    """100 Wh at 50 g/kWh, 200 at 80, and 300 at the year's average, to the microgram."""
    found = carbon.emitted([100, 200, 300], np.array([900, 4500, 9000]), FACTORS)
    assert found.ug == 100 * 50_000 + 200 * 80_000 + 300 * 56_039
    assert (found.grams, found.hourly_wh, found.hourly_permille, found.basis) == (38, 300, 500, "RTE; Ember")
    assert carbon.emitted([], np.array([], np.int64), FACTORS).basis == "Ember"


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 40)), max_size=60))
def test_emissions_add_up_however_they_are_cut(rows):
    """The whole is the sum of its parts, exactly."""
    energies, starts = [wh for wh, _ in rows], np.array([900 * at for _, at in rows], np.int64)
    whole = carbon.emitted(energies, starts, FACTORS)
    half = len(rows) // 2
    parts = [carbon.emitted(energies[:half], starts[:half], FACTORS)]
    parts.append(carbon.emitted(energies[half:], starts[half:], FACTORS))
    assert whole.ug == sum(part.ug for part in parts)
    assert whole.hourly_wh == sum(part.hourly_wh for part in parts)
    assert 50_000 * whole.energy_wh <= whole.ug <= 80_000 * whole.energy_wh


def test_factors_that_come_with_us():
    """A December of RTE, by the hour, and one year."""
    factors = tables.read()
    assert len(factors.hourly.ug_per_wh) == 31 * 24
    assert round(sum(factors.hourly.ug_per_wh.values()) / 744_000, 1) == 64.3
    assert factors.average.ug_per_wh == 56_039


def eco2mix(path: Path, rows: list[str]) -> Path:
    text = "\n".join(["Périmètre;Date - Heure;Taux de CO2 (g/kWh)", *rows, ""])
    data = text.encode("utf-8-sig")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_factors_that_a_commune_adds(tmp_path, name):
    """An export of RTE: quarter hours become hours, also the hour that comes twice; rows without a value are none."""
    eco2mix(
        tmp_path / "eco2mix" / name,
        [
            "France;2024-10-27T02:00:00+02:00;40",
            "France;2024-10-27T02:30:00+02:00;43",
            "France;2024-10-27T02:00:00+01:00;50",
            "France;2024-10-27T02:15:00+01:00;",
        ],
    )
    factors = tables.read(tmp_path).hourly.ug_per_wh
    assert (factors[1_729_987_200], factors[1_729_990_800]) == (41_500, 50_000)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("France;2024-10-27T02:00:00;40", "line 2"),
        ("France;yesterday;40", "line 2"),
        ("F;2024-10-27T02:00Z;9e9", "no grid"),
    ],
)
def test_factors_that_cannot_be_read(tmp_path, row, what):
    """The file and its line are named."""
    path = eco2mix(tmp_path / "eco2mix" / "a.csv", [row])
    with pytest.raises(UserError, match=what):
        tables.parse_eco2mix(path)
    path.write_text("a;b\n1;2\n")
    with pytest.raises(UserError, match="columns"):
        tables.parse_eco2mix(path)


# --- rates and peaks


def balance(drawn, fed, made=None):
    starts_s = np.arange(len(drawn[0])) * 900
    generators = None if made is None else np.array(made, np.int64)
    return of_site(starts_s, (np.array(drawn, np.int64), np.array(fed, np.int64)), generators, UNKNOWN)


def test_rates_and_peaks_of_a_home():
    """Made 400, of which 250 were used here; used 550, of which 250 were made here."""
    found = balance([[100, 200, 0]], [[0, 50, 100]], [[100, 150, 150]])
    assert found.consumption_wh.tolist() == [200, 300, 50]
    assert (found.self_consumption_permille, found.self_sufficiency_permille) == (625, 455)
    assert found.peak(found.import_wh) == (800, 900)
    assert found.known_permille == 1000


def test_rates_of_nothing():
    """No production, no rate; no reading, no figure."""
    dark = balance([[5, 5]], [[UNKNOWN, UNKNOWN]])
    assert dark.self_consumption_permille is None
    assert dark.known.all()
    unknown = balance([[UNKNOWN] * 2], [[UNKNOWN] * 2])
    assert list(figures.of_balance(unknown, FACTORS, (0, 1800), "x")) == []
    assert unknown.peak(unknown.import_wh) is None


def test_balance_when_a_meter_is_replaced_or_misses_something():
    """Two meters one after the other are one; a gap, or a register that runs backwards, is in no figure."""
    found = balance(
        [[5, 6, UNKNOWN, UNKNOWN], [UNKNOWN, UNKNOWN, 7, 8]], [[0, 0, UNKNOWN, UNKNOWN], [UNKNOWN, UNKNOWN, 0, 0]]
    )
    assert found.import_wh.tolist() == [5, 6, 7, 8]
    assert found.known.all()
    gap = balance([[5, UNKNOWN, 7, -9, 5]], [[0, UNKNOWN, 0, 0, 0]])
    assert gap.known.tolist() == [True, False, True, False, True]
    assert int(gap.import_wh.sum()) == 17


@given(st.lists(st.tuples(*(st.integers(0, 5000) for _ in range(3))), min_size=1, max_size=30))
def test_rates_stay_within_their_bounds(rows):
    """Whatever meters say, no rate is beyond the whole, and energies add up."""
    drawn, fed, made = ([[row[at] for row in rows]] for at in range(3))
    found = balance(drawn, fed, made)
    assert int(found.consumption_wh.sum()) == sum(a - b + c for a, b, c in rows)
    for rate in (found.self_consumption_permille, found.self_sufficiency_permille):
        assert rate is None or 0 <= rate <= 1000


def test_figures_name_factor_source_and_span():
    """Every figure of CO2 says which factor it took, and what the factor counts."""
    found = {
        row.name: row
        for row in figures.of_balance(balance([[100] * 8], [[0] * 8], [[40] * 8]), FACTORS, (0, 7200), "meters")
    }
    avoided = found["co2_avoided"]
    assert avoided.value == round((160 * 50 + 160 * 80) / 1000)
    assert (avoided.factor_ug_per_wh, avoided.scope, avoided.hourly_permille) == (65_000, "direct", 1000)
    assert avoided.source == "meters; RTE"
    assert all((row.start_s, row.end_s) == (0, 7200) for row in found.values())


# --- days


@pytest.mark.parametrize(
    ("first", "last", "hours"),
    [
        (date(2026, 3, 23), date(2026, 3, 29), 7 * 24 - 1),
        (date(2026, 10, 19), date(2026, 10, 25), 7 * 24 + 1),
        (date(2028, 2, 28), date(2028, 3, 1), 72),
    ],
)
def test_period_in_local_days(first, last, hours):
    """Weeks in which clocks are changed are an hour shorter or longer; a leap day is a day."""
    period = Period(first, last, PARIS)
    assert period.end_s - period.start_s == hours * 3600
    assert len(period.starts_s) == hours * 4


def test_periods_that_are_compared():
    """The week before, and the same days of the week a year before; also from a leap day."""
    week = Period(date(2026, 7, 6), date(2026, 7, 12), PARIS)
    assert (week.before().first, week.before().last) == (date(2026, 6, 29), date(2026, 7, 5))
    assert (week.year_before().first, week.year_before().last) == (date(2025, 7, 7), date(2025, 7, 13))
    day = Period(date(2028, 2, 29), date(2028, 2, 29), PARIS)
    assert (day.before().first, day.year_before().first) == (date(2028, 2, 22), date(2027, 3, 2))
    month = Period(date(2026, 7, 1), date(2026, 7, 31), PARIS)
    assert month.before().last < month.first
    assert month.before().first.weekday() == month.first.weekday()


def test_period_when_nothing_is_said():
    """The last week that is over: Monday to Sunday."""
    sunday_night = periods.start_of(date(2026, 7, 13), PARIS)
    found = periods.period(None, None, end_s=sunday_night, zone=PARIS)
    assert (found.first, found.last) == (date(2026, 7, 6), date(2026, 7, 12))
    earlier = periods.period(None, None, end_s=sunday_night - 900, zone=PARIS)
    assert earlier.last == date(2026, 7, 5)
    with pytest.raises(UserError, match="no span of days"):
        periods.period(date(2026, 7, 6), date(2026, 7, 5), end_s=sunday_night, zone=PARIS)


# --- similar homes


def home(number, yearly_wh=4_000_000, heating=None, *, has_roof=False):
    return Home(bytes([number]), yearly_wh, heating, has_roof)


def test_similar_homes_are_alike():
    """Heated alike, with a roof or without, of a size; the narrowest range that leaves ten, never itself."""
    me = home(0, 4_000_000, "heat-pump")
    near = [home(n, 4_000_000 + 100_000 * n, "heat-pump") for n in range(1, 10)]
    others = [
        me,
        *near,
        home(20, 4_000_000, "electric"),
        home(21, 4_000_000, "heat-pump", has_roof=True),
        home(22, None, "heat-pump"),
        home(23, 13_000_000, "heat-pump"),
    ]
    assert similar.group(me, others) is Alone.TOO_FEW_SITES
    found = similar.group(me, [*others, home(24, 7_900_000, "heat-pump")])
    assert not isinstance(found, Alone)
    assert (found.ratio, found.sites) == (2.0, frozenset(bytes([n]) for n in (*range(1, 10), 24)))
    assert similar.group(home(0, None), others) is Alone.SIZE_UNKNOWN


# --- indicators

INDICATOR = {
    "id": "x",
    "name": "What we use of our own making",
    "measure": "self_sufficiency",
    "baseline": 100,
    "baseline_date": date(2026, 1, 1),
    "target": 300,
    "target_date": date(2026, 12, 31),
    "review_date": date(2026, 6, 30),
    "responsible": "Ana",
}


def test_indicator_on_its_way():
    """Half of the year, half of the way; less is better where the target is lower."""
    row = indicators.Indicator.model_validate(INDICATOR)
    half = date(2026, 7, 2)
    assert (row.expected(half), row.expected(date(2020, 1, 1)), row.expected(date(2030, 1, 1))) == (200, 100, 300)
    assert row.is_on_track(200, half)
    assert not row.is_on_track(199, half)
    assert (row.progress_permille(150), row.is_reached(300)) == (250, True)
    less = indicators.Indicator.model_validate({**INDICATOR, "baseline": 300, "target": 100})
    assert less.is_on_track(200, half)
    assert not less.is_on_track(201, half)
    assert less.is_reached(99)


def test_indicator_in_its_circle():
    """Plan; do what is open; check on the day; act on what was found."""
    action = {"text": "roofs", "by": date(2026, 3, 1)}
    review = {"date": date(2026, 6, 30), "value": 150, "finding": "late"}
    day = date(2026, 5, 1)

    def step(**more: object) -> Step:
        return indicators.Indicator.model_validate({**INDICATOR, **more}).step(day)

    assert step() is Step.PLAN
    assert step(actions=[action]) is Step.DO
    assert step(actions=[action], review_date=day) is Step.CHECK
    assert step(review_date=day, reviews=[review]) is Step.ACT
    assert step(reviews=[{**review, "decision": "ask again"}]) is Step.PLAN


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"measure": "happiness"}, "is none of"),
        ({"days": 10}, "whole weeks"),
        ({"target": 100}, "differs from the baseline"),
        ({"target_date": date(2026, 1, 1)}, "comes after it"),
        ({"colour": "green"}, "colour"),
    ],
)
def test_indicator_with_a_mistake(tmp_path, change, what):
    """Named with its place."""
    rows = "\n".join(
        f"{key} = {json.dumps(value, default=str)}" if not isinstance(value, date) else f"{key} = {value}"
        for key, value in {**INDICATOR, **change}.items()
    )
    path = tmp_path / "indicators.toml"
    path.write_text(f"[[indicators]]\n{rows}\n")
    with pytest.raises(UserError, match=what):
        indicators.read(path)
