"""All movements of an account: months, filters, a search, sums, a file; and one entry, for its parties alone."""

import csv
import io
import re

import pytest

from aggregator.testing import GENESIS, TIME_S, ident, key
from commonwatt.identity import new_id
from ledger import testing as book
from ledger.book.body import Reverse, Transfer
from ledger.book.entry import Entry
from ledger.book.kinds import Kind
from tests.web.conftest import Site
from tests.web.people import visit
from tests.web.test_account import placed, text_of

BAD = ["-1", "x", "1e3", "999999999999", "9" * 40, "%2e%2e", "٣"]


def pay(site: Site, payer: str, payee: str, amount_mc: int, memo: str) -> tuple[int, bytes]:
    """The place of a payment of the day after, and its id."""
    entry = Entry(new_id(), TIME_S + 90_000, Transfer(ident(payer), ident(payee), amount_mc, memo))
    (place,) = placed(site, entry.sign(key(payer), GENESIS))
    return place, entry.id


def mint_of(site: Site, name: str) -> int:
    """Where the first mint of somebody stands."""
    with site.parts.books.now() as now:
        return now.index.rows(ident(name), kinds=[Kind.MINT])[-1].place


def test_list_when_it_is_filtered_and_searched(living: Site) -> None:
    """A month with its sums; what was earned, received, paid and the rest apart; a word in any month."""
    pay(living, "home00", "home07", 25, "two baguettes")
    said = text_of(visit(living, ident("home00"), "/movements").text)
    assert "July 2024" in said
    assert "+6.096 credits in −0.025 credits out" in said
    assert "To home07 −0.025 16 July 2024 · “two baguettes”" in said
    assert "A meter was admitted" in said
    paid = text_of(visit(living, ident("home00"), "/movements?show=out").text)
    assert "two baguettes" in paid
    assert "Local production" not in paid
    received = text_of(visit(living, ident("home07"), "/movements?show=in").text)
    assert "From home00 +0.025" in received
    assert "Neighbours’ sun" not in received
    found = text_of(visit(living, ident("home07"), "/movements?words=BAGUETTES&show=nonsense&month=never").text)
    assert "“two baguettes”" in found
    assert "Neighbours’ sun" not in found
    empty = text_of(visit(living, ident("home00"), "/movements?month=2019-01").text)
    assert "Nothing moved in this month" in empty
    odd = visit(living, ident("home00"), "/movements?words=%3Cb%3E%00%0A&month=9999-99")
    assert odd.status == 200
    assert "<b>" not in odd.text


def test_file_when_a_memo_is_a_formula(living: Site) -> None:
    """Every entry a line, the sums those of the account; a memo is never a spreadsheet's formula."""
    pay(living, "home09", "home11", 15, '=HYPERLINK("http://evil.example")')
    answer = visit(living, ident("home11"), "/movements.csv?words=hyperlink")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig")))
    assert (row["amount"], row["kind"], row["unit"]) == ("0.015", "transfer", "credits")
    assert row["why"].startswith("“=")
    assert not any(value.startswith(("=", "+", "@")) for value in row.values())
    whole = csv.DictReader(io.StringIO(visit(living, ident("home11"), "/movements.csv").body.decode("utf-8-sig")))
    with living.parts.books.now() as now:
        balance_mc = now.state.book.balance_mc(ident("home11"))
    assert sum(round(float(line["amount"]) * 1000) for line in whole) == balance_mc


def test_mint_by_itself(living: Site) -> None:
    """Its hours, energy, share, rules, every line, and where it stands in the log."""
    place = mint_of(living, "home00")
    said = text_of(visit(living, ident("home00"), f"/movement/{place}").text)
    assert "Local production +" in said
    assert "When it was measured 15 July 2024, 10:00 to 11:00" in said
    assert "By the rules tests, version 1" in said
    assert len(re.findall(r"1\d:\d\d to 1\d:\d\d your roof 0.2\d+ kWh 0.2\d+", said)) == 4
    assert "Local production earns 0.800 credits a kilowatt-hour." in said
    assert f"Place in the log {place} of" in said


def test_payment_when_it_was_taken_back(living: Site) -> None:
    """Both sides see it, and how much was taken back and why."""
    place, identifier = pay(living, "home13", "home15", 40, "wood")
    back = book.signed(Reverse(identifier, 30, "paid twice"), "steward", "townhall", genesis=GENESIS)
    (back_place,) = placed(living, back)
    for name, sign in (("home13", "−"), ("home15", "+")):
        said = text_of(visit(living, ident(name), f"/movement/{place}").text)
        assert f"{sign}0.04 credits" in said
        assert "Of this, 0.03 credits were taken back since." in said
    said = text_of(visit(living, ident("home13"), f"/movement/{back_place}").text)
    assert "+0.03 credits The association took back “To home15”: paid twice" in said


@pytest.mark.parametrize("page", ["/movement/{place}", "/movement/{place}.proof", "/movement/{place}/paper"])
def test_entry_of_somebody_else(living: Site, page: str) -> None:
    """Nobody but its parties is told that it is there; nor what never was."""
    place = mint_of(living, "home00")
    assert visit(living, ident("home00"), page.format(place=place)).status == 200
    assert visit(living, ident("home01"), page.format(place=place)).status == 404
    for bad in BAD:
        assert visit(living, ident("home00"), page.format(place=bad).replace("٣", "%D9%A3")).status == 404
