"""Paper money: printed by a clerk's browser, taken once by a shop's, also without a connection up to a limit; lost
sheets come back; forged and used ones end in a sentence."""

import re

import pytest

from aggregator.testing import GENESIS, ident, key
from tests.web.conftest import Site
from tests.web.people import Person, come_in, earn
from tests.web.test_closing import ask
from web.identity import inviting
from web.roles import Role
from web.spelling import base64url
from web.vouchers import drawer, paper
from web.vouchers.drawer import Standing
from web.vouchers.paper import Voucher

MEMBER, BAKER = ident("home07"), ident("baker")


def keep_key(clerk: Person, living: Site, holder: bytes) -> None:
    """The clerk's browser keeps somebody's key; the offices agree."""
    page = clerk.open(f"/clerk/{holder.hex()}")
    with page.expect_navigation():
        page.get_by_role("button", name="Keep the key").click()
    assert "waits for signatures" in page.locator("main").inner_text()
    inviting.sign_waiting(living.parts.books, living.parts.store, (key("steward"), key("townhall"), key("operator")))


def print_sheet(clerk: Person, count: str, amount: str) -> list[str]:
    """The codes of a new sheet."""
    page = clerk.open(f"/clerk/{MEMBER.hex()}")
    page.fill("#count", count)
    page.fill("#worth", amount)
    with page.expect_navigation():
        page.get_by_role("button", name="Make vouchers").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Print the sheet").click()
    assert page.locator(".voucher svg").count() == int(count)
    return [text.strip() for text in page.locator(".voucher code").all_inner_texts()]


def standing(living: Site, code: str) -> Standing:
    with living.parts.store.transaction() as connection:
        found = drawer.find(connection, int(code.split("-")[0]))
    assert found is not None
    with living.parts.books.now() as book:
        return drawer.standing(book, found)


def free_mc(living: Site, holder: bytes) -> int:
    with living.parts.books.now() as book:
        return book.state.book.free_mc(holder)


def take(page, code: str) -> str:
    """What the shop is told."""
    page.fill("#code", code)
    page.get_by_role("button", name="Take it").click()
    page.locator("#take[data-busy]").wait_for(state="detached")
    told = page.locator("#taken, #take [role=alert]").all_inner_texts()
    return " ".join(told)


def test_vouchers_when_a_clerk_prints_and_a_shop_takes(browser, living: Site) -> None:
    """One is taken with a connection and once only, one without, up to a limit; it is paid when the clerk signs;
    the rest comes back when the sheet is lost, and is refused afterwards."""
    earn(living, home07=9_000)
    before_mc, baker_mc = free_mc(living, MEMBER), free_mc(living, BAKER)
    clerk = come_in(browser, living, living.directory, "Ada", role="steward")
    keep_key(clerk, living, MEMBER)
    keep_key(clerk, living, ident("association"))
    codes = print_sheet(clerk, "3", "1,5")
    assert free_mc(living, MEMBER) == before_mc - 4500
    page = clerk.page
    page.reload()  # the browser asks to send the form again: nothing is printed twice
    assert "printed already" in page.locator("main").inner_text()

    shop = come_in(browser, living, living.directory, "baker", account=BAKER)
    number, rest = codes[0].split("-", 1)
    page = shop.open(f"/v/{number}#{rest}")
    assert rest not in page.url
    assert "Taken" in take(page, codes[0])
    assert standing(living, codes[0]) is Standing.TAKEN
    forged = codes[1][:-1] + ("0" if codes[1][-1] != "0" else "1")
    assert "a letter is wrong" in take(page, forged)
    assert "no voucher's code" in take(page, "12-5")

    page = shop.open("/v")
    shop.context.set_offline(True)
    assert "Kept here" in take(page, codes[1])
    assert "Kept here" in take(page, "999999-20-0000000000000000")
    assert "without a connection" in take(page, "999998-10-0000000000000000")
    assert standing(living, codes[1]) is Standing.OPEN
    shop.context.set_offline(False)
    page.locator("#kept").wait_for(state="hidden")
    assert standing(living, codes[1]) is Standing.TAKEN

    page = clerk.open("/clerk")
    assert "baker" in page.locator("main").inner_text()
    with page.expect_navigation():
        page.get_by_role("button", name="Sign 3 credits").click()
    assert "All are paid" in page.locator("main").inner_text()
    assert free_mc(living, BAKER) == baker_mc + 3000
    assert [standing(living, code) for code in codes] == [Standing.PAID, Standing.PAID, Standing.OPEN]
    assert "paid for this voucher already" in take(shop.open("/v"), codes[0])

    page = clerk.open(f"/clerk/{MEMBER.hex()}")
    with page.expect_navigation():
        page.get_by_role("button", name="Lost").click()
    assert free_mc(living, MEMBER) == before_mc - 3000
    assert "reported lost" in take(shop.open("/v"), codes[2])

    page.fill("#payee", "baker")
    page.fill("#amount", "0,25")
    page.fill("#memo", "paper 14")
    with page.expect_navigation():
        page.get_by_role("button", name="Pay", exact=True).click()
    assert free_mc(living, BAKER) == baker_mc + 3250
    shop.close()
    clerk.close()


