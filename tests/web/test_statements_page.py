"""Monthly statements: what is on the sheet comes to the balance, each in its reader's language, all in one go."""

import re

import sqlalchemy as sa

from aggregator.testing import GENESIS, ident, key
from ledger.book.body import Transfer
from ledger.book.entry import Entry
from ledger.book.units import Unit
from ledger.sequencer import Placed
from tests.web.conftest import HOMES, NOON_S, Site
from tests.web.people import session
from tests.web.test_closing import ask
from web.identity import logins
from web.month import Month
from web.roles import Role
from web.statements.figures import statement
from web.store.schema import login

JULY = Month(2024, 7)


def pay(living: Site, payer: str, payee: str, amount_mc: int) -> None:
    entry = Entry(ident(f"statement {payer} {payee}"), NOON_S, Transfer(ident(payer), ident(payee), amount_mc, ""))
    (answer,) = living.parts.books.submit(entry.sign(key(payer), GENESIS))
    assert isinstance(answer, Placed)


def test_month_when_it_is_added_up(living: Site) -> None:
    """Beginning and movements come to the end, which is the balance; months before and after are told too."""
    pay(living, "home23", "home21", 87)
    with living.parts.books.now() as book:
        state, tally = book.state, living.parts.tally
        for name in ("home21", "home23", "association", "baker"):
            found = statement(state, tally, ident(name), JULY)
            for row in found.accounts:
                moved_mc = row.earned_mc + row.share_mc + row.received_mc - row.paid_mc + row.other_mc
                assert row.before_mc + moved_mc == row.after_mc
                if row.unit is Unit.ENERGY:
                    assert row.after_mc == state.book.balance_mc(ident(name))
        (row,) = statement(state, tally, ident("home23"), JULY).accounts
        assert (row.before_mc, row.paid_mc, row.payments, len(row.sources)) == (0, 87, 1, 1)
        assert row.energy_wh > 1000
        assert statement(state, tally, ident("home23"), Month(2024, 6)).accounts == ()
        (later,) = statement(state, tally, ident("home23"), Month(2024, 8)).accounts
        assert (later.before_mc, later.after_mc) == (row.after_mc, row.after_mc)


def test_sheets_when_all_are_printed(living: Site) -> None:
    """One for each member who has anything, each in the language that they chose; no page before its month."""
    now_s = int(living.parts.wall.now_s())
    with living.parts.store.transaction() as connection:
        logins.add(connection, subject=ident("home05"), name="home05", email=None, now_s=now_s)
        connection.execute(sa.update(login).where(login.c.subject == ident("home05")).values(language="fr"))
    page = ask(living, "GET", "/statements/2024-07", Role.STEWARD).text
    sheets = re.findall(r'<article class="sheet" lang="(..)">(.*?)</article>', page, flags=re.DOTALL)
    french = [text for language, text in sheets if language == "fr"]
    with living.parts.books.now() as book:
        held = [name for name in HOMES if book.state.book.balance_mc(ident(name))]
    assert len(sheets) >= len(held) >= 12
    assert [ident("home05").hex() in text for text in french] == [True]
    assert "juillet 2024" in french[0]
    assert sum("July 2024" in text for _language, text in sheets) == len(sheets) - 1
    assert page.count("<svg") >= len(sheets)
    assert ask(living, "GET", "/statements/2031-01", Role.STEWARD).status == 404
    assert ask(living, "GET", "/statements/juillet", Role.STEWARD).status == 404


def test_sheet_of_ones_own(living: Site) -> None:
    """A member sees their own, and nobody else's."""
    assert session(living, Role.RESIDENT)
    page = ask(living, "GET", "/statement/2024-07", Role.RESIDENT).text
    assert ident("home00").hex() in page
    other = ask(living, "GET", f"/statements/2024-07/{ident('home05').hex()}", Role.RESIDENT)
    assert other.status == 403
    assert ask(living, "GET", f"/statements/2024-07/{'00' * 16}", Role.STEWARD).status == 404
