"""A home's own energy: its days against what the meters said, homes like it, and what is nobody's to see."""

import csv
import io
from datetime import date, timedelta

import pytest

from aggregator.statements import requests
from aggregator.statements.statement import reason_of
from aggregator.testing import GENESIS, ident, key
from commonwatt.identity import new_id
from commonwatt.registry import Status
from ledger.book.body import SetStatus
from ledger.book.entry import Entry
from ledger.book.kinds import Subject
from ledger.sequencer import Placed
from tests.web.conftest import NOON_S, SLOTS, Site, demand_wh, roof_wh, supply_wh
from tests.web.people import session
from web.door import COOKIE
from web.energy.advice import best_hours
from web.energy.spans import Kind, Span
from web.roles import Role

DAY = "2024-07-15"
FIRST_SLOT = 8
"""The town begins at two in the morning, local time: the local day is in its slots until 22:00 UTC."""
LOCAL_SLOTS = range(SLOTS - FIRST_SLOT)


def get(living: Site, path: str, **headers: str):
    """As home00, which has a meter at its roof."""
    living.parts.homes.days.catch_up(living.parts.homes.commune())
    return living.get(path, cookie=f"{COOKIE}={session(living, Role.RESIDENT)}", accept_language="en", **headers)


def used_by_home00(slots: range) -> int:
    """What it drew, and what its roof made and it did not feed in."""
    return sum(demand_wh(0, slot) + roof_wh(slot) - supply_wh(0, slot) for slot in slots)


def test_day_when_its_home_looks(living: Site) -> None:
    """What was used is what the meter counted, and where it came from adds up to it."""
    answer = get(living, f"/energy/day/{DAY}")
    drawn_wh, fed_wh = (sum(of(0, slot) for slot in LOCAL_SLOTS) for of in (demand_wh, supply_wh))
    used_wh = used_by_home00(LOCAL_SLOTS)
    (day,) = living.parts.homes.days.home(ident("home00's"), date(2024, 7, 15), date(2024, 7, 15)).values()
    assert (day.import_wh, day.export_wh, day.known) == (drawn_wh, fed_wh, len(LOCAL_SLOTS))
    assert answer.status == 200
    assert f"You used {used_wh / 1000:,.1f} kWh" in answer.text
    assert f"Measured: {len(LOCAL_SLOTS)} of 96 quarters" in answer.text
    assert answer.text.count('<svg class="chart"') == 2, "what was used, and what the roof made"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("kind", ["week", "month", "year"])
def test_longer_spans_when_added_up(living: Site, kind: str) -> None:
    """A week, a month and a year hold the same energy as their days."""
    span = Span.of(Kind(kind), date(2024, 7, 15))
    answer = get(living, span.path)
    used_wh = used_by_home00(range(SLOTS))
    assert f"You used {used_wh / 1000:,.1f} kWh" in answer.text
    assert "It is not over yet" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/energy/day/2024-02-30",
        "/energy/day/2024-7-15",
        "/energy/day/24-07-15",
        "/energy/week/2024-07-16",
        "/energy/month/2024-13",
        "/energy/year/0000",
        "/energy/year/9999",
        "/energy/century/2024",
        "/energy/day/2024-07-15%27",
        "/energy/day/2024-07-15?home=00",
        f"/energy/day/2024-07-15?home={ident('home01' + chr(39) + 's').hex()}",
        f"/energy/day/2024-07-15.csv?home={ident('home01' + chr(39) + 's').hex()}",
    ],
)
def test_addresses_that_show_nothing(living: Site, path: str) -> None:
    """Days that never were, days in another spelling, and other people's homes are not there."""
    assert get(living, path).status == 404


def test_day_when_it_is_downloaded(living: Site) -> None:
    """Every quarter of an hour that was measured, in UTC; nothing before the first reading."""
    answer = get(living, f"/energy/day/{DAY}.csv")
    head, *rows = csv.reader(io.StringIO(answer.text))
    assert head[:3] == ["start_utc", "import_wh", "export_wh"]
    assert len(rows) == len(LOCAL_SLOTS)
    assert rows[0][:3] == ["2024-07-15T00:00Z", str(demand_wh(0, 0)), str(supply_wh(0, 0))]
    assert {row[5] for row in rows} == {"0"}, "it has sun of its own when its neighbours have"
    assert get(living, "/energy/year/2024.csv").text.startswith("day,quarters,known")


def test_homes_like_it_when_nobody_agreed(living: Site) -> None:
    """The comparison says why there is none, in plain words."""
    home = living.parts.homes.of(ident("home00"))[0]
    assert (home.has_roof, len(home.devices)) == (True, 2)
    page = get(living, f"/energy/day/{DAY}")
    assert "not been measured for a week" in page.text


def test_request_of_the_operator_when_it_comes(living: Site) -> None:
    """It stands on the day's page, in plain words, until it is over."""
    start_s = NOON_S + 3600
    signed = requests.request(start_s, start_s + 7200, "peak", None).sign(key("operator"), GENESIS)
    body = SetStatus(Subject.ASSOCIATION, ident("association"), Status.ACTIVE, reason_of(signed))
    (answer,) = living.parts.books.submit(Entry(new_id(), NOON_S, body).sign(key("steward"), GENESIS))
    assert isinstance(answer, Placed)
    assert "From 16 July 2024, 15:00 to 17:00, use less if you can" in get(living, "/energy").text
    asked, moved = living.parts.homes.asked(ident("home00's"), start_s + 7200)
    assert (asked, moved) == ([], None)


def test_spans_follow_each_other() -> None:
    """Over leap days, ends of years, and from either side."""
    for kind in Kind:
        span = Span.of(kind, date(2023, 12, 28))
        for _number in range(70):
            assert span.next.before == span
            assert span.next.first == span.last + timedelta(days=1)
            assert Span.parse(kind, str(span)) == span
            assert span.year_before.first.year in (span.first.year - 1, span.first.year)
            span = span.next
    assert len(Span.of(Kind.YEAR, date(2024, 5, 5)).days) == 366


def test_best_hours_when_there_is_sun(living: Site) -> None:
    """They lie in the middle of the day, where roofs gave most that nobody used; without totals nothing is said."""
    living.parts.homes.days.catch_up(living.parts.homes.commune())
    end_s = living.parts.homes.days.known_until_s() or 0
    found = best_hours(living.parts.homes.totals(end_s - 7 * 86_400, end_s), living.parts.homes.zone)
    assert found is not None
    assert 8 <= found.first < found.end <= 19
    assert found.spare_wh > 0
    assert best_hours([], living.parts.homes.zone) is None


def test_pages_of_somebody_without_a_meter(living: Site) -> None:
    """They are told what to do, instead of empty charts."""
    cookie = f"{COOKIE}={session(living, Role.MERCHANT)}"
    answer = living.get("/energy", cookie=cookie, accept_language="en")
    assert (answer.status, "Add a device" in answer.text) == (200, True)
    assert living.get("/energy/day/2024-07-15.csv", cookie=cookie).status == 404
