"""Daily closings: what is in a ticket is what the log has, a day has one, and no ticket can be changed unseen."""

import http.client
from datetime import timedelta
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from aggregator.testing import GENESIS, ident, key
from ledger.book.body import PaymentAnswer, PaymentRequest, Transfer
from ledger.book.entry import Entry
from ledger.book.payments import Verdict
from ledger.book.units import Unit, account_in
from ledger.sequencer import Placed
from tests.web.conftest import NOON_S, Answer, Site
from tests.web.fec_checker import check
from tests.web.people import session
from web.accounting import ticket
from web.accounting.movements import What, read
from web.accounting.pages import AccountingPages
from web.accounting.ticket import FIRST_LINK
from web.door import COOKIE
from web.identity import logins
from web.money.people import People
from web.pay import purse
from web.roles import Role
from web.store.schema import closing

BAKER = ident("baker")


def rooms(site: Site) -> AccountingPages:
    parts = site.parts
    return AccountingPages(parts.store, parts.books, parts.tally, parts.looks, parts.facts, People(parts.names))


def enter(site: Site, body, signer: str, name: str) -> bytes:
    """An entry in the log; its id."""
    entry = Entry(ident(f"closing {name}"), NOON_S, body)
    (answer,) = site.parts.books.submit(entry.sign(key(signer), GENESIS))
    assert isinstance(answer, Placed), answer
    return entry.id


def ask(site: Site, method: str, path: str, role: Role = Role.MERCHANT, **form: str) -> Answer:
    """A request as somebody who has signed in."""
    token = session(site, role)
    body = urlencode({"csrf": logins.csrf_of(token), **form}) if method == "POST" else None
    headers = {"cookie": f"{COOKIE}={token}", "accept-language": "en"}
    if body is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
    connection = http.client.HTTPConnection(site.host, site.port, timeout=20)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def test_ticket_when_a_day_is_closed(living: Site) -> None:
    """Sales by payment and by answered request, a refund, the balance; printed, and the same for ever. A second one
    of the same day is refused with a sentence; the next begins where it ended."""
    enter(living, Transfer(ident("home03"), BAKER, 110, "bread"), "home03", "a")
    enter(living, Transfer(ident("home05"), BAKER, 234, "cake"), "home05", "b")
    asked = enter(living, PaymentRequest(BAKER, ident("home03"), 50, False, "tea"), "baker", "c")
    enter(living, PaymentAnswer(asked, Verdict.ACCEPT), "home03", "d")
    enter(living, Transfer(BAKER, ident("home03"), 10, "too much"), "baker", "e")
    answer = ask(living, "POST", "/closing")
    assert (answer.status, answer.headers["location"]) == (303, "/closing/1")
    page = ask(living, "GET", "/closing/1").text
    assert "0.394" in page
    assert "0.384" in page
    with living.parts.store.transaction() as connection:
        row = connection.execute(sa.select(closing)).one()
    assert row.seal.hex() in page
    made = ticket.parse(row.ticket)
    (takings,) = [part for part in made.takings if part.unit is Unit.ENERGY]
    assert (takings.sales, takings.received_mc, takings.payments, takings.paid_mc) == (3, 394, 1, 10)
    assert (made.first, made.previous, takings.balance_mc) == (0, FIRST_LINK, 384)

    again = ask(living, "POST", "/closing")
    assert again.status == 422
    assert "one ticket" in again.text
    enter(living, Transfer(ident("home05"), BAKER, 60, "sweet"), "home05", "f")
    second = rooms(living).close_day(BAKER, made.day + timedelta(days=1), NOON_S + 86_400)
    assert (second.number, second.first, second.previous, second.takings[0].received_mc) == (
        2,
        made.end,
        row.seal,
        60,
    )
    month = ask(living, "GET", "/closing/month/2024-07").text
    assert "0.454" in month
    assert ask(living, "GET", "/closing/3").status == 404
    assert_change_is_seen(living)


def assert_change_is_seen(living: Site) -> None:
    """Who changes the first ticket in the store is found out, on the page and on the ticket."""
    assert 'role="alert"' not in ask(living, "GET", "/closing").text
    with living.parts.store.transaction() as connection:
        first = connection.execute(sa.select(closing).order_by(closing.c.number)).first()
        assert first is not None
        this = sa.update(closing).where(closing.c.number == first.number)
        connection.execute(this.values(ticket=first.ticket.replace(b"2024-07", b"2024-06")))
    assert "is not what was sealed" in ask(living, "GET", "/closing").text
    assert "is not what was sealed" in ask(living, "GET", f"/closing/{first.number}").text


