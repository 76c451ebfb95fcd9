"""What stands behind the money and how it moves, in a village whose every figure can be worked out by hand."""

from zoneinfo import ZoneInfo

import pytest

from ledger import testing
from ledger.app import LOG
from ledger.book.body import Redeem, TopUp, Transfer
from ledger.book.kinds import Subject
from ledger.book.mint import SOURCE_MATCHED, SOURCE_PRODUCTION
from ledger.follower import LogFollower
from ledger.log.published import PublishedLog
from ledger.sequencer import Placed
from ledger.testing import TIME_S, account, signed
from tests.web.conftest import Site
from tests.web.test_closing import ask
from web.money import figures
from web.money.figures import Guard, Standing
from web.money.tally import Tally
from web.roles import Role

DAY_S = 86_400
NOW_S = TIME_S + 40 * DAY_S


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory):
    """ana makes 9 kWh of sun; the baker sells 31 loaves, takes euro credits too, and gives some back."""
    directory = tmp_path_factory.mktemp("village")
    ledger = testing.village(directory, "ana", "ben", "cleo")
    put(ledger, testing.member("baker", Subject.MERCHANT))
    leaves = [
        testing.earned("ana", 8000, 1000, source=SOURCE_PRODUCTION),
        testing.earned("ben", 900, 100, source=SOURCE_MATCHED),
    ]
    assert isinstance(testing.mint(ledger, leaves), Placed)
    for number in range(31):
        body = Transfer(account("ana"), account("baker"), 200, f"loaf {number}")
        put(ledger, signed(body, "ana", entry_id=f"loaf {number}", time_s=TIME_S + number * DAY_S))
    put(ledger, signed(Transfer(account("baker"), account("ana"), 3100, ""), "baker", time_s=NOW_S - DAY_S))
    put(ledger, signed(TopUp(account("ben:euro"), 300_000, 30_000, "1"), "steward", time_s=TIME_S))
    put(ledger, signed(Transfer(account("ben:euro"), account("baker:euro"), 40_000, ""), "ben", time_s=TIME_S))
    redeem = Redeem(account("baker:euro"), 10_000, 900, "2")
    put(ledger, signed(redeem, "baker", "steward", time_s=NOW_S))
    ledger.publish()
    tally = Tally(ZoneInfo("Europe/Paris"))
    follower = LogFollower(PublishedLog(directory / LOG), watch=tally)
    yield follower.state, tally
    ledger.close()


def put(ledger, entry: bytes) -> None:
    (answer,) = ledger.submit([entry])
    assert isinstance(answer, Placed), answer


def test_coverage_when_sun_and_euros_stand_behind(village) -> None:
    """9 kWh of sun behind 10 credits, the matched kWh not twice; 291 euros behind 290, of them 30 with shops."""
    found = figures.coverage(*village)
    assert (found.energy_mc, found.backing_wh) == (10_000, 9000)
    assert (found.euro_mc, found.reserve_mc, found.reconvertible_mc) == (290_000, 291_000, 30_000)
    assert found.euro_permille == 1003
    assert [(row.source, row.version, row.credits_mc, row.share_mc, row.energy_wh) for row in found.origins] == [
        (1, 1, 8000, 1000, 9000),
        (2, 1, 900, 100, 1000),
    ]


def test_movement_when_a_loaf_is_bought_each_day(village) -> None:
    """33 payments; three of four take part; ana gives 6.2 and gets half of it back."""
    moved = figures.movement(*village, NOW_S)
    assert (moved.active, moved.members, moved.payments_90) == (3, 4, 33)
    assert moved.volume_90_mc == 31 * 200 + 3100 + 40_000
    assert moved.velocity_permille == moved.volume_90_mc * 365_000 // (90 * 300_000)
    assert moved.reconversion_permille == 30
    assert moved.symmetry_permille == 500
    assert moved.volume_before_mc == 0


def test_guards_when_limits_are_far_near_and_passed(village) -> None:
    """The year's payments as euros; one account above 250; the baker with 31 sales is to be declared."""
    volume, circulation, holdings = figures.guards(*village, NOW_S)
    assert volume.value == (31 * 200 + 3100 + 40_000) // 10
    assert volume.standing is Standing.FAR
    assert 29_000 < circulation.value <= 30_000
    assert (holdings.value, holdings.standing) == (1, Standing.OVER)
    assert [Guard("x", value, 100).standing for value in (79, 80, 100, 101)] == ["far", "near", "near", "over"]
    (baker,) = figures.sellers(*village, NOW_S)
    assert (baker.holder, baker.sales, baker.is_over) == (testing.ident("baker"), 32, True)


def test_earnings_by_day_and_month(village) -> None:
    """The association's share stands on the day of the energy, by source."""
    _state, tally = village
    days = figures.earnings_by_day(tally, TIME_S, 30)
    assert [row for row in days.rows if any(row)] == [(1000, 100, 0, 0, 0, 0)]
    months = figures.earnings_by_month(tally, NOW_S, 12)
    assert sum(map(sum, months.rows)) == 1100
    assert sum(row[0] for row in figures.volume_by_month(tally, NOW_S, 12).rows) == 31 * 200 + 3100 + 40_000


def test_pages_when_the_money_is_looked_at(living: Site) -> None:
    """The association sees all of it, everybody what stands behind the credits."""
    page = ask(living, "GET", "/money", Role.TOWNHALL).text
    assert "What the law counts" in page
    public = living.get("/coverage", accept_language="fr").text
    assert "DAC7" not in public
    assert "28,8 kWh" in public


def test_impact_when_a_day_is_settled(living: Site) -> None:
    """Figures of the last whole week, or why they are not told; residents have no business there."""
    assert ask(living, "GET", "/money/impact", Role.RESIDENT).status == 403
    page = ask(living, "GET", "/money/impact", Role.TOWNHALL)
    assert page.status == 200
    assert "8 July 2024" in page.text
    assert "indicators.toml" in page.text
