"""What claims come to: by the clock on the wall, by who signed, and never above a cap; columns against plain sums."""

from collections import defaultdict
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.earning.local_time import local_times
from aggregator.earning.worth import ClaimColumns, worth
from aggregator.policy.rules import DEFAULT_FILE, Policy
from aggregator.testing import POLICY, TIME_S
from commonwatt.testing_pages import rows_of
from ledger.book.kinds import Grade

PARIS = ZoneInfo("Europe/Paris")
HOUR_S, DAY_S = 3600, 86_400


def rules(more: str):
    """The default policy with hourly windows and more to say of matched consumption (200)."""
    text = DEFAULT_FILE.read_text().partition("# What a council")[0].replace("86400", "3600")
    return Policy.parse(text + more, where="tests").rules


def amounts(rules, *rows):
    """Rows: account, source, start, end, Wh, grade; each settled as its last interval closed."""
    return worth(ClaimColumns.of((*row, row[3]) for row in rows), rules).amounts_mc.tolist()


@given(st.integers(0, 2**31 - 1))
def test_local_time_when_compared_with_the_calendar(time_s):
    """Month, weekday and quarter hour are those of datetime, winter and summer."""
    (found,) = zip(*local_times(np.array([time_s]), PARIS), strict=True)
    there = datetime.fromtimestamp(time_s, PARIS)
    assert found == (there.month - 1, there.weekday(), there.hour * 4 + there.minute // 15)


def utc(*fields: int) -> int:
    return int(datetime(*fields, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("start_s", "amount_mc"),
    [
        (utc(2024, 7, 15, 8, 45), 200),
        (utc(2024, 7, 15, 9, 0), 100),  # eleven in summer
        (utc(2024, 7, 15, 13, 45), 100),
        (utc(2024, 7, 15, 14, 0), 200),
        (utc(2024, 12, 16, 9, 0), 200),
        (utc(2024, 12, 16, 10, 0), 100),  # eleven in winter
        (utc(2024, 12, 14, 10, 0), 200),  # a Saturday
        (utc(2024, 10, 27, 0, 30), 50),  # half past two by summer time, on a Sunday
        (utc(2024, 10, 27, 1, 30), 50),  # half past two again
        (utc(2024, 10, 27, 2, 0), 200),
    ],
)
def test_rate_when_the_clock_is_on_the_wall(start_s, amount_mc):
    """Hours are those that people see, in both halves of the year and in the night between."""
    day = '[[matched.time]]\nhours = "11:00-16:00"\nweekdays = "mon-fri"\nrate_mc_per_kwh = 100\n'
    night = '[[matched.time]]\nhours = "02:00-03:00"\nweekdays = "sun"\nrate_mc_per_kwh = 50\n'
    assert amounts(rules(day + night), (0, 2, start_s, start_s + 900, 1000, Grade.DEVICE)) == [amount_mc]


def test_rate_when_hours_go_past_midnight_and_the_first_fits():
    """22:00 to 06:00 is one night; of two times that fit the first counts."""
    text = '[[matched.time]]\nhours = "22:00-06:00"\nrate_mc_per_kwh = 20\n[[matched.time]]\nrate_mc_per_kwh = 30\n'
    starts = [utc(2024, 7, 15, hour) for hour in (19, 20, 3, 4)]
    found = amounts(rules(text), *((0, 2, start, start + 900, 1000, Grade.DEVICE) for start in starts))
    assert found == [30, 20, 20, 30]


def test_rate_when_a_gap_spans_several():
    """The lowest of the intervals it touches."""
    text = '[[matched.time]]\nhours = "11:00-16:00"\nrate_mc_per_kwh = 100\n'
    start_s = utc(2024, 7, 15, 8, 30)
    rows = [(0, 2, start_s, end_s, 1000, Grade.DEVICE) for end_s in (start_s + 1800, start_s + 2700)]
    assert amounts(rules(text), *rows) == [200, 100]


def test_worth_when_a_gateway_signed():
    """Thousandths by grade, rounded down once."""
    found = rules("grade_permille = { device = 999, gateway = 500 }\n")
    rows = [(0, source, TIME_S, TIME_S + 900, 1003, grade) for source in (1, 2) for grade in (1, 2)]
    assert amounts(found, *rows) == [802, 802, 200, 100]


def test_worth_when_the_energy_has_no_place_in_63_bits():
    """Exact as whole numbers are."""
    (found,) = amounts(rules(""), (0, 1, 0, 900, 10**16 + 1, Grade.DEVICE))
    assert found == (10**16 + 1) * 800 // 1000


claims = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 2), st.integers(0, 4 * 24 * 3), st.integers(0, 40_000)), max_size=40
)


