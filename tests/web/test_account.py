"""The first page of an account: what it holds, what it earned and why; and what the index knows of each entry."""

import hashlib
import html
import re
from pathlib import Path

import pytest

from aggregator.testing import TIME_S, ident
from ledger import testing as book
from ledger.book import charges
from ledger.book.body import Charge, Hold, PaymentAnswer, PaymentRequest, Policy, Reverse, TopUp
from ledger.book.kinds import Kind, Subject
from ledger.book.measures import Cause
from ledger.book.payments import Verdict
from ledger.book.units import Unit
from ledger.sequencer import Placed, Sequencer
from tests.web.conftest import ZONE, Site
from tests.web.people import visit
from web.account import movements, summary
from web.account.summary import When
from web.book.books import Books
from web.book.index import Row

DAY_S = 86_400


def text_of(page: str) -> str:
    """What a person reads of it, in one line."""
    body = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def placed(site: Site, *entries: bytes) -> list[int]:
    """Places of entries that the ledger took."""
    answers = site.parts.books.submit(*entries)
    assert all(isinstance(answer, Placed) for answer in answers), answers
    return [answer.place for answer in answers if isinstance(answer, Placed)]


def test_home_of_a_roof(living: Site) -> None:
    """The balance, what was earned yesterday and from where, and each day's mints as one movement with its why."""
    with living.parts.books.now() as now:
        balance_mc = now.state.book.balance_mc(ident("home00"))
    said = text_of(visit(living, ident("home00"), "/home").text)
    assert f"You have {balance_mc / 1000:g} credits" in said
    assert f"You earned {balance_mc / 1000:g} credits yesterday, from your roof." in said
    minted = r"Local production \+6.096 15 July 2024 · Your roof made 8.5 kWh, 10:00 to 18:00: [\d.]+ credits"
    assert re.search(
        minted + r" at 0.\d+ a kWh, of which [\d.]+ went to the association\. 8 times it was credited", said
    )
    assert "What is a credit?" in said


def test_home_of_a_washing_machine(living: Site) -> None:
    """Of what neighbours gave, it says how much went through the plug; nothing of it is anybody else's."""
    said = text_of(visit(living, ident("home01"), "/home").text)
    why = r"because you used your neighbours’ sun \((0.\d+) of it for “washing machine”\)"
    told = rf"You earned 0.362 credits yesterday, {why}"
    part = re.search(told, said)
    assert part is not None, said
    assert 0.03 < float(part[1]) < 0.2


def test_home_when_a_meter_is_looked_at(living: Site) -> None:
    """What is set aside is told, with its time."""
    said = text_of(visit(living, ident("home02"), "/home").text)
    assert "7.0 kWh of your roof wait until the association has looked at them: 15 July 2024, 11:00 to 18:00." in said


def test_home_in_french(living: Site) -> None:
    """The same, with commas."""
    said = text_of(visit(living, ident("home00"), "/home", language="fr").text)
    assert re.search(r"Vous avez \d+,\d+ crédits", said)
    assert re.search(r"Hier, vous avez gagné [\d,]+ crédits", said)


def test_home_when_a_script_is_somebody_s_name(living: Site) -> None:
    """It is written, never run; and the memo of a payment too."""
    placed(living, book.pay("home03", "home05", 10, "<script>alert(1)</script>"))
    page = visit(living, ident("home05"), "/home", name="<b>Ana</b>").text
    assert "<script>alert" not in page
    assert "“&lt;script&gt;alert(1)&lt;/script&gt;”" in page
    assert "<b>Ana" not in visit(living, ident("home06"), "/home", name="<b>Ana</b>").text


def test_home_when_money_is_not_free(living: Site) -> None:
    """What is put aside, what is held back, and a warning before payments are refused; each unit by its name."""
    asked = PaymentRequest(ident("home21"), ident("home23"), 20, True, "wood")
    placed(
        living,
        book.pay("home23:mutual", "home21:mutual", 150, "a chair"),
        book.signed(asked, "home21", entry_id="wood"),
        book.signed(PaymentAnswer(book.entry_id("wood"), Verdict.ACCEPT), "home23"),
        book.signed(Hold(ident("home23"), 1, TIME_S + 864_000, TIME_S + 867_600, 40, "look"), "steward"),
    )
    said = text_of(visit(living, ident("home23"), "/home").text)
    assert "0.02 credits of it are put aside for payments that you have accepted." in said
    assert "0.04 credits more are earned and held back until the association has looked at a meter." in said
    assert "You are far below zero: 0.05 heart are left until payments are refused." in said
    assert "−0.15 heart" in said
    assert "To home21 −0.15 heart" in said
    assert "Put aside for home21" in said
    assert "far below zero" not in text_of(visit(living, ident("home21"), "/home").text)


def test_newest_when_days_have_many_mints() -> None:
    """As many things as are shown, each whole; of the last it is not known whether it is."""
    rows = [Row(90 - at, TIME_S - at * 3600, Kind.MINT, 1 + at % 2, Unit.ENERGY, 1) for at in range(60)]
    assert len(movements.newest(rows, 2, ZONE, is_cut=False)) == 3
    assert {row.time_s for row in movements.newest(rows, 99, ZONE, is_cut=True)} < {row.time_s for row in rows}
    assert movements.newest(rows[:1], 5, ZONE, is_cut=True) == rows[:1]
    assert movements.newest([], 5, ZONE, is_cut=False) == []


