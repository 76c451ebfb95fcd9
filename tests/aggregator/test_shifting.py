"""Use that moved, measured against the home's own days; taking part in savings; and what homes are told."""

import time
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from aggregator.commune.enacted import Known
from aggregator.commune.registry import Directory
from aggregator.earning import saving_rows, shifting_rows
from aggregator.earning import window as windows
from aggregator.earning.local_time import start_of
from aggregator.earning.saving_rows import Part, Told
from aggregator.earning.shifting import Reason, Shifted, measure, sentence
from aggregator.earning.shifting_rows import Site
from aggregator.earning.window import Window
from aggregator.evidence import store
from aggregator.policy.rules import Policy
from aggregator.policy.terms import Shifting
from aggregator.private.store import PrivateStore
from aggregator.settling.history import UNKNOWN
from aggregator.statements import declaring
from aggregator.statements.requests import Request
from aggregator.statements.signers import Signer
from aggregator.statements.statement import EVERYBODY, Statement, Topic
from aggregator.statements.values import Stated
from aggregator.testing import POLICY, TIME_S, commonwatt, ident, write_papers
from bench.savings import shifted

HOUR_S, DAY_S = 3600, 86_400
PARIS = ZoneInfo("Europe/Paris")
TERMS = Shifting(rate_mc_per_kwh=500)
SHIFTING = "[shifting]\nrate_mc_per_kwh = 500\ndays = 4\nsure_permille = 1000\n"
SAVINGS = "[savings]\nrate_mc_per_kwh = 300\nperiod_days = 7\ntrue_up_periods = 2\n"
RULES = Policy.parse(POLICY.text + SHIFTING + SAVINGS, where="tests")


def test_a_home_that_uses_less_than_it_ever_did():
    """Mean 1000, the worst forecast of the ten days is wrong by 110, so of 600 saved 490 are sure."""
    days = [1000, 950, 1050, 1000, 1000, 900, 1100, 1000, 1000, 1000]
    sure = TERMS.model_copy(update={"sure_permille": 1000})
    assert measure(400, days, sure, is_peak=True) == Shifted(None, 1000, 400, 489)
    assert measure(1600, days, sure, is_peak=False) == Shifted(None, 1000, 1600, 488)


@pytest.mark.parametrize("used_wh", [900, 1000, 1500])
def test_a_home_that_does_as_usual(used_wh):
    """Nothing, and never a debt."""
    days = [1000, 800, 1200, 1000, 900, 1100, 1000, 1000, 1000, 1000]
    assert measure(used_wh, days, TERMS, is_peak=True).credited_wh == 0


def test_a_home_of_which_too_little_is_known():
    """The first reason that holds, no figure, a sentence each."""
    assert measure(None, [1] * 10, TERMS, is_peak=True) == Shifted(Reason.NOT_MEASURED)
    assert measure(5, [1, None, 1, None, 1], TERMS, is_peak=True) == Shifted(Reason.TOO_FEW_DAYS)
    assert measure(5, [1, None, 1, 1, 1], TERMS, is_peak=True).reason is None
    assert len({sentence(reason) for reason in Reason}) == len(Reason)


def test_forty_homes_that_were_not_asked():
    """Events at random on real days: what is credited for nothing, and how much of a real shift is found."""
    found = shifted.run(events=12)
    assert found.false_positive < 0.025
    assert 0.15 < found.recovered < 1


def site(name: str, feeder: str = "f") -> Site:
    return Site(name.encode(), (name.encode(),), feeder.encode())


def request(day: date, hours=(18, 20), *, ahead_s=DAY_S, feeder=None, is_peak=True) -> Request:
    start_s, end_s = (start_of(day, PARIS) + HOUR_S * hour for hour in hours)
    return Request(7, start_s - ahead_s, start_s, end_s, is_peak, feeder)


