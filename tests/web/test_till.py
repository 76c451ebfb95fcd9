"""The till in a real browser: an amount under the thumb, paid in green, today's sales, slips and money back."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aggregator.testing import GENESIS, ident, key
from ledger.book.body import Transfer
from ledger.book.entry import Entry
from ledger.book.units import Unit
from tests.web.conftest import Site
from tests.web.people import Person, come_in, earn
from web.pay import codes
from web.pay.purse import Payment
from web.till.sales import day_of, start_of_day_s

pytestmark = pytest.mark.xdist_group("till")  # one town and one baker for all
BAKER, ANA, BEN = ident("baker"), ident("home06"), ident("home08")


@pytest.fixture(scope="module")
def baker(browser: Any, living: Site) -> Iterator[Person]:
    earn(living, home06=20_000)
    tablet = {"width": 800, "height": 1180}
    person = come_in(browser, living, living.directory, "baker", account=BAKER, size=tablet)
    person.context.set_default_timeout(8000)
    yield person
    person.close()


def pays(living: Site, code: str, amount_mc: int) -> bytes:
    """home06 pays by a code, as their phone would; the payment's id."""
    with living.parts.store.transaction() as connection:
        payment = codes.find(connection, code).payment
    paid = Entry(payment, int(living.parts.wall.now_s()), Transfer(ANA, BAKER, amount_mc, "bread"))
    living.parts.books.submit(paid.sign(key("home06"), GENESIS))
    return payment


def typed(page: Any, keys: str) -> str:
    """An amount on the pad; the code that is shown."""
    for each in keys:
        page.locator(f"#pad [data-key='{each}']").click()
    page.get_by_role("button", name="Show the code").click()
    page.wait_for_selector("#shown svg.qr")
    return str(page.inner_text("[data-part=code]")).replace("-", "")


def test_till_when_a_customer_pays(baker: Person, living: Site) -> None:
    """The pad's amount becomes a code; its payment turns the screen green, rings, and can be printed; one tap leads
    to the next customer."""
    page = baker.open("/till")
    code = typed(page, "4.25")
    assert "4.25 credits" in page.inner_text("#shown")
    payment = pays(living, code, 4250)
    page.wait_for_selector("#done:visible")
    assert "home06 has paid you." in page.inner_text("#done")
    assert page.evaluate("getComputedStyle(document.getElementById('done')).backgroundColor") == "rgb(23, 96, 59)"
    assert page.evaluate("document.body.dataset.rang") == "yes"
    page.get_by_role("button", name="Next customer").click()
    assert page.input_value("#amount") == ""
    assert page.locator("#till").is_visible()
    slip = baker.open(f"/till/slip/{payment.hex()}").inner_text(".slip")
    with living.parts.books.now() as book:
        place = book.index.place_of(payment)
    assert all(part in slip for part in ("baker", "home06", "4.25 credits", "bread", f"{place}-", "testville"))
    page.emulate_media(media="print")
    assert not page.locator("header").is_visible()
    assert page.locator(".slip").bounding_box()["width"] <= 80 / 25.4 * 96
    page.emulate_media(media="screen")


def test_till_when_it_is_muted_and_cancelled(baker: Person, living: Site) -> None:
    """Without its sound nothing rings; a cancelled code cannot be paid any more; a wrong amount is told."""
    page = baker.open("/till")
    page.uncheck("#sound input")
    code = typed(page, "3")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("#till:visible")
    page.evaluate(
        """async (code) => { const state = async () => (await (await fetch(`/p/${code}/state`)).json()).standing;
        while (await state() !== "ended") await new Promise((go) => setTimeout(go, 20)); }""",
        code,
    )
    page.fill("#amount", "1.000")
    page.get_by_role("button", name="Show the code").click()
    assert "1 or as 1000" in page.locator("#till [role=alert]:visible").inner_text()
    page.fill("#amount", "")
    pays(living, typed(page, "2"), 2000)
    page.wait_for_selector("#done:visible")
    assert page.evaluate("document.body.dataset.rang ?? 'no'") == "no"


def test_till_when_the_customer_has_too_little(baker: Person, living: Site) -> None:
    """The shop is told at once, before anything is refused."""
    page = baker.open("/till")
    code = typed(page, "999")
    with living.parts.store.transaction() as connection:
        codes.note_shown(connection, code, now_s=int(living.parts.wall.now_s()), is_short=True)
    page.wait_for_selector("text=The customer has not enough for it.")


def test_sale_when_it_is_paid_back(baker: Person, living: Site) -> None:
    """Today's sales stand in a list; one is paid back once, to who paid it, the same amount."""
    pays(living, typed(baker.open("/till"), "2.5"), 2500)
    page = baker.open("/till/sales")
    refund = page.get_by_role("link", name="Pay back home06").first.get_attribute("href")
    baker.open(refund)
    assert page.inner_text(".price") == "2.5 credits"
    page.get_by_role("button", name="Go on").click()
    with page.expect_navigation(url="**/paid/*"):
        page.locator("#sure [value=yes]").click()
    first = page.url
    baker.open(refund)
    assert page.url == first
    sales = baker.open("/till/sales").inner_text("main")
    assert "− 2.5 credits" in sales
    assert sales.count("2.5 credits") == 2


def test_day_of_a_till() -> None:
    """What came in since midnight of the shop's own day, less what went out, by unit."""
    zone = ZoneInfo("Europe/Paris")
    noon_s = int(datetime(2024, 7, 16, 10, tzinfo=UTC).timestamp())
    start_s = start_of_day_s(noon_s, zone)
    assert datetime.fromtimestamp(start_s, UTC) == datetime(2024, 7, 15, 22, tzinfo=UTC)
    euros = bytes([Unit.EURO])
    rows = [
        Payment(9, b"d", noon_s, BAKER, ANA, 500, "back"),
        Payment(7, b"c", noon_s - 60, ANA, BAKER, 2000, ""),
        Payment(6, b"b", start_s, BEN + euros, BAKER + euros, 3000, ""),
        Payment(5, b"a", start_s - 1, ANA, BAKER, 9000, "yesterday"),
    ]
    day = day_of(rows, BAKER, start_s=start_s)
    assert [row.place for row in day.sales] == [7, 6]
    assert [row.place for row in day.returned] == [9]
    assert day.taken_mc == {Unit.ENERGY: 1500, Unit.EURO: 3000}