def test_home_of_who_has_nothing(living: Site) -> None:
    """A baker who was never paid."""
    said = text_of(visit(living, ident("baker"), "/home").text)
    assert "You have 0 credits" in said
    assert "You have not earned anything yet" in said


@pytest.fixture
def village(tmp_path: Path):
    """A ledger with every unit, and its book as pages follow it."""
    with book.village(tmp_path, "ana", "ben") as ledger:
        yield ledger, tmp_path


def test_index_when_everything_moves(village) -> None:
    """Whatever the kind of entry, the rows of each account sum to its balance, in every unit; also made anew."""
    ledger, directory = village
    text = 'name = "charges"\n' + "".join(
        f'[[charge]]\ncause = "{cause}"\nunit = "energy"\nperiod_s = 3600\n{rest}\n'
        for cause, rest in (("levy", "amount_mc = 7"), ("demurrage", "free_mc = 100\nrate_ppm = 100000"))
    )
    policy = Policy(hashlib.sha256(text.encode()).digest(), 2, text)
    answers = ledger.submit([book.policy(policy), book.member("baker", Subject.MERCHANT)])
    assert all(isinstance(answer, Placed) for answer in answers), answers
    leaves = [book.earned("ana", 900, 100), book.earned("ben", 450, 50), book.earned("ana", 90, 10, source=2)]
    assert isinstance(book.mint(ledger, leaves), Placed)
    asked = PaymentRequest(book.account("ben"), book.account("ana"), 30, False, "eggs")
    put_aside = PaymentRequest(book.account("ben"), book.account("ana"), 20, True, "wood")
    entries = [
        book.pay("ana", "ben", 100, "bread"),
        book.signed(asked, "ben", entry_id="asked"),
        book.signed(PaymentAnswer(book.entry_id("asked"), Verdict.ACCEPT), "ana", entry_id="yes"),
        book.signed(put_aside, "ben", entry_id="aside"),
        book.signed(PaymentAnswer(book.entry_id("aside"), Verdict.ACCEPT), "ana", entry_id="kept"),
        book.signed(PaymentAnswer(book.entry_id("aside"), Verdict.SETTLE), "ana", entry_id="settled"),
        book.signed(Reverse(book.entry_id("yes"), 10, "too much"), "steward", "townhall"),
        book.pay("ben:hours", "ana:hours", 500, "an hour"),
        book.signed(TopUp(book.account("baker:euro"), 5000, 500, "1"), "steward", entry_id="in"),
        book.signed(Hold(book.ident("ana"), 1, TIME_S + 7200, TIME_S + 10800, 40, "look"), "steward"),
        lambda: charge(ledger, Cause.LEVY, policy),
        lambda: charge(ledger, Cause.DEMURRAGE, policy),
    ]
    for at, made in enumerate(entries):
        (answer,) = ledger.submit([made() if callable(made) else made])
        assert isinstance(answer, Placed), (at, answer)
    ledger.publish()
    for _again in range(2):
        books = Books(directory)
        with books.now() as now:
            for account, row in now.state.book.accounts.items():
                if account[:15] == bytes(15):
                    continue
                rows = [one for one in now.index.rows(account) if one.unit is unit_of(account)]
                assert sum(one.amount_mc for one in rows) == row.balance_mc, (account, rows)
            assert [row.kind for row in now.index.rows(book.ident("ana"), kinds=[Kind.CHARGE])] == [Kind.CHARGE] * 2
        books.close()


def unit_of(account: bytes) -> Unit:
    return Unit(account[16]) if len(account) > 16 else Unit.ENERGY


def charge(ledger: Sequencer, cause: Cause, policy: Policy) -> bytes:
    """A charge of an hour, with the total that it comes to now."""
    terms = charges.terms_of(policy.text, cause, Unit.ENERGY)
    assert terms is not None
    payers = (book.ident(name) for name in ("ana", "ben", "baker"))
    total_mc = charges.postings(terms, ledger.state.book, payers, book.ident("association"))[-1].amount_mc
    body = Charge(cause, Unit.ENERGY, policy.sha256, TIME_S - 3600, TIME_S, total_mc)
    return book.signed(body, "steward", "townhall")


def test_summary_of_days() -> None:
    """Yesterday by source; today alone only while there is nothing else; the last day that had any otherwise."""
    now_s = TIME_S + 10 * DAY_S

    def row(days_ago: int, source: int, amount_mc: int, kind: Kind = Kind.MINT) -> Row:
        return Row(1, now_s - days_ago * DAY_S, kind, source, Unit.ENERGY, amount_mc)

    rows = [row(0, 1, 5), row(1, 2, 30), row(1, 1, 70), row(3, 1, 100)]
    found = summary.earned(rows, now_s, ZONE)
    assert found is not None
    assert (found.when, dict(found.by_source_mc), found.week_mc) == (When.YESTERDAY, {1: 70, 2: 30}, 200)
    assert found.month_mc == 205
    today = summary.earned(rows[:1], now_s, ZONE)
    assert today is not None
    assert today.when is When.TODAY
    earlier = summary.earned(rows[3:], now_s, ZONE)
    assert earlier is not None
    assert (earlier.when, earlier.amount_mc) == (When.EARLIER, 100)
    share = summary.earned([row(1, 0, 9, Kind.MINT_RUN)], now_s, ZONE)
    assert share is not None
    assert dict(share.by_source_mc) == {summary.SHARE: 9}
    assert summary.earned([], now_s, ZONE) is None
