"""Held spans before a steward's browser: seen with their picture, decided, carried out by the real stages."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aggregator import testing
from aggregator.private.store import PrivateStore
from aggregator.testing import TIME_S, ident
from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.testing import ManualClock
from ledger import app as app_of_ledger
from ledger.log.note import Signer
from ledger.testing import LOG_KEY, ORIGIN
from tests.aggregator.conftest import Works, assemble, open_works
from tests.web.conftest import Site, serving
from tests.web.office import a_held_span, posted, seen
from tests.web.people import come_in
from web.roles import Role

HOUR_S = 3600


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """A quarter where two homes gave more than they can in a quarter of an hour; the aggregator is stopped."""
    works = open_works(tmp_path)
    works.clock.civil_s = TIME_S + HOUR_S
    works.deliver(
        *works.meters["sun-roof"].sign_each(TIME_S, [(0,), (3000,), (3100,), (3200,), (3300,)]),
        works.meters["ben-main"].sign(TIME_S, [(0, 0), (0, 4000)]),
    )
    works.close_until(TIME_S + HOUR_S)
    testing.write_papers(tmp_path)
    names = PrivateStore(tmp_path / "private.db")
    names.enrol("members", "Lou", ident("sun"))
    names.enrol("sites", "Lou's house", ident("sun's"))
    names.enrol("devices", "the roof", ident("sun-roof"))
    names.save()
    works.database.close()
    works.ledger.close()
    return tmp_path


@contextmanager
def shown(directory: Path) -> Iterator[Site]:
    """Its pages, two hours later."""
    wall = CivilClock(TIME_S + 3 * HOUR_S, time.time(), 1)
    with serving(directory, wall=wall, clock=MonotonicClock()) as site:
        yield site


def carried_out(directory: Path) -> Works:
    """The aggregator starts again and closes another hour."""
    ledger = app_of_ledger.open_parts(directory, Signer(ORIGIN, LOG_KEY))
    works = assemble(directory, ledger, ManualClock(TIME_S + 3 * HOUR_S))
    works.close_until(TIME_S + 3 * HOUR_S)
    return works


def balances_after(directory: Path) -> dict[str, int]:
    """Who has what once the aggregator has carried out what was decided."""
    works = carried_out(directory)
    found = works.balances()
    assert works.rows("SELECT review_place IS NOT NULL FROM held") == [(1,), (1,)]
    works.database.close()
    works.ledger.close()
    return found


HOLD, OTHER = (f"{ident(device).hex()[:8]}@{TIME_S}" for device in ("sun-roof", "ben-main"))


def test_spans_released_and_rejected(browser, held: Path) -> None:
    """Counted at the desk, seen with reason and picture, signed: the aggregator pays what the steward found for one,
    and nothing for the other, after the page has asked again."""
    with shown(held) as site:
        steward = come_in(browser, site, held, "Ada", role="steward")
        page = steward.open("/desk")
        page.get_by_role("link", name="to look at").click()
        assert "More energy than the device's rated power carries" in page.locator("main").inner_text()
        page.get_by_role("link", name="the roof").click()
        assert page.locator("svg .suspect").count() == 1
        assert page.locator("svg .usual").count() == 3
        page.get_by_label("What was found").first.fill("read from the inverter's display")
        page.get_by_label("Another figure").fill("0,5")
        with page.expect_navigation(url="**/holds"):
            page.get_by_role("button", name="Release and sign").click()
        assert "carried out when the next interval closes" in page.locator("main").inner_text()
        assert posted(site, f"/holds/{HOLD}/review", verdict="reject", reason="too late") == (
            200,
            '{"next":"/holds"}',
        )
        page = steward.open(f"/holds/{OTHER}")
        page.get_by_label("What was found").nth(1).fill("a wrong pulse constant")
        page.get_by_role("button", name="Reject and sign").click()
        with page.expect_navigation(url="**/holds"):
            page.get_by_role("button", name="Yes").click()
        steward.close()
    # The roof's three other quarters earned 300 Wh at 800, now 500 more, a tenth is the association's.
    assert balances_after(held) == {"sun": 216 + 360, "association": 24 + 40}


def _wrong(**fields: str) -> dict[str, str]:
    return {"verdict": "release", "reason": "seen", **fields}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (_wrong(kwh="a lot"), "This is no energy: a lot"),
        (_wrong(kwh="1.2345"), "at most three decimals"),
        (_wrong(reason=""), "Something is missing"),
        (_wrong(reason="é" * 150), "The reason is too long"),
        (_wrong(signed="AAAA"), "not what was to be signed"),
    ],
)
def test_review_that_cannot_be_taken(living: Site, fields: dict[str, str], says: str) -> None:
    """A sentence, and nothing in the log."""
    hold = a_held_span(living)
    with living.parts.books.now() as book:
        size = book.size
    status, said = posted(living, f"/holds/{hold}/review", **fields)
    assert (status, says in said) == (422, True), said
    with living.parts.books.now() as book:
        assert book.size == size


def test_town_hall_looks_on(living: Site) -> None:
    """It sees what waits and why, beside other meters; it is not asked to decide."""
    page = seen(living, f"/holds/{a_held_span(living)}", Role.TOWNHALL)
    assert "mean of 23 meters like it" in page
    assert "Release and sign" not in page
    assert posted(living, f"/holds/{a_held_span(living)}/review", Role.TOWNHALL, **_wrong())[0] == 403