@given(claims, st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 9000))
def test_caps_when_compared_with_counting(rows, per_window, per_day, per_month):
    """Columns say what one gets by going through the claims one after the other, with all three caps."""
    found = rules(f"cap_mc_per_window = {per_window}\ncap_mc_per_day = {per_day}\ncap_mc_per_month = {per_month}\n")
    first_s = utc(2024, 7, 30)  # the third day is in August
    ordered = sorted((first_s + 900 * at, account, source, wh) for account, source, at, wh in rows)
    columns = [(account, source, start_s, start_s + 900, wh, 1) for start_s, account, source, wh in ordered]
    used = defaultdict(int)
    expected = []
    for account, source, start_s, _end_s, energy_wh, _grade in columns:
        amount = energy_wh * {1: 800, 2: 200}[source] // 1000
        if source == 2:
            there = datetime.fromtimestamp(start_s // HOUR_S * HOUR_S, PARIS)
            for span, cap in (
                (("window", start_s // HOUR_S), per_window),
                (("day", there.date()), per_day),
                (("month", there.month), per_month),
            ):
                amount = min(amount, cap - used[account, span])
                used[account, span] += amount
        expected.append(amount)
    assert amounts(found, *columns) == expected


@given(claims, st.integers(0, 3000))
def test_caps_when_windows_are_valued_one_by_one(rows, per_day):
    """What was used is handed on: the same as all at once."""
    found = rules(f"cap_mc_per_day = {per_day}\n")
    ordered = sorted((TIME_S + 900 * at, account, source, wh) for account, source, at, wh in rows)
    columns = [(account, source, start_s, start_s + 900, wh, 1) for start_s, account, source, wh in ordered]
    used, one_by_one = {}, []
    for window in sorted({row[2] // HOUR_S for row in columns}):
        part = ClaimColumns.of((*row, row[3]) for row in columns if row[2] // HOUR_S == window)
        answer = worth(part, found, used)
        used = answer.used_mc
        one_by_one += answer.amounts_mc.tolist()
    assert one_by_one == amounts(found, *columns)


def capped_policy(more: str) -> Policy:
    return Policy.parse(POLICY.text + more, where="capped")


def test_mints_when_a_cap_is_met(make_works):
    """Two windows of one local day and one of the next: the lines, the mints and what is remembered."""
    works = make_works(policy=capped_policy("cap_mc_per_day = 50\n"))
    meters = works.meters
    hours = range(24)
    for hour in hours:  # 100 Wh of the sun's are used next door in every hour, at 200 mc a kWh
        start_s = TIME_S + HOUR_S * hour
        works.clock.civil_s = max(works.clock.civil_s, start_s + HOUR_S)
        works.deliver(
            meters["sun-main"].sign(start_s, [(0, 200 * hour), (0, 200 * hour + 200)], step_s=900),
            meters["ana-main"].sign(start_s, [(100 * hour, 0), (100 * hour + 100, 0)], step_s=900),
            meters["sun-main"].sign(start_s + HOUR_S, [(0, 200 * hour + 200)]),
            meters["ana-main"].sign(start_s + HOUR_S, [(100 * hour + 100, 0)]),
        )
    works.close_until(TIME_S + DAY_S)
    pages = works.rows("SELECT columns FROM line_page ORDER BY window_start_s")
    lines = [line["amount_mc"] for (data,) in pages for line in rows_of(data) if line["source"] == 2]
    # TIME_S is midnight UTC, two o'clock in France: 22 windows begin on the first day.
    assert lines == [20, 20, 10, 20, 20]
    assert works.rows("SELECT span, amount_mc FROM cap_used") == [("day", 40)]
    again = make_works.reopen(works)
    again.close_until(TIME_S + DAY_S)
    assert again.balances() == works.balances()
    assert again.judged() == []