def used_by_the_clock(devices, start_s, end_s):
    """Everybody uses as many Wh in a quarter hour as the local hour says, 1 at noon less than at one."""
    from datetime import datetime

    hours = [datetime.fromtimestamp(at, PARIS).hour for at in range(start_s, end_s, 900)]
    return np.tile(np.array(hours, dtype=np.int64), (len(devices), 1))


SITE_A = site("a")


def told(*requests, growth=used_by_the_clock, sites=(SITE_A,)):
    rows = shifting_rows.events(requests, sites, RULES.rules, growth, 0, 2**40)
    return [moved for _request, moved in rows]


def test_an_event_after_the_clock_was_set_back():
    """The days before it are looked at by the clock on the wall: usual use is that of the same hours."""
    (moved,) = told(request(date(2024, 10, 28)))
    assert moved[b"a"] == Shifted(None, 148, 148, 0)


def test_an_event_looks_at_days_of_its_own_kind_without_events():
    """Working days before a Monday; the one with an event at that time is passed over, a morning's event is not."""
    asked = []

    def growth(devices, start_s, end_s):
        asked.append((start_s - start_of(date(2024, 7, 1), PARIS)) // DAY_S)
        return used_by_the_clock(devices, start_s, end_s)

    earlier = [request(date(2024, 7, 12)), request(date(2024, 7, 11), (8, 9))]
    told(*(row for row in earlier), request(date(2024, 7, 15)), growth=growth)
    assert asked[-5:] == [14, 10, 9, 8, 7]


def test_an_event_of_one_feeder():
    """Others are neither asked nor told, and it is no event of theirs."""
    (moved,) = told(request(date(2024, 7, 15), feeder=b"g"), sites=(site("a", "f"), site("b", "g")))
    assert list(moved) == [b"b"]


def test_an_event_that_was_announced_too_late():
    """Two hours' notice in the default; a second less counts for nothing."""
    (moved,) = told(request(date(2024, 7, 15), ahead_s=7199))
    assert moved[b"a"] == Shifted(Reason.ANNOUNCED_LATE)
    (moved,) = told(request(date(2024, 7, 15), ahead_s=7200))
    assert moved[b"a"].reason is None


def test_an_event_that_was_not_measured_whole():
    """One quarter hour unknown is enough."""

    def growth(devices, start_s, end_s):
        rows = used_by_the_clock(devices, start_s, end_s)
        rows[0, 3] = UNKNOWN if start_s >= start_of(date(2024, 7, 15), PARIS) else rows[0, 3]
        return rows

    (moved,) = told(request(date(2024, 7, 15)), growth=growth)
    assert moved[b"a"] == Shifted(Reason.NOT_MEASURED)


STEWARD = Signer(b"", "steward", b"steward")


def part(what, site_id, day, signer=STEWARD, *, ahead_s=DAY_S):
    start_s = start_of(day, PARIS)
    return Stated(1, start_s - ahead_s, Statement(Topic.PART, what, site_id, start_s, start_s + 1), signer)


def test_taking_part():
    """By the steward or who holds the site, from a day that was not over, until one leaves."""
    first, second = date(2024, 7, 1), date(2024, 8, 1)
    holder, stranger = Signer(b"", "", b"ana"), Signer(b"", "", b"ben")
    stated = [
        part("join", b"a" * 16, first),
        part("join", b"b" * 16, first, holder),
        part("join", b"c" * 16, first, stranger),
        part("join", b"d" * 16, first, ahead_s=-2 * DAY_S),
        part("leave", b"a" * 16, second),
    ]
    found = saving_rows.parts(stated, {b"b" * 16: b"ana", b"c" * 16: b"ana"})
    from_s, until_s = (start_of(day, PARIS) for day in (first, second))
    assert found == (Part(b"a" * 16, from_s, until_s), Part(b"b" * 16, from_s, None))


def no_thermometer(_days):
    raise AssertionError("the rules name no station")


def village(saved_permille: int):
    """Twelve homes alike and one, b"h0", that saves so much from the first of July on; by quarter hours."""
    chance = np.random.default_rng(1)
    course = 80 + 40 * chance.random(400)
    names = {f"h{number}".encode(): number for number in range(13)}
    scatter = 1 + 0.03 * chance.standard_normal((13, 400))
    joined = start_of(date(2024, 7, 1), PARIS)
    zero = start_of(date(2024, 1, 1), PARIS)

    def growth(devices, start_s, end_s):
        days = (np.arange(start_s, end_s, 900) - zero) // DAY_S
        rows = np.stack([course[days] * scatter[names[device], days] for device in devices])
        if b"h0" in devices:
            saves = (days * DAY_S + zero) >= joined
            rows[list(devices).index(b"h0"), saves] *= 1 - saved_permille / 1000
        return np.round(rows).astype(np.int64)

    return growth, [Site(name, (name,), None) for name in sorted(names)], joined


def answers(saved_permille: int, days: int = 15) -> list[Told]:
    growth, sites, joined = village(saved_permille)
    rows: list[Told] = []

    def earlier(_site, start_s, end_s):
        periods = [row.saving for row in rows if row.revision == 0 and start_s <= row.start_s and row.end_s <= end_s]
        return sum(s.credited_wh for s in periods), sum(s.held_wh for s in periods)

    for day in range(days):  # window by window, as they close
        span = (joined + DAY_S * day, joined + DAY_S * (day + 1))
        for row in saving_rows.due(
            [Part(b"h0", joined, None)], sites, RULES.rules, growth, span, earlier, no_thermometer
        ):
            rows.append(row)  # noqa: PERF402 - `earlier` looks at them
    return rows


def test_a_home_that_saves_a_fifth_for_two_weeks():
    """A week each, part of it held; then both are measured again and the hold-back is released."""
    first, second, true_up = answers(200)
    assert [row.revision for row in (first, second, true_up)] == [0, 0, 1]
    assert (true_up.start_s, true_up.end_s) == (first.start_s, second.end_s)
    for row in (first, second):
        really_wh = row.saving.used_wh // 4
        assert 0.5 * really_wh < row.saving.lower_wh <= really_wh * 1.05
    held_wh = first.saving.held_wh + second.saving.held_wh
    assert 0 < true_up.released_wh <= held_wh
    paid_wh = first.saving.credited_wh + second.saving.credited_wh + true_up.released_wh
    assert paid_wh <= true_up.saving.lower_wh


def test_a_home_that_saves_nothing():
    """Nothing to speak of, and no true-up where nothing was held."""
    assert sum(row.saving.lower_wh for row in answers(0)) < 0.01 * sum(row.saving.used_wh for row in answers(0))


def live(works, first_day, days, quarter_wh):
    """Every home imports so many Wh a quarter hour, one block a day; `quarter_wh(home, day, quarter)`."""
    for home in ("ana", "ben", "sun"):
        meter, register_wh = works.meters[f"{home}-main"], 0
        for day in range(days):
            rows = [(register_wh, 0)]
            for quarter in range(96):
                register_wh += quarter_wh(home, day, quarter)
                rows.append((register_wh, 0))
            works.deliver(meter.sign(first_day + DAY_S * day, rows))


@pytest.fixture
def asked(make_works):
    """Six Mondays to Saturdays of three homes by hand; Ana used nothing while she was asked on Friday evening."""
    works = make_works(policy=RULES)
    works.clock.civil_s = TIME_S + 6 * DAY_S
    live(works, TIME_S, 6, lambda home, day, q: 0 if (home, day) == ("ana", 4) and 64 <= q < 72 else 100 + q % 7)
    start_s = TIME_S + 4 * DAY_S + 16 * HOUR_S
    peak = Statement(Topic.REQUEST, "peak", EVERYBODY, start_s, start_s + 2 * HOUR_S)
    joined = start_of(date(2024, 7, 12), PARIS)
    stated = (
        Stated(5, start_s - DAY_S, peak, Signer(b"", "operator", b"operator")),
        Stated(6, joined, Statement(Topic.PART, "join", ident("ben's"), joined, joined + 1), STEWARD),
    )
    return works, Known(10, (), stated=stated)


def collected(works, known, end_s):
    meters = Directory.of(works.ledger.state).meters
    with works.database.transaction() as connection:
        window = Window(end_s, RULES, meters, known, store.last_id(connection))
        found = windows.collect(connection, window, frozenset())
        return (
            []
            if found is None
            else list(zip(found.claims.source, found.claims.energy_wh, found.claims.amount_mc, strict=True))
        )


def test_a_window_in_which_an_event_ended(asked):
    """Ana is paid for all that she always used then: her days are alike. Once, in the window of the event's end."""
    works, known = asked
    end_s = TIME_S + 4 * DAY_S + 18 * HOUR_S
    assert collected(works, known, end_s - HOUR_S) == []
    ((source, energy_wh, amount_mc),) = collected(works, known, end_s)
    usual_wh = sum(100 + q % 7 for q in range(64, 72))
    assert (source, energy_wh, amount_mc) == (4, usual_wh, usual_wh // 2)
    assert collected(works, known, end_s + HOUR_S) == []


def test_homes_are_told_why_nothing_can_be_said(asked):
    """Ben takes part; of two others there are too few to compare with. The command says so by name."""
    works, known = asked
    collected(works, known, TIME_S + 4 * DAY_S + 18 * HOUR_S)
    assert collected(works, known, start_of(date(2024, 7, 19), PARIS)) == []
    write_papers(works.directory)
    people = PrivateStore(works.directory / "private.db")
    for name in ("ana's", "ben's"):
        people.enrol("sites", name, ident(name))
    people.save()
    code, text, _errors = commonwatt("savings", "show", works.directory, "ben's")
    assert code == 0
    shifted_line, saved_line = sorted(text.splitlines(), key=lambda line: "saved" in line)
    assert "shifted" in shifted_line
    assert "saved  Too many days were not measured whole." in saved_line
    assert "credited 0.8" in commonwatt("savings", "show", works.directory, "ana's")[1]


def test_joining_by_the_command(asked):
    """Signed by the steward here; a day that is over is refused."""
    works, _known = asked
    works.database.close()
    works.ledger.close()
    write_papers(works.directory)
    people = PrivateStore(works.directory / "private.db")
    people.enrol("sites", "ana's", ident("ana's"))
    people.save()
    clock = ("--clock", f"{TIME_S}@{time.time():.0f}x1")
    code, text, errors = commonwatt("savings", "join", works.directory, "ana's", "--from", "2024-07-16", *clock)
    assert (code, errors) == (0, "")
    assert "It counts from" in text
    day_before = str(date(2024, 7, 15) - timedelta(days=1))
    assert "is over" in commonwatt("savings", "join", works.directory, "ana's", "--from", day_before, *clock)[2]
    assert (
        "no site is called" in commonwatt("savings", "leave", works.directory, "x", "--from", "2024-07-16", *clock)[2]
    )


def test_joining_while_the_aggregator_runs(make_works):
    """Through its inbox; the statement is known to it at once."""
    works = make_works(policy=RULES)
    write_papers(works.directory)
    people = PrivateStore(works.directory / "private.db")
    people.enrol("sites", "ana's", ident("ana's"))
    people.save()
    clock = ("--clock", f"{TIME_S}@{time.time():.0f}x1")
    for what in ("join", "leave"):
        words = ("savings", what, works.directory, "ana's", "--from", "2024-07-16", *clock)
        code, said, errors = works.while_running(*words)
        assert (code, errors) == (0, "")
        assert "It counts from" in said
    assert [item.statement.what for item in declaring.stated_in(works.directory)] == ["join", "leave"]
