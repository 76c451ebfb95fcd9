"""Paying between two real browsers, by what a camera sees; and everything that people do besides."""

import csv
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
from ledger.book.units import Unit
from tests.web.conftest import Site
from tests.web.people import Person, come_in, earn, session
from web.door import COOKIE
from web.pay import codes, known, purse
from web.roles import Role

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


def test_code_when_it_is_over_or_forged(ana: Person, baker: Person, living: Site) -> None:
    """Expired, ended, mistyped, never made, taken by something else: each has its sentence, and no form to pay."""
    now_s = int(living.parts.wall.now_s())
    with living.parts.store.transaction() as connection:
        common = {"account": ident("baker"), "amount_mc": 500, "memo": ""}
        old = codes.make(connection, **common, lasts=codes.Lasts.HOUR, now_s=now_s - 3601)
        ended = codes.make(connection, **common, lasts=codes.Lasts.ALWAYS, now_s=now_s)
        spoilt = codes.make(connection, **common, lasts=codes.Lasts.DAY, now_s=now_s)
        codes.end(connection, ended.text)
    living.parts.books.submit(_payment("home08", "home10", 1, spoilt.payment))
    told = {
        old.text: "This code is too old",
        ended.text: "This code was ended",
        spoilt.text: "This code was spoilt",
        "000YGJ01": "Nobody asks for anything by this code.",
        "000YGJ02": "This is no code",
        "%3Cb%3E": "This is no code",
    }
    for code, says in told.items():
        page = ana.open(f"/p/{code}")
        assert says in page.inner_text("main")
        assert page.locator("#payment").count() == 0
    page = ana.open("/pay")
    page.fill("#code", "ooo ygj-oi")  # as somebody types it who reads 000YGJ01
    page.locator("#code").press("Enter")
    page.wait_for_url("**/p/000YGJ01")


def test_amount_in_the_browser(ana: Person) -> None:
    """It reads the same table as the server."""
    with AMOUNTS.open() as file:
        rows = [(row["text"], row["meaning"]) for row in csv.DictReader(file)]
    found = ana.open("/pay").evaluate(
        """async (texts) => { const {readAmount} = await import("/static/wallet/amount.js");
        return texts.map((text) => String(readAmount(text))); }""",
        [text for text, _meaning in rows],
    )
    assert found == [meaning for _text, meaning in rows]


def test_payment_when_something_is_wrong(ana: Person, living: Site) -> None:
    """An ambiguous amount is asked, too much is not signed, a script stays a text, a wrong clock dates rightly."""
    page = ana.open(f"/pay/{ident('baker').hex()}")
    for amount, says in {"1.000": "1 or as 1000", "0": "above zero", "999": "not enough for this"}.items():
        page.fill("#amount", amount)
        page.get_by_role("button", name="Go on").click()
        page.wait_for_selector(f"#payment [role=alert] >> text={says}")
    memo = "<script>document.title = 'x'</script>"
    page.fill("#amount", "0,125")
    page.fill("#memo", memo)
    page.evaluate("const real = Date.now; Date.now = () => real() - 3 * 365 * 86400000")  # a phone's wrong clock
    with page.expect_navigation(url="**/paid/*"):
        confirm(page)
    assert memo in page.inner_text("main")
    payment = bytes.fromhex(page.url[-32:])
    with living.parts.books.now() as book:
        made = purse.payment_with(book, payment)
    assert (made.amount_mc, made.memo) == (125, memo)
    assert abs(made.time_s - living.parts.wall.now_s()) < 60


def test_people_to_pay(ana: Person, baker: Person, living: Site) -> None:
    """Shops are listed, members found only if they agreed; favourites are kept, renamed and removed."""
    page = ana.open("/pay?q=home1")
    assert "Nobody of that name wants to be found" in page.inner_text("main")
    with living.parts.store.transaction() as connection:
        known.agree_to_be_found(connection, ident("home11"), agrees=True, now_s=0)
    page = ana.open("/pay?q=HOME1")
    assert page.get_by_role("link", name="home11").count() == 1
    assert page.get_by_role("link", name="home12").count() == 0
    assert page.get_by_role("link", name="baker").count() >= 1
    page = ana.open("/favourites")
    csrf = page.evaluate("document.body.dataset.csrf")
    kept = ana.context.request.post(
        f"{living.url}/favourites", form={"csrf": csrf, "account": ident("baker").hex(), "name": "<i>The bread</i>"}
    )
    assert kept.ok
    assert "<i>The bread</i>" in ana.open("/pay").inner_text("main")
    page = ana.open("/favourites")
    page.get_by_label("What you call them").fill("Bread")
    page.get_by_role("button", name="Rename").click()
    page.wait_for_selector("h2 a:text-is('Bread')")
    page.get_by_role("button", name="Remove").click()
    page.wait_for_selector("text=Nobody yet.")


def test_request_between_members(ana: Person, baker: Person, living: Site) -> None:
    """The baker asks, ana sees it and pays it once; another is put aside first, and paid when it was delivered."""
    before_mc = free_mc(living, "home06")
    for escrow in (False, True):
        page = baker.open("/requests")
        with living.parts.store.transaction() as connection:
            known.put(connection, ident("baker"), known.Favourite(ident("home06"), "Ana"))
        page.reload()
        page.select_option("#payer", ident("home06").hex())
        page.fill("#amount", "1,25")
        page.fill("#memo", "a cake")
        page.set_checked("[name=escrow]", escrow)
        with page.expect_navigation():
            page.get_by_role("button", name="Ask for it").click()
        assert "You have asked Ana for 1.25 credits." in page.inner_text("main")
        ana.open("/home").get_by_role("link", name="Payment requests that wait for you: 1").click()
        page = ana.page
        page.wait_for_url("**/requests")
        assert "baker asks you for 1.25 credits." in page.inner_text("main")
        for label in ("Put it aside", "Pay it") if escrow else ("Pay it",):
            page.get_by_role("button", name=label).click()
            with page.expect_navigation():
                page.locator("#confirm [value=yes]").click()
        assert "No request is open." in page.inner_text("main")
    assert before_mc - free_mc(living, "home06") == 2500


def test_payment_in_a_unit_with_limits(ana: Person, living: Site) -> None:
    """Past the soft limit it is told before signing and after; past the hard limit it is not signed."""
    page = ana.open(f"/pay/{ident('baker').hex()}?unit={int(Unit.MUTUAL)}")
    page.fill("#amount", "0.15")  # the village is warned past 0.1, refused past 0.2
    page.get_by_role("button", name="Go on").click()
    page.wait_for_selector("#sure[open] >> text=After this you owe 0.15 heart")
    with page.expect_navigation(url="**/paid/*"):
        page.locator("#sure [value=yes]").click()
    assert "You owe more than you should." in page.inner_text("main")
    page = ana.open(f"/pay/{ident('baker').hex()}?unit={int(Unit.MUTUAL)}")
    page.fill("#amount", "0.1")
    page.get_by_role("button", name="Go on").click()
    page.wait_for_selector("#payment >> text=not enough for this")


def test_browser_without_the_key(browser: Any, living: Site) -> None:
    """Who signed in elsewhere, or lost the key, is told before anything is typed."""
    context = browser.new_context(service_workers="block", locale="en-GB")
    context.add_cookies([{"name": COOKIE, "value": session(living, Role.RESIDENT), "url": living.url}])
    page = context.new_page()
    page.goto(f"{living.url}/pay/{ident('baker').hex()}")
    page.wait_for_selector("text=This browser does not have your key.")
    assert page.get_by_role("button", name="Go on").is_disabled()
    context.close()
