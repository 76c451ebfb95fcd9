"""The operator's room: a peak announced from a browser reaches the log by the aggregator's key; refused requests."""

import time
from collections.abc import Iterator

import pytest

from aggregator.private.store import PrivateStore
from aggregator.statements import requests
from aggregator.testing import TIME_S, ident, write_papers
from commonwatt.clock import CivilClock, MonotonicClock
from ledger.book.body import SetStatus
from ledger.book.entry import SignedEntry, parse
from tests.aggregator.conftest import open_works
from tests.web.conftest import Site, serving
from tests.web.office import posted, seen
from tests.web.people import come_in
from web.roles import Role

HOUR_S = 3600


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The quarter with a feeder, its aggregator stopped and its key beside the pages."""
    directory = tmp_path_factory.mktemp("quarter")
    works = open_works(directory)
    works.database.close()
    works.ledger.close()
    write_papers(directory)
    names = PrivateStore(directory / "private.db")
    names.enrol("feeders", "Mill Lane", ident("mill"))
    names.save()
    wall = CivilClock(TIME_S + 3 * HOUR_S, time.time(), 1)
    told = {"grafana_url": "https://grafana.example/d/operator"}
    with serving(directory, wall=wall, clock=MonotonicClock(), told=told) as site:
        yield site


def _peak(**fields: str) -> dict[str, str]:
    return {"kind": "peak", "from": "2024-07-15T18:00", "to": "2024-07-15T20:00", **fields}


def test_peak_announced_in_a_browser(browser, quarter: Site) -> None:
    """Signed by the operator's own key, dated by the aggregator's; it stands on the page, with the way to Grafana."""
    operator = come_in(browser, quarter, quarter.directory, "Gus", role="operator")
    page = operator.open("/grid")
    assert page.get_by_role("link", name="Open the dashboards").get_attribute("href") == (
        "https://grafana.example/d/operator"
    )
    page.get_by_label("From").fill("2024-07-15T18:00")
    page.get_by_label("To").fill("2024-07-15T20:00")
    page.get_by_label("Whom it concerns").select_option("Mill Lane")
    page.get_by_role("button", name="Sign and announce").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Yes").click()
    told = page.locator("main").inner_text()
    assert "15 July 2024, 18:00 – 20:00" in told
    assert "use less · Mill Lane" in told
    with quarter.parts.books.now() as book:
        (request,) = requests.of(quarter.parts.said.stated(book.state))
        entry = parse(book.entry(request.place))
    assert (request.feeder, request.is_peak, request.end_s - request.start_s) == (ident("mill"), True, 2 * HOUR_S)
    assert isinstance(entry, SignedEntry)
    assert isinstance(entry.entry.body, SetStatus)
    status, said = posted(quarter, "/grid/announce", Role.OPERATOR, **_peak(feeder=ident("mill").hex()))
    assert (status, "asked for something at that time already" in said) == (422, True)
    operator.close()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (_peak(kind="war"), "not said whether less or more"),
        (_peak(to="2024-07-16T18:00"), "twelve hours at most"),
        (_peak(to="2024-07-15T18:05"), "from one quarter hour to another"),
        (_peak(**{"from": "2024-07-15T01:00", "to": "2024-07-15T02:00"}), "would have begun already"),
        (_peak(**{"from": "2025-07-15T18:00", "to": "2025-07-15T20:00"}), "days ahead"),
        (_peak(**{"from": "tonight"}), "no time"),
        (_peak(feeder="xyz"), "knows no such feeder"),
        (_peak(feeder="00" * 15 + "01"), "knows no such feeder"),
    ],
)
def test_request_that_cannot_be_meant(quarter: Site, fields: dict[str, str], says: str) -> None:
    """A sentence before anybody signs."""
    status, said = posted(quarter, "/grid/announce", Role.OPERATOR, **fields)
    assert (status, says in said) == (422, True), said


def test_pages_without_the_aggregators_key(living: Site) -> None:
    """They show what is asked and say how to announce; nobody else announces anything."""
    (living.directory / "keys" / "aggregator.key").unlink()
    assert "served without the aggregator" in seen(living, "/grid", Role.OPERATOR)
    assert "Announce another" not in seen(living, "/grid", Role.TOWNHALL)
    assert posted(living, "/grid/announce", Role.TOWNHALL, **_peak())[0] == 403
