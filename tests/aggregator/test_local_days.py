"""Days as people count them, of 92, 96 and 100 quarter hours and the 29th of February, from settlement to credits."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.earning import saving_rows
from aggregator.earning.local_time import day_of, local_times, start_of
from aggregator.earning.shifting_rows import Site
from aggregator.policy.rules import Policy
from aggregator.privacy import cells, energies
from aggregator.settling.closing import Closer
from aggregator.testing import POLICY, ident
from commonwatt.testing_pages import rows_of

PARIS = ZoneInfo("Europe/Paris")
DAY = timedelta(days=1)
DAYS = [
    (date(2024, 3, 31), 92),
    (date(2024, 10, 27), 100),
    (date(2024, 2, 29), 96),
    (date(2024, 7, 16), 96),
]
ZONES = [
    *("Europe/Paris", "America/Martinique", "Indian/Reunion", "Pacific/Noumea", "America/St_Johns"),
    *("Africa/Cairo", "America/Havana"),  # clocks are changed at midnight: one that is not, one that is twice
    *("Australia/Lord_Howe", "Asia/Kathmandu"),  # half an hour of summer time; three quarters beside the hour
]
HOUR_S = 3600
CAP_MC = 5_000
CAPPED = Policy.parse(POLICY.text.replace("[matched]", f"cap_mc_per_day = {CAP_MC}\n[matched]"), where="a cap a day")


def made_wh(at_s: int) -> int:
    """What the roof makes in a quarter hour; no meter shows the same again and again."""
    return 60 + at_s // 900 * 7 % 31


@given(st.sampled_from(ZONES), st.integers(date(2000, 1, 1).toordinal(), date(2037, 12, 30).toordinal()))
def test_day_when_it_is_cut_into_quarters(zone_name, number):
    """Days follow each other without a gap; each quarter hour lies in its own day and has the clock's figures."""
    zone, day = ZoneInfo(zone_name), date.fromordinal(number)
    starts_s = range(start_of(day, zone), start_of(day + DAY, zone), 900)
    assert starts_s[-1] + 900 == start_of(day + DAY, zone)
    assert {day_of(at, zone) for at in starts_s} == {day}
    found = local_times(np.array(starts_s), zone)
    there = [datetime.fromtimestamp(at, zone) for at in starts_s]
    assert found.quarter.tolist() == [at.hour * 4 + at.minute // 15 for at in there]
    assert set(zip(found.month.tolist(), found.weekday.tolist(), strict=True)) == {(day.month - 1, day.weekday())}


@pytest.mark.parametrize(
    ("zone", "day", "quarters"),
    [
        *(("Europe/Paris", day, quarters) for day, quarters in DAYS),
        ("Europe/Paris", date(2000, 2, 29), 96),  # a year of centuries that leaps
        ("Europe/Paris", date(2023, 2, 28), 96),
        ("Africa/Cairo", date(2024, 4, 26), 92),
        ("America/Havana", date(2024, 11, 3), 100),
        ("Australia/Lord_Howe", date(2024, 4, 7), 98),
        ("Pacific/Noumea", date(2024, 10, 27), 96),
    ],
)
def test_day_when_its_quarters_are_counted(zone, day, quarters):
    """By the day itself and by what statistics take for one."""
    (cell,) = cells.days(day, day, zone)
    assert (cell.start_s, cell.end_s) == (start_of(day, ZoneInfo(zone)), start_of(day + DAY, ZoneInfo(zone)))
    assert cell.end_s - cell.start_s == 900 * quarters


def test_year_when_its_days_are_counted():
    """366 days in 2024, as many seconds as the calendar has; the day after the 28th of February is the 29th."""
    found = cells.days(date(2024, 1, 1), date(2024, 12, 31), "Europe/Paris")
    assert len(found) == 366
    assert sum(day.end_s - day.start_s for day in found) == 366 * 86_400
    assert [day.date.day for day in found if day.date.month == 2][-2:] == [28, 29]


@pytest.mark.parametrize(("day", "quarters"), DAYS)
def test_savings_when_days_are_long_or_short(day, quarters):
    """A home's day is as long as the clock says: a Wh in each quarter hour."""
    rules = Policy.parse(POLICY.text, where="tests").rules

    def growth(devices, start_s, end_s):
        return np.ones((len(devices), (end_s - start_s) // 900), dtype=np.int64)

    found = saving_rows._days([Site(b"a", (b"m", b"n"), None)], [day - DAY, day, day + DAY], rules, growth)
    assert found == {b"a": [192, 2 * quarters, 192]}


def living(works, first: date, last: date):
    """The closer begins at the local midnight before `first`; the roof and Ana's meter send a block an hour until the
    end of `last`, and everything closes."""
    start_s, end_s = start_of(first, PARIS), start_of(last + DAY, PARIS)
    works.closer = Closer(database=works.database, known=works.closer._known, genesis_s=start_s, clock=works.clock)
    roof_wh, ana_wh = 0, 0
    works.clock.civil_s = end_s
    blocks = []
    for at in range(start_s, end_s, HOUR_S):
        roof, ana = [(roof_wh,)], [(ana_wh, 0)]
        for quarter_s in range(at, at + HOUR_S, 900):
            roof_wh, ana_wh = roof_wh + made_wh(quarter_s), ana_wh + made_wh(quarter_s) % 13
            roof.append((roof_wh,))
            ana.append((ana_wh, 0))
        blocks += [works.meters["sun-roof"].sign(at, roof), works.meters["ana-main"].sign(at, ana)]
    works.deliver(*blocks)
    works.close_until(end_s)


@pytest.mark.parametrize(("day", "quarters"), DAYS)
def test_credits_when_a_cap_counts_by_local_days(make_works, day, quarters):
    """A day of 92 or 100 quarter hours and its neighbours: every watt-hour settled once, each day's credits up to its
    own cap, statistics of as many quarter hours; the judge agrees."""
    works = make_works(policy=CAPPED)
    living(works, day - DAY, day + DAY)
    starts_s = range(start_of(day - DAY, PARIS), start_of(day + 2 * DAY, PARIS), 900)
    assert len(starts_s) == 192 + quarters
    expected_mc: dict[date, int] = defaultdict(int)
    for at in starts_s:
        of_day = day_of(at // HOUR_S * HOUR_S, PARIS)
        expected_mc[of_day] = min(CAP_MC, expected_mc[of_day] + made_wh(at) * 800 // 1000)
    assert max(expected_mc.values()) == CAP_MC
    found_mc: dict[date, int] = defaultdict(int)
    for window_s, data in works.rows("SELECT window_start_s, columns FROM line_page"):
        found_mc[day_of(window_s, PARIS)] += sum(line["amount_mc"] for line in rows_of(data))
    assert found_mc == expected_mc
    (told,) = cells.days(day, day, "Europe/Paris")
    with works.database.transaction() as connection:
        of_day = energies.read(connection, list(works.ledger.state.admissions.devices()), told)
        assert energies.is_settled(connection, told)
    ana = of_day.measured[ident("ana's")]
    of_it = range(told.start_s, told.end_s, 900)
    assert ana.shape[1] == len(of_it) == quarters
    assert ana[energies.IMPORT_WH].tolist() == [made_wh(at) % 13 for at in of_it]
    assert works.judged() == []


@pytest.mark.parametrize(
    ("at", "rate_mc"),
    [
        (datetime(2024, 3, 31, 0, 45, tzinfo=UTC), 800),  # 01:45, the last quarter before the clocks go on
        (datetime(2024, 3, 31, 1, 0, tzinfo=UTC), 800),  # 03:00: two o'clock was left out
        (datetime(2024, 10, 27, 0, 0, tzinfo=UTC), 100),  # 02:00
        (datetime(2024, 10, 27, 1, 45, tzinfo=UTC), 100),  # 02:45, for the second time
        (datetime(2024, 10, 27, 2, 0, tzinfo=UTC), 800),
        (datetime(2024, 2, 29, 1, 0, tzinfo=UTC), 100),  # a leap day's two o'clock
        (datetime(2024, 2, 29, 22, 45, tzinfo=UTC), 800),
        (datetime(2024, 2, 29, 23, 0, tzinfo=UTC), 700),  # the first of March
    ],
)
def test_rate_when_the_clock_is_changed_or_the_year_leaps(make_works, at, rate_mc):
    """One quarter hour, settled and minted: an hour that is shown twice is twice that hour, one left out is none."""
    times = (
        '[[production.time]]\nhours = "02:00-03:00"\nrate_mc_per_kwh = 100\n'
        '[[production.time]]\nmonths = "mar"\nhours = "00:00-01:00"\nrate_mc_per_kwh = 700\n'
    )
    works = make_works(policy=Policy.parse(POLICY.text.replace("[matched]", times + "[matched]"), where="times"))
    start_s = int(at.timestamp())
    works.closer = Closer(database=works.database, known=works.closer._known, genesis_s=start_s, clock=works.clock)
    works.clock.civil_s = start_s + 900
    works.deliver(works.meters["sun-roof"].sign(start_s, [(0,), (1000,)]))
    works.close_until(start_s + HOUR_S)
    ((data,),) = works.rows("SELECT columns FROM line_page")
    assert [line["amount_mc"] for line in rows_of(data)] == [rate_mc]
    assert works.judged() == []
