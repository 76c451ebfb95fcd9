"""A clock that jumps: nothing is closed early, evidence goes on, and gateways put it right."""

import pytest

from aggregator.asking.telling import RequestPublisher
from aggregator.books import Books
from aggregator.clock_watch import AWAY_S, LEAP_S, ClockWatch, Doubt
from aggregator.commune.arrivals import Arrivals
from aggregator.commune.registry import RegistryPublisher
from aggregator.observe.stages import Stages
from aggregator.testing import COMMUNE, GENESIS, TIME_S, key
from commonwatt.testing import ManualClock
from ledger.inbox import Inbox

ANA, BEN, EVE = (bytes([number]) * 16 for number in range(3))


def watch(clock: ManualClock, **how: float) -> ClockWatch:
    return ClockWatch(civil=clock, protocol=clock, **how)


def test_a_clock_that_goes_steadily_is_believed():
    """Weeks of small steps, as NTP makes them, raise no doubt."""
    clock = ManualClock()
    watched = watch(clock)
    for step in range(1000):
        clock.advance(600)
        clock.civil_s += (-1) ** step * 2
        assert watched.tick()
    assert watched.leaps == 0


@pytest.mark.parametrize(("leap_s", "is_believed"), [(LEAP_S, True), (LEAP_S + 1, False)])
def test_a_leap_ahead_stops_closing_when_it_is_larger_than_the_limit(leap_s, is_believed):
    """At the limit and one second over it."""
    clock = ManualClock()
    watched = watch(clock)
    clock.civil_s += leap_s
    assert watched.tick() is is_believed
    assert watched.leaps == int(not is_believed)


def test_doubt_ends_when_the_clock_comes_back():
    """Set wrong and set right again, nothing else is needed."""
    clock = ManualClock()
    watched = watch(clock)
    clock.civil_s += 86_400
    assert not watched.tick()
    clock.advance(60)
    assert not watched.tick()
    clock.civil_s -= 86_400
    assert watched.tick()
    assert (watched.leaps, watched.last_leap_s) == (2, -86_400)


def test_doubt_ends_when_most_gateways_name_the_same_time():
    """A machine that slept: its monotonic clock stood still, and the gateways know the true time. One is not most."""
    clock = ManualClock()
    watched = watch(clock)
    clock.civil_s += 7200
    assert not watched.tick()
    watched.hear(ANA, int(clock.civil_s) - 7200)
    watched.hear(BEN, int(clock.civil_s) - 5)
    assert watched.doubt is Doubt.LEAPT  # one says yes, one says no
    watched.hear(EVE, int(clock.civil_s) - 5)
    assert watched.tick()
    clock.advance(60)
    assert watched.tick()


def test_a_batch_sent_before_an_outage_is_no_word_for_the_time():
    """Old batches that come again do not confirm a wrong clock."""
    clock = ManualClock()
    watched = watch(clock)
    clock.civil_s += 7200
    watched.tick()
    for age_s in (7200, 9000, 100_000):
        watched.hear(ANA, int(clock.civil_s) - age_s)
    assert not watched.tick()


@pytest.mark.parametrize(("away_s", "is_believed"), [(AWAY_S, True), (AWAY_S + 1, False)])
def test_a_start_long_after_the_last_closing_waits_for_a_gateways_word(away_s, is_believed):
    """A battery clock that lost its year must not close a year of intervals."""
    clock = ManualClock()
    watched = watch(clock, known_s=int(clock.civil_s - away_s))
    assert watched.tick() is is_believed
    watched.hear(ANA, int(clock.civil_s))
    assert watched.tick()


def test_a_clock_set_back_closes_nothing_early_and_may_return():
    """Backwards needs no confirmation, and neither does the way back to where it was."""
    clock = ManualClock()
    watched = watch(clock)
    clock.civil_s -= 86_400
    assert watched.tick()
    clock.civil_s += 86_400
    assert watched.tick()


def test_a_demo_that_runs_fast_is_watched_by_its_own_speed():
    """At 1,440 times the speed an hour in three seconds is no leap; a day at once is."""
    clock = ManualClock()
    watched = watch(clock, civil_per_s=1440.0)
    for _ in range(10):
        clock.protocol_s += 2.5
        clock.civil_s += 3600
        assert watched.tick()
    clock.civil_s += 86_400
    assert not watched.tick()


class Silent:
    """A connection that is down."""

    connects = 0
    is_up = False

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        return False


def test_intervals_stay_open_and_evidence_goes_on_when_the_clock_leaps(works):
    """The books of a leap that is put right are those of a clock that never leapt."""
    clock = works.clock
    watched = watch(clock)
    ours = {"commune": COMMUNE, "genesis": GENESIS, "key": key("aggregator")}
    books = Books(
        ledger=works.ledger,
        directory=works.intake.directory,
        closer=works.closer,
        arrivals=Arrivals(
            works.directory,
            inbox=Inbox(works.directory, ledger=works.ledger, clock=clock),
            ledger=works.ledger,
            database=works.database,
        ),
        minter=works.minter,
        registry=RegistryPublisher(**ours),
        requests=RequestPublisher(**ours, clock=clock),
        protocol=clock,
        watch=watched,
        stages=Stages(),
    )
    clock.advance(10)
    clock.civil_s += 30 * 86_400
    books.step(Silent(), works.intake)
    first = works.meters["ana-main"].sign_each(TIME_S, [(70 * index, 0) for index in range(5)])
    assert works.deliver(*first) == {}
    assert works.rows("SELECT count(*) FROM closing") == [(0,)]
    clock.civil_s -= 30 * 86_400
    late = works.meters["ben-main"].sign_each(TIME_S, [(50 * index, 0) for index in range(5)])
    assert works.deliver(*late) == {}
    clock.advance(2 * 3600)
    books.step(Silent(), works.intake)
    assert works.rows(f"SELECT sum(demand_wh) FROM closing WHERE end_s <= {TIME_S + 3600}") == [(4 * 120,)]
