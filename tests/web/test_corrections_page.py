"""Taking back: a payment undone by two offices, a measurement corrected and carried out by the real stages."""

import time
from pathlib import Path
from urllib.parse import quote

import pytest

from aggregator import testing
from aggregator.private.store import PrivateStore
from aggregator.testing import GENESIS, TIME_S, ident, key
from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.testing import ManualClock
from ledger import app as app_of_ledger
from ledger.book.body import Transfer
from ledger.book.entry import Entry
from ledger.log.note import Signer
from ledger.sequencer import Placed
from ledger.testing import LOG_KEY, ORIGIN
from tests.aggregator.conftest import assemble, open_works
from tests.web.conftest import serving
from tests.web.office import posted, seen
from tests.web.people import come_in
from web import app
from web.roles import Role

HOUR_S = 3600


@pytest.fixture
def quarter(tmp_path: Path) -> Path:
    """A roof that made 2 kWh in an hour, minted; its owner paid Ben for two eggs; the aggregator is stopped."""
    works = open_works(tmp_path)
    works.clock.civil_s = TIME_S + HOUR_S
    works.deliver(*works.meters["sun-roof"].sign_each(TIME_S, [(0,), (500,), (1000,), (1500,), (2000,)]))
    works.close_until(TIME_S + HOUR_S)
    testing.write_papers(tmp_path)
    names = PrivateStore(tmp_path / "private.db")
    names.enrol("members", "Lou", ident("sun"))
    names.enrol("members", "Ben", ident("ben"))
    names.enrol("devices", "the roof", ident("sun-roof"))
    names.save()
    paid = Entry(ident("paid"), TIME_S + 2 * HOUR_S, Transfer(ident("sun"), ident("ben"), 300, "two eggs"))
    (answer,) = works.ledger.submit([paid.sign(key("sun"), GENESIS)])
    assert isinstance(answer, Placed)
    works.ledger.publish()
    works.database.close()
    works.ledger.close()
    return tmp_path


def test_payment_undone_and_measurement_taken_back(browser, quarter: Path) -> None:
    """The steward proposes, the town hall completes; each sees the effect before and is asked again."""
    wall = CivilClock(TIME_S + 3 * HOUR_S, time.time(), 1)
    with serving(quarter, wall=wall, clock=MonotonicClock()) as site:
        steward = come_in(browser, site, quarter, "Ada", role="steward")
        townhall = come_in(browser, site, quarter, "Max", role="townhall")
        with site.parts.books.now() as book:
            place = book.index.place_of(ident("paid"))
        page = steward.open("/corrections/payment")
        page.get_by_label("Its place in the log").fill(str(place))
        page.get_by_role("button", name="Look").click()
        told = page.locator("main").inner_text()
        assert "Lou paid 0.3 credits to Ben" in told
        assert "two eggs" in told
        page.get_by_label("How much to undo").fill("0,1")
        page.get_by_label("Why").fill("one egg was broken")
        with page.expect_navigation(url="**/desk"):
            page.get_by_role("button", name="Lay it on the desks").click()
        with page.expect_navigation():
            page.get_by_role("button", name="Agree").click()
        page = steward.open("/corrections/meter")
        page.get_by_label("Which meter").fill("the roof")
        page.get_by_label("From").fill("2024-07-15T02:00")
        page.get_by_label("To", exact=True).fill("2024-07-15T02:30")
        page.get_by_role("button", name="See what it would do").click()
        assert "Of 1 kWh that were minted, 1 kWh and 0.8 credits are taken back." in page.locator("main").inner_text()
        page.get_by_label("What was found").fill("a lamp shone on the sensor")
        page.get_by_role("button", name="Sign the correction").click()
        with page.expect_navigation(url="**/corrections"):
            page.get_by_role("button", name="Yes").click()
        assert "Others have to sign this" in page.locator("main").inner_text()
        steward.close()
        page = townhall.open("/desk")
        assert "one egg was broken" in page.locator("main").inner_text()
        page.get_by_role("button", name="Sign", exact=True).click()
        with page.expect_navigation():
            page.get_by_role("button", name="Yes").click()
        with site.parts.books.now() as book:
            assert (book.state.book.balance_mc(ident("ben")), book.state.payment(ident("paid")).left_mc) == (200, 200)
        page = townhall.open("/corrections")
        assert "a lamp shone on the sensor" in page.locator("main").inner_text()
        page.get_by_role("button", name="Confirm and sign").click()
        with page.expect_navigation(url="**/corrections"):
            page.get_by_role("button", name="Yes").click()
        townhall.close()
        # What another office signed needs the steward's hand; here by the founders' key, as `web sign` would.
        (body,) = app.office_of(site.parts).to_carry()
        (answer,) = site.parts.books.submit(Entry(ident("carry"), TIME_S, body).sign(key("steward"), GENESIS))
        assert isinstance(answer, Placed)
    ledger = app_of_ledger.open_parts(quarter, Signer(ORIGIN, LOG_KEY))
    works = assemble(quarter, ledger, ManualClock(TIME_S + 4 * HOUR_S))
    before = works.balances()["sun"]
    works.close_until(TIME_S + 3 * HOUR_S)
    assert works.rows("SELECT count(*) FROM correction") == [(1,)]
    assert before == 1440 - 300 + 100
    works.database.close()
    works.ledger.close()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"meter": "nothing"}, "There is no such meter"),
        ({"meter": "home05-main", "from": "soon"}, "no time"),
        ({"meter": "home05-main", "kwh": "a lot"}, "This is no energy: a lot"),
        ({"meter": "home05-main", "to": "2024-07-15T11:59"}, "from one quarter hour to a later one"),
        ({"meter": "home05-main", "from": "2030-07-15T12:00", "to": "2030-07-15T13:00"}, "nothing to take back"),
    ],
)
def test_measurement_that_cannot_be_corrected(living, fields: dict[str, str], says: str) -> None:
    """Told on the page, before anybody is asked to sign; the same when it is posted; no papers are kept."""
    names = PrivateStore(living.directory / "private.db")
    names.enrol("devices", "home05-main", ident("home05-main"))
    names.save()
    asked = {"from": "2024-07-15T12:00", "to": "2024-07-15T13:00", "kwh": "0", **fields}
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    assert says in seen(living, f"/corrections/meter?{query.replace(' ', '+')}")
    status, said = posted(living, "/corrections/meter", reason="found", **asked)
    assert (status, says in said) == (422, True), said
    assert not (living.directory / "papers").exists()


@pytest.mark.parametrize("place", ["0", "999999", "-1", "1e3", "٣"])
def test_place_without_a_payment(living, place: str) -> None:
    """A sentence, whatever was typed."""
    assert "no payment at this place" in seen(living, f"/corrections/payment?place={quote(place)}", Role.OPERATOR)
    status, said = posted(living, "/corrections/payment", Role.OPERATOR, place=place, amount="1", reason="x")
    assert (status, "no payment at this place" in said) == (422, True)
