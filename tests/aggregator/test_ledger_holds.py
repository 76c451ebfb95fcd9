"""A hold that roles put into the ledger stops one claim, never the mint-run of everyone."""

import pytest

from aggregator.evidence.deletion import DAY_S
from aggregator.observe.state import books_of
from aggregator.testing import TIME_S, ident
from ledger.book.body import Hold, Release
from ledger.testing import entry_id, signed

HOUR_S = 3600
MATCHED = 2


def share(works, hours: int) -> dict[str, int]:
    """The sun has 1000 Wh to give in each quarter of an hour, Ana uses about 300; what everybody has
    after so many hours."""
    works.clock.civil_s = TIME_S + HOUR_S * hours
    quarters = range(4 * hours + 1)
    works.deliver(
        *works.meters["sun-roof"].sign_each(TIME_S, [(1000 * quarter + quarter % 3,) for quarter in quarters]),
        *works.meters["sun-main"].sign_each(TIME_S, [(0, 900 * quarter + quarter % 3) for quarter in quarters]),
        *works.meters["ana-main"].sign_each(TIME_S, [(300 * quarter + quarter % 3, 0) for quarter in quarters]),
    )
    works.close_until(TIME_S + HOUR_S * hours)
    return works.balances()


def hold_first_hour(works) -> None:
    """A steward stops what Ana earns in the first hour."""
    hold = Hold(ident("ana"), MATCHED, TIME_S, TIME_S + HOUR_S, 5, "is that her meter?")
    works.ledger.submit([signed(hold, "steward", entry_id="hold")])


def waiting(works) -> tuple[object, ...]:
    """How many runs are prepared and not minted, and how many pages they have."""
    return works.rows(
        "SELECT count(DISTINCT id), count(part) FROM run LEFT JOIN run_page ON run_id = id WHERE place IS NULL"
    )[0]


@pytest.mark.engines("sqlite", "postgres")
def test_a_held_claim_waits_and_nobody_else(make_works):
    """The others get theirs, she gets what comes after; a restart repeats nothing; released, all is as ever."""
    undisturbed = share(make_works(), hours=2)
    works = make_works()
    hold_first_hour(works)
    held = share(works, hours=2)
    assert held["sun"] == undisturbed["sun"]
    assert 0 < held["ana"] < undisturbed["ana"]
    assert waiting(works) == (1, 1)
    again = make_works.reopen(works)
    assert again.minter.step() == 0
    assert again.balances() == held
    again.ledger.submit([signed(Release(entry_id("hold"), True, "it is"), "steward")])
    assert again.minter.step() == 1
    assert again.balances() == undisturbed
    assert waiting(again) == (0, 0)
    assert again.minter.step() == 0


def test_a_claim_that_is_refused_for_good_waits_no_more(make_works):
    """It is never minted, so it is prepared no longer; its runs were not of others' making."""
    works = make_works()
    hold_first_hour(works)
    held = share(works, hours=2)
    works.ledger.submit([signed(Release(entry_id("hold"), False, "it is not"), "steward")])
    assert works.minter.step() == 0
    assert waiting(works) == (0, 0)
    assert works.balances() == held


def test_a_window_of_held_claims_alone_waits_whole(make_works):
    """Nothing is put aside again and again, and a claim held meanwhile is parted from those that are free."""
    works = make_works()
    hold_first_hour(works)
    share(works, hours=1)
    (before,) = works.rows("SELECT id FROM run WHERE place IS NULL")
    assert works.minter.step() == 0
    assert works.rows("SELECT id FROM run WHERE place IS NULL") == [before]


def test_a_held_claim_is_no_ill_of_the_outbox(make_works):
    """Who watches is not woken for what a steward wants to wait."""
    works = make_works()
    hold_first_hour(works)
    share(works, hours=2)
    look = {"witnesses": None, "due_s": 0.0, "civil_s": TIME_S + DAY_S, "wall_s": 0.0}
    told = books_of(works.database, works.directory, {}, held=works.minter.held, **look)
    assert (told.outbox_runs, told.outbox_age_s) == (0, 0.0)
    told = books_of(works.database, works.directory, {}, held=frozenset(), **look)
    assert told.outbox_runs == 1


def test_a_claim_that_a_hold_over_part_of_its_window_stranded(make_works):
    """Released after later windows were minted it is never minted: it waits, who watches sees it, others go on."""
    works = make_works()
    hold = Hold(ident("ana"), MATCHED, TIME_S, TIME_S + HOUR_S // 8, 5, "is that her meter?")
    works.ledger.submit([signed(hold, "steward", entry_id="hold")])
    before = share(works, hours=2)
    works.ledger.submit([signed(Release(entry_id("hold"), True, "it is"), "steward")])
    assert works.minter.step() == 0
    assert waiting(works) == (1, 1)
    assert works.balances() == before
    look = {"witnesses": None, "due_s": 0.0, "civil_s": TIME_S + DAY_S, "wall_s": 0.0}
    assert books_of(works.database, works.directory, {}, held=works.minter.held, **look).outbox_runs == 1
    third = range(9, 13)
    works.clock.civil_s = TIME_S + 3 * HOUR_S
    works.deliver(
        *works.meters["sun-roof"].sign_each(TIME_S + 9 * 900, [(1000 * at + at % 3,) for at in third]),
        *works.meters["sun-main"].sign_each(TIME_S + 9 * 900, [(0, 900 * at + at % 3) for at in third]),
        *works.meters["ana-main"].sign_each(TIME_S + 9 * 900, [(300 * at + at % 3, 0) for at in third]),
    )
    works.close_until(TIME_S + 3 * HOUR_S)
    after = works.balances()
    assert after["sun"] > before["sun"]
    assert after["ana"] > before["ana"]
    assert waiting(works) == (1, 1)