def test_voucher_that_two_shops_take(living: Site) -> None:
    """The first claim counts; the other shop is told so; the same shop may ask again."""
    voucher, code = drawn(living, 2000)
    signing = paper.key_of(code, GENESIS)
    claims = {name: paper.claim(voucher.number, ident(name), signing, GENESIS) for name in ("baker", "ben")}
    with living.parts.store.transaction() as connection:
        assert drawer.take(connection, voucher.number, BAKER, claims["baker"], now_s=1)
        assert drawer.take(connection, voucher.number, BAKER, claims["baker"], now_s=2)
        assert not drawer.take(connection, voucher.number, ident("ben"), claims["ben"], now_s=3)
    assert paper.payee_of(claims["ben"], voucher, GENESIS) == ident("ben")
    assert paper.payee_of(claims["ben"], voucher, bytes(32)) is None
    assert paper.payee_of(b"x", voucher, GENESIS) is None


def drawn(living: Site, amount_mc: int) -> tuple[Voucher, str]:
    """A voucher in the store alone."""
    with living.parts.store.transaction() as connection:
        drawer.draft(connection, ident(f"sheet {amount_mc}"), MEMBER, amount_mc, 1, now_s=0)
        (row,) = drawer.of_sheet(connection, ident(f"sheet {amount_mc}"))
        code = paper.code(row.number, amount_mc, paper.new_secret())
        drawer.set_keys(connection, [(row.number, paper.key_of(code, GENESIS).public_key)])
        found = drawer.find(connection, row.number)
    assert found is not None
    return found, code


def test_voucher_that_was_never_paid_for(living: Site) -> None:
    """It is not there, whoever claims it."""
    voucher, code = drawn(living, 3000)
    assert standing(living, code) is Standing.UNPAID
    assert living.get(f"/v/{voucher.number}").status == 404
    claim = paper.claim(voucher.number, BAKER, paper.key_of(code, GENESIS), GENESIS)
    assert ask(living, "POST", f"/v/{voucher.number}/take", claim=base64url(claim)).status == 422


@pytest.mark.parametrize(
    ("count", "amount", "says"),
    [
        ("17", "1", "whole number"),
        ("1", "20.01", "at most 20"),
        ("2", "1,005", "hundredths"),
        ("16", "10", "on paper"),
        ("1", "0", "nothing"),
    ],
)
def test_sheet_that_would_be_too_much(living: Site, count: str, amount: str, says: str) -> None:
    """Each limit has its sentence; nothing is drafted."""
    path = f"/clerk/{ident('home09').hex()}/vouchers"
    answer = ask(
        living, "POST", path, Role.STEWARD, entry=ident(f"{count} {amount}").hex(), count=count, amount=amount
    )
    assert answer.status == 422
    assert says in re.sub(r"\s+", " ", answer.text)


def test_key_of_a_code() -> None:
    """Number, worth and secret are all in it: none can be changed on the paper."""
    code = paper.code(12, 5000, "K7QD9M2FXX3BA1CZ")
    assert code == "12-5-K7QD9M2FXX3BA1CZ"
    codes = (code, "12-9-K7QD9M2FXX3BA1CZ", "13-5-K7QD9M2FXX3BA1CZ")
    keys = {paper.key_of(text, GENESIS).public_key for text in codes}
    assert len(keys) == 3
    assert paper.key_of(code, bytes(32)).public_key not in keys
