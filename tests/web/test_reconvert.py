"""Euros at the desk: a shop asks, the association agrees in its browser, the shop's browser signs last; and what the
cash book has of it."""

from aggregator.testing import GENESIS, ident, key
from commonwatt.identity import new_id
from ledger.book.body import TopUp
from ledger.book.entry import Entry
from ledger.book.payments import Redeem
from ledger.book.units import RESERVE, Unit, account_in
from ledger.sequencer import Placed
from tests.web.conftest import NOON_S, Site
from tests.web.people import come_in
from tests.web.test_closing import ask
from web.drafts import desk
from web.money import euros
from web.roles import Role

BAKER = ident("baker")
PURSE = account_in(BAKER, Unit.EURO)


def pay_in(site: Site, cents: int, reference: str) -> None:
    """Euros for the baker, as a key file signs."""
    body = TopUp(PURSE, cents * 10, cents, reference)
    (answer,) = site.parts.books.submit(Entry(new_id(), NOON_S, body).sign(key("steward"), GENESIS))
    assert isinstance(answer, Placed)


def test_reconversion_when_all_agree(browser, living: Site) -> None:
    """200 euros come in by the steward's browser; of them 12.50 go back, by both browsers; the bank's list has them
    until somebody says that they were sent. Too much, nothing and nonsense end in a sentence."""
    steward = come_in(browser, living, living.directory, "Ada", role="steward")
    shop = come_in(browser, living, living.directory, "baker", account=BAKER)
    page = steward.open("/money/euros")
    page.fill("#who", "baker")
    page.fill("#euros", "200,00")
    page.fill("#reference", "2024-07-16/1")
    with page.expect_navigation():
        page.get_by_role("button", name="Sign and give").click()
    assert "€200.00 in the reserve" in page.locator("main").inner_text()

    page = shop.open("/reconvert")
    for wrong, says in [
        ("1000", "not so many"),
        ("0", "is nothing"),
        ("ten", "no amount"),
        ("1,234", "hundred cents"),
    ]:
        assert says in ask(living, "POST", "/reconvert", amount=wrong).text, wrong
    page.fill("#amount", "12,50")
    page.get_by_role("button", name="Ask the association").click()
    assert "has to agree first" in page.locator("main").inner_text()
    assert "asked already" in ask(living, "POST", "/reconvert", amount="1").text

    page = steward.open("/desk")
    assert "12.5 euro credits" in page.locator("main").inner_text()
    with page.expect_navigation():
        page.get_by_role("button", name="Agree").click()
    page = shop.open("/reconvert")
    with page.expect_navigation():
        page.get_by_role("button", name="Give back and be paid €12.50").click()
    assert "to be sent" in page.locator("main").inner_text()
    with living.parts.books.now() as book:
        assert book.state.book.free_mc(PURSE) == 187_500
        assert book.state.book.free_mc(account_in(RESERVE, Unit.EURO)) == 187_500

    assert ";12,50;" in ask(living, "GET", "/money/payouts.csv", Role.STEWARD).text
    page = steward.open("/money/euros")
    page.get_by_role("button", name="Sent", exact=True).click()
    assert "every reconversion was sent" in page.locator("main").inner_text()
    book_csv = ask(living, "GET", "/money/euros.csv", Role.TOWNHALL).text
    assert book_csv.splitlines()[-1].endswith(";0,00;12,50;187,50")
    shop.close()
    steward.close()


def test_request_that_the_shop_takes_back(living: Site) -> None:
    """Then it may ask anew; of somebody else's nothing can be taken back."""
    pay_in(living, 500, "2024-07-16/2")
    assert ask(living, "POST", "/reconvert", amount="1.00").status == 303
    (draft,) = [row for row in _waiting(living) if isinstance(row.entry.body, Redeem)]
    assert ask(living, "POST", f"/reconvert/{'00' * 16}/withdraw").status == 404
    assert ask(living, "POST", f"/reconvert/{draft.entry.id.hex()}/withdraw").status == 303
    assert ask(living, "POST", "/reconvert", amount="2,00").status == 303


def test_fee_when_the_policy_has_one() -> None:
    """It is rounded to the association's side, and never more than all."""
    assert euros.paid_cents(50_000, 30) == 4850
    assert euros.paid_cents(10, 30) == 0
    assert euros.paid_cents(12_340, 0) == 1234


def _waiting(living: Site):
    with living.parts.store.transaction() as connection:
        return desk.waiting(connection)