def test_movements_when_all_are_read(living: Site) -> None:
    """They come to the balance."""
    enter(living, Transfer(ident("home05"), ident("home03"), 7, "key"), "home05", "g")
    with living.parts.books.now() as book:
        end, state = book.size, book.state
        balances = {name: state.book.balance_mc(ident(name)) for name in ("home03", "home05", "home07", "baker")}
    for name, balance_mc in balances.items():
        moved = read(living.parts.books, living.parts.tally, ident(name), first=0, end=end)
        assert sum(row.amount_mc for row in moved if row.unit is Unit.ENERGY) == balance_mc
        assert all(row.source for row in moved if row.what is What.EARNED)


def test_payment_when_it_is_put_aside_first(living: Site) -> None:
    """An accepted request with escrow is no payment, for nobody's list, until it is settled; then it is one."""
    me, other = ident("home05"), ident("home03")
    asked = enter(living, PaymentRequest(other, me, 3, True, "a chair"), "home03", "aside")
    accepted = enter(living, PaymentAnswer(asked, Verdict.ACCEPT), "home05", "accepted")

    def chairs() -> tuple[int, int]:
        with living.parts.books.now() as book:
            end = book.size
            listed = [row for row in purse.payments(book, me, entries_max=50) if row.memo == "a chair"]
            assert purse.payment_with(book, accepted) is None
        moved = read(living.parts.books, living.parts.tally, me, first=0, end=end)
        return len(listed), sum(row.amount_mc for row in moved if row.text == "a chair")

    assert chairs() == (0, 0)
    enter(living, PaymentAnswer(asked, Verdict.SETTLE), "home05", "settled")
    assert chairs() == (1, -3)


def test_accounting_when_a_shop_has_no_siren(living: Site) -> None:
    """It is told what is missing; then it has its file, which the checker takes; nonsense is refused by name."""
    enter(living, Transfer(ident("home07"), BAKER, 90, "=HYPERLINK(1)"), "home07", "h")
    answer = ask(living, "GET", "/accounting/fec-2024.txt")
    assert answer.status == 422
    assert "SIREN" in answer.text
    usual = {f"{name}": value for name, value in [("credit_cents", "100"), ("vat_permille", "55")]}
    numbers = {"purse": "5311000", "sales": "7070000", "vat": "4457100", "purchases": "6070000", "earned": "758"}
    numbers |= {"bank": "5120000", "fees": "6270000", "charges": "6281000", "year_end_month": "12"}
    refused = ask(living, "POST", "/accounting", siren="123456789", **usual, **numbers)
    assert refused.status == 422
    refused = ask(living, "POST", "/accounting", siren="732829320", **usual | {"credit_cents": "1,5"}, **numbers)
    assert "whole number" in refused.text
    assert ask(living, "POST", "/accounting", siren="732 829 320", **usual, **numbers).status == 303
    answer = ask(living, "GET", "/accounting/fec-2024.txt")
    assert answer.headers["content-disposition"] == 'attachment; filename="732829320FEC20241231.txt"'
    assert check("732829320FEC20241231.txt", answer.body) == []
    assert b"\t0,09\t" in answer.body
    table = ask(living, "GET", "/accounting/movements-2024.csv").text
    assert "'=HYPERLINK(1)" in table
    assert ident("home07").hex() in table
    assert ask(living, "GET", "/accounting/fec-1.txt").status == 404


def test_closing_when_a_shop_owes_more_than_it_should(living: Site) -> None:
    """It is warned there before anything is refused."""
    owed = account_in(BAKER, Unit.MUTUAL)
    assert "You owe" not in ask(living, "GET", "/closing").text
    enter(living, Transfer(owed, account_in(ident("home03"), Unit.MUTUAL), 150, "flour"), "baker", "owe")
    assert "You owe 0.15 heart. At 0.2 " in ask(living, "GET", "/closing").text
    enter(living, Transfer(account_in(ident("home03"), Unit.MUTUAL), owed, 150, "back"), "home03", "owed")


@pytest.mark.parametrize("path", ["/closing", "/accounting", "/reconvert"])
def test_pages_of_shops_for_others(living: Site, path: str) -> None:
    """A resident is told that these are not theirs."""
    assert ask(living, "GET", path, Role.RESIDENT).status == 403
