"""Paying between two real browsers, by what a camera sees; and everything that people do besides."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from aggregator.testing import GENESIS, TIME_S, ident, key
from ledger.book.body import Transfer
from ledger.book.entry import Entry
from tests.web.conftest import Site
from tests.web.people import Person, come_in, earn
from web.pay import codes

pytestmark = pytest.mark.xdist_group("pay")  # one town and two browsers for all
AMOUNTS = Path(__file__).with_name("amounts.csv")


@pytest.fixture(scope="module")
def baker(browser: Any, living: Site) -> Iterator[Person]:
    person = come_in(browser, living, living.directory, "baker", account=ident("baker"))
    yield person
    person.close()


@pytest.fixture(scope="module")
def ana(browser: Any, living: Site) -> Iterator[Person]:
    """A resident with a roof, who has some credits."""
    earn(living, home06=20_000, home08=5_000)
    person = come_in(browser, living, living.directory, "home06", account=ident("home06"))
    person.context.set_default_timeout(8000)
    yield person
    person.close()


def free_mc(living: Site, name: str) -> int:
    with living.parts.books.now() as book:
        return book.state.book.free_mc(ident(name))


def seen(page: Any) -> str:
    """What a camera reads off a page."""
    picture = Image.open(io.BytesIO(page.locator("svg.qr").screenshot()))
    (found,) = zxingcpp.read_barcodes(picture)
    return str(found.text)


def asks(person: Person, amount: str, memo: str = "", lasts: str = "day") -> str:
    """Somebody makes a code; its eight symbols."""
    page = person.open("/ask")
    page.fill("#amount", amount)
    page.fill("#memo", memo)
    page.select_option("#lasts", lasts)
    with page.expect_navigation(url=re.compile("/ask/.{8}$")):
        page.get_by_role("button", name="Show the code").click()
    return str(page.url[-8:])


def confirm(page: Any) -> None:
    page.get_by_role("button", name="Go on").click()
    page.locator("#sure [value=yes]").click()


def test_pay_between_two_browsers(ana: Person, baker: Person, living: Site) -> None:
    """One shows a code, the other opens what the camera reads and pays; both see it, once, with name and amount."""
    before_mc = free_mc(living, "baker")
    code = asks(baker, "1,5", "two baguettes")
    address = seen(baker.page)
    assert address == f"{living.url}/p/{code}"
    ana.page.goto(address)
    assert "two baguettes" in ana.page.inner_text("main")
    ana.page.get_by_role("button", name="Go on").click()
    assert ana.page.locator("#sure[open]").inner_text().startswith("Pay 1.5 credits to baker?")
    with ana.page.expect_navigation(url="**/paid/*"):
        ana.page.locator("#sure [value=yes]").click()
    assert "You have paid baker." in ana.page.inner_text("main")
    baker.page.wait_for_selector("text=home06 has paid you.")
    assert "1.5 credits" in baker.page.inner_text("main")
    assert free_mc(living, "baker") - before_mc == 1500


def test_code_when_paid_again(ana: Person, baker: Person, living: Site) -> None:
    """Back button, the same address, a second tab that was open before, and a double tap: one payment."""
    code = asks(baker, "0.5")
    before_mc = free_mc(living, "baker")
    page, tab = ana.page, ana.context.new_page()
    for each in (page, tab):
        each.goto(f"{living.url}/p/{code}")
    page.get_by_role("button", name="Go on").click()
    with page.expect_navigation(url="**/paid/*"):
        page.locator("#sure [value=yes]").dblclick()
    confirm(tab)
    tab.wait_for_url("**/paid/*")
    assert tab.url == page.url
    tab.close()
    page.go_back()
    page.wait_for_load_state()
    assert "/p/" not in page.url or "paid already" in page.inner_text("main")
    page.goto(f"{living.url}/p/{code}")
    assert "You have paid 0.5 credits to baker." in page.inner_text("main")
    assert free_mc(living, "baker") - before_mc == 500


def test_code_when_somebody_else_was_faster(ana: Person, baker: Person, living: Site) -> None:
    """The second to pay is told so; nothing goes away from them."""
    code = asks(baker, "0.5")
    page = ana.open(f"/p/{code}")
    with living.parts.store.transaction() as connection:
        payment = codes.find(connection, code).payment
    other = _payment("home08", "baker", 500, payment)
    living.parts.books.submit(other)
    before_mc = free_mc(living, "home06")
    confirm(page)
    page.wait_for_selector("[role=alert]:visible")
    assert "paid already" in page.locator("#payment [role=alert]").inner_text()
    assert free_mc(living, "home06") == before_mc
    assert "has been paid by somebody" in ana.open(f"/p/{code}").inner_text("main")


def _payment(payer: str, payee: str, amount_mc: int, payment: bytes) -> bytes:
    body = Transfer(ident(payer), ident(payee), amount_mc, "")
    return Entry(payment, TIME_S, body).sign(key(payer), GENESIS)
