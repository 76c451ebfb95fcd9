"""A home that saves, from its meter to its account: judged by the weather, credited at the lower bound, trued up."""

import random
from datetime import date, timedelta

import pytest

from aggregator.earning import weather_rows
from aggregator.earning.local_time import start_of
from aggregator.policy.rules import Policy
from aggregator.private.store import PrivateStore
from aggregator.savings.measure import measure
from aggregator.savings.terms import Terms
from aggregator.settling import history
from aggregator.testing import TIME_S, ident
from commonwatt.testing_pages import rows_of

DAY_S = 86_400
SAVES = 0.75
STATION = "07299"
RULES = f"""version = 1
name = "savings"
grace_s = 3600
window_s = 86400
share_permille = 100
[production]
rate_mc_per_kwh = 800
[matched]
rate_mc_per_kwh = 200
[savings]
rate_mc_per_kwh = 300
period_days = 7
true_up_periods = 2
station = "{STATION}"
weather_days = 1
"""
BASELINE = date(2024, 7, 16)
JOINED = BASELINE + timedelta(days=28)
DAYS = 28 + 14 + 2
HOMES = 11


pytestmark = pytest.mark.xdist_group("savings-paid")  # one worker, one town


@pytest.fixture(scope="module")
def town(found_town, tmp_path_factory):
    """Eleven homes alike for six weeks; the first takes part after four and uses a quarter less from then on."""
    names = [f"home{number:02}" for number in range(HOMES)]
    policy = Policy.parse(RULES, where="tests")
    works = found_town(tmp_path_factory.mktemp("town"), names, policy=policy)
    (works.directory / "policy.toml").write_text(RULES)
    people = PrivateStore(works.directory / "private.db")
    people.enrol("sites", "the mill", ident("home00's"))
    people.save()
    joined_s = start_of(JOINED, policy.rules.zone)
    clock = ("--clock", f"{TIME_S}@0x0.000000001")
    code, _said, errors = works.while_running(
        "savings", "join", works.directory, "the mill", "--from", JOINED, *clock
    )
    assert (code, errors) == (0, "")
    with_weather(works)
    live(works, names, joined_s)
    yield works
    works.database.close()
    works.ledger.close()


def with_weather(works):
    """A summer, not warmer at its end than it was before."""
    days = [BASELINE + timedelta(days=number) for number in range(DAYS)]
    weather_rows.add(works.database, STATION, {day: 200 + day.day % 7 for day in days})


def live(works, names, joined_s):
    dice = random.Random(1)
    registers = dict.fromkeys(names, 0)
    for day in range(DAYS):
        start_s, course, blocks = TIME_S + DAY_S * day, dice.uniform(0.8, 1.2), []
        for number, name in enumerate(names):
            rows = [(registers[name], 0)]
            for quarter in range(96):
                saves = SAVES if number == 0 and start_s + 900 * quarter >= joined_s else 1
                registers[name] += round(dice.uniform(90, 110) * course * saves)
                rows.append((registers[name], 0))
            blocks.append(works.meters[f"{name}-main"].sign(start_s, rows))
        works.clock.civil_s = start_s + DAY_S
        works.deliver(*blocks)
    works.close_until(TIME_S + DAY_S * DAYS)


def told(works):
    """Revision, reason, days from joining to the end of the period, and Wh: expected, used, credited, held."""
    zone = works.closer.schedule.at(TIME_S).rules.zone
    rows = works.rows(
        "SELECT revision, reason, end_s, expected_wh, used_wh, credited_wh, held_wh FROM told WHERE source = 3"
        " ORDER BY end_s, revision"
    )
    return [(row[0], row[1], (row[2] - start_of(JOINED, zone)) // DAY_S, *row[3:]) for row in rows]


def test_a_home_that_qualifies_is_told_what_is_sure(town):
    """Two weeks, each at the lower bound: less than what it saved, more than half of it, three tenths of it held."""
    first, second, true_up = told(town)
    assert [row[:3] for row in (first, second, true_up)] == [(0, 0, 7), (0, 0, 14), (1, 0, 14)]
    for _revision, _reason, _day, expected_wh, used_wh, credited_wh, held_wh in (first, second):
        saved_wh = used_wh / SAVES - used_wh
        assert used_wh < expected_wh
        assert 0.5 * saved_wh < credited_wh + held_wh < saved_wh
        assert held_wh == (credited_wh + held_wh) * 300 // 1000


def test_what_it_saved_is_paid_and_the_true_up_releases_what_was_held(town):
    """Three lines of source 3 under its meter, to the milli-credit; all of them less than what it really saved."""
    first, second, true_up = told(town)
    energies_wh = [first[5], second[5], true_up[5]]
    assert 0 < true_up[5] <= first[6] + second[6]
    assert true_up[5] == min(first[6] + second[6], lower_bound(town) - first[5] - second[5])
    pages = [page for (page,) in town.rows("SELECT columns FROM line_page ORDER BY window_start_s")]
    lines = [row for page in pages for row in rows_of(page) if row["source"] == 3]
    saved = sorted(lines, key=lambda row: (row["end_s"], row["revision"]))
    assert [row["revision"] for row in saved] == [0, 0, 1]
    assert [row["energy_wh"] for row in saved] == energies_wh
    amounts_mc = [wh * 300 // 1000 for wh in energies_wh]
    assert [row["amount_mc"] for row in saved] == amounts_mc
    # The last two were due in one window: one mint, one rounding of the share.
    gross_mc = (amounts_mc[0], amounts_mc[1] + amounts_mc[2])
    balance_mc = town.ledger.state.book.balance_mc(ident("home00"))
    assert balance_mc == sum(mc - mc // 10 for mc in gross_mc)
    used_wh = first[4] + second[4]
    assert sum(energies_wh) < used_wh / SAVES - used_wh


def lower_bound(town):
    """What the true-up measured over both weeks: it is not told, so it is worked out from the same days."""
    zone = town.closer.schedule.at(TIME_S).rules.zone
    edges = [start_of(BASELINE + timedelta(days=number), zone) for number in range(43)]
    names = [f"home{number:02}-main" for number in range(HOMES)]
    with town.database.transaction() as connection:
        rows = history.growth(connection, [ident(name) for name in names], 1, edges[0], edges[-1])
    days = rows.reshape(len(names), 42, 96)
    use = {
        name.encode(): [int(day.sum()) if (day != history.UNKNOWN).all() else None for day in of_home]
        for name, of_home in zip(names, days, strict=True)
    }
    return measure(use, frozenset({b"home00-main"}), [200] * 42, 28, Terms())[b"home00-main"].lower_wh


def test_the_home_reads_what_it_saved(town):
    """By name, in kWh, with the true-up."""
    code, said, errors = town.while_running("savings", "show", town.directory, "the mill")
    assert (code, errors) == (0, "")
    assert said.count("saved") == 2
    assert said.count("true-up") == 1
    assert "credited" in said
