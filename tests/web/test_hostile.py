"""People who wish us ill, or tap twice: what they try at the pages, and what comes of it."""

import http.client
import shutil
import threading
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from aggregator.testing import GENESIS, ident, key
from commonwatt import cose
from commonwatt.clock import MonotonicClock
from commonwatt.errors import UserError
from commonwatt.identity import new_id
from commonwatt.testing import ManualClock
from ledger import inbox
from ledger.app import open_ledger
from ledger.book.body import TopUp, Transfer
from ledger.book.entry import Entry
from ledger.book.units import Unit, account_in
from ledger.sequencer import Placed
from tests.web.conftest import NOON_S, Site, serving
from tests.web.office import posted
from tests.web.people import earn, session, visit
from tests.web.test_closing import ask
from web.accounting import drawer as accounts
from web.accounting import plan
from web.allowance import DAY_S, Allowance
from web.book import books
from web.book.books import LedgerHand
from web.door import COOKIE
from web.drafts import purposes
from web.drafts.desk import Draft
from web.identity import invitations, links, logins
from web.identity.invitations import Invitation, InvitedAs
from web.identity.links import Link, Purpose
from web.identity.logins import Login
from web.manners import inside
from web.roles import Role
from web.spelling import base64url
from web.visitor import Ask, Sorry, Visitor
from web.vouchers import drawer
from web.vouchers.drawer import Standing

MEMBER = ident("home05")


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "/\t/evil.example", "/\n/evil.example", "/a\\b", "evil", ""]
)
def test_address_that_leads_elsewhere(path: str) -> None:
    """Browsers drop tabs and line ends from an address and take \\ for /: none of it leads out of these pages."""
    assert inside(path) == "/"
    assert inside("/ask/7KQM2XWD?a=b#c") == "/ask/7KQM2XWD?a=b#c"


def test_answers_to_one_person(living: Site) -> None:
    """Whatever answers somebody who has signed in is kept by no cache between, pages or not."""
    for path in ("/welcome", "/home", "/policy/1.toml"):
        told = visit(living, MEMBER, path).headers
        assert told["cache-control"] == "private, no-store", path


def test_form_of_too_many_fields(living: Site) -> None:
    """It is refused while it is read: nobody keeps the pages busy with a form of a million fields."""
    told = ask(living, "POST", "/passkey", **{f"field{number}": "" for number in range(101)})
    assert told.status == 400


def test_invitation_and_link_of_two_takers(living: Site) -> None:
    """Both have seen it unused; the first to take it has it, and the other one is told no."""
    with living.parts.store.transaction() as connection:
        wanted = Invitation(InvitedAs.NEWCOMER, None, "", "Noor", None, None)
        token = invitations.make(connection, wanted, now_s=NOON_S)
        assert invitations.take_up(connection, token, new_id(), ident("first"))
        assert not invitations.take_up(connection, token, new_id(), ident("second"))
        found = invitations.find(connection, token, now_s=NOON_S)
        assert found is not None
        assert found.subject == ident("first")
        once = links.make(connection, Link(Purpose.ENTER, "noor@example.org"), now_s=NOON_S)
        assert links.use_up(connection, once)
        assert not links.use_up(connection, once)


def test_account_of_the_log_that_is_looked_up(living: Site) -> None:
    """The log says ids: a member learns no name by one, unless its holder agreed to be found or paid them. Shops are
    a directory."""
    ana, ben = ident("home08"), ident("home09")
    path = f"/pay/{ben.hex()}?n={new_id().hex()}"
    assert "home09" not in visit(living, ana, path).text
    assert "baker" in visit(living, ana, f"/pay/{ident('baker').hex()}?n={new_id().hex()}").text
    earn(living, home09=1_000)
    entry = Entry(new_id(), NOON_S, Transfer(ben, ana, 100, "eggs"))
    (answer,) = living.parts.books.submit(entry.sign(key("home09"), GENESIS))
    assert isinstance(answer, Placed), answer
    assert "home09" in visit(living, ana, path).text


def test_thief_who_reads_a_shop_s_letters(living: Site) -> None:
    """A fresh session writes no other IBAN: the shop's own key has to be there."""
    form = dict.fromkeys(plan.ACCOUNT_NAMES, "512000") | {"siren": "732829320", "credit_cents": "100"}
    form |= {"vat_permille": "55", "year_end_month": "12", "iban": "FR7630006000011234567890189"}
    told = ask(living, "POST", "/accounting", **form)
    assert (told.status, "has your key" in told.text) == (422, True)
    with living.parts.store.transaction() as connection:
        assert accounts.plan_of(connection, ident("baker")).iban == ""
    assert ask(living, "POST", "/accounting", **form | {"iban": ""}).status == 303
    token = session(living, Role.MERCHANT)
    csrf = logins.csrf_of(token)
    signed = cose.sign1(csrf.encode(), key("baker"), cose.external_aad("presence", GENESIS))
    status = sent(living, "/accounting", token, form | {"csrf": csrf, "presence": base64url(signed)})
    assert status == 303
    with living.parts.store.transaction() as connection:
        assert accounts.plan_of(connection, ident("baker")).iban == form["iban"]


def sent(living: Site, path: str, token: str, form: dict[str, str]) -> int:
    """A form of one session; the status of the answer."""
    headers = {"cookie": f"{COOKIE}={token}", "content-type": "application/x-www-form-urlencoded"}
    connection = http.client.HTTPConnection(living.host, living.port, timeout=20)
    try:
        connection.request("POST", path, urlencode(form), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_log_when_a_page_with_a_link_fails(town: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is good once stands in no log, whatever fails."""
    directory = tmp_path / "town"
    shutil.copytree(town, directory)
    with serving(directory) as site:
        site.parts.store.close()
        (directory / "web.db").write_bytes(b"no database" * 1000)
        assert site.get("/link/once-and-secret").status == 503
    assert "/link/{token}" in caplog.text
    assert "once-and-secret" not in caplog.text


def test_copy_of_one_s_data_on_a_shared_machine(living: Site) -> None:
    """Others who work on the server read it neither while it is made nor afterwards: its folder is ours alone."""
    assert posted(living, "/me/export", Role.RESIDENT, wants_json=False)[0] == 303
    copy = living.parts.copies.of(ident("home00"), int(living.parts.wall.now_s()))
    assert copy is not None
    assert copy.done.result(20) > 0
    assert [path.stat().st_mode & 0o077 for path in (copy.path.parent, copy.path)] == [0, 0]


def paid_sheet(living: Site, name: str) -> bytes:
    """Two vouchers that are paid for, and not printed yet."""
    sheet = ident(name)
    with living.parts.store.transaction() as connection:
        drawer.draft(connection, sheet, MEMBER, 500, 2, now_s=NOON_S)
    earn(living, home05=2_000)
    entry = Entry(sheet, NOON_S, Transfer(MEMBER, ident("association"), 1000, "vouchers"))
    (answer,) = living.parts.books.submit(entry.sign(key("home05"), GENESIS))
    assert isinstance(answer, Placed), answer
    return sheet


def standings(living: Site, sheet: bytes) -> set[Standing]:
    with living.parts.store.transaction() as connection:
        rows = drawer.of_sheet(connection, sheet)
    with living.parts.books.now() as book:
        return {drawer.standing(book, row) for row in rows}


def test_sheet_that_is_printed_while_it_is_cancelled(living: Site) -> None:
    """Its credits go back to the member: then no browser prints it any more, so they are not spent a second time."""
    sheet = paid_sheet(living, "cancelled sheet")
    status, told = posted(living, f"/clerk/sheets/{sheet.hex()}/cancel")
    assert status == 200, told
    assert ask(living, "POST", f"/clerk/sheets/{sheet.hex()}", Role.STEWARD).status == 422
    assert standings(living, sheet) == {Standing.OPEN}  # until the entry is signed that gives them back


def test_sheet_that_two_windows_print(living: Site) -> None:
    """Each has looked before the other one was done: one has the codes, the other one is told so."""
    sheet = paid_sheet(living, "sheet of two windows")
    path, answers = f"/clerk/sheets/{sheet.hex()}", []

    def tap() -> None:
        answers.append(ask(living, "POST", path, Role.STEWARD).status)

    taps = [threading.Thread(target=tap) for _tap in range(4)]
    for each in taps:
        each.start()
    for each in taps:
        each.join()
    assert sorted(answers) == [200, 422, 422, 422]
    with living.parts.store.transaction() as connection:
        keys = [(row.number, key("other").public_key) for row in drawer.of_sheet(connection, sheet)]
        assert drawer.set_keys(connection, keys) == 0


def test_euros_that_an_office_is_asked_to_sign(living: Site) -> None:
    """The sentence says how many, and for what: nobody signs an amount unseen."""
    body = TopUp(account_in(ident("baker"), Unit.EURO), 200_000, 20_000, "2024-07-16/1")
    draft = Draft(Entry(new_id(), NOON_S, body), "top-up", ident("baker"), None, NOON_S, None, {})
    said = purposes.sentence(draft, living.parts.looks.words("en"))
    assert all(word in said for word in ("€200.00", "200 euro credits", "2024-07-16/1"))


def test_member_who_does_something_without_end(living: Site) -> None:
    """A day has a bound for each person, and the next day begins anew; others are not concerned."""
    path, form = "/me/guard", {"code": base64url(key("code").public_key)}
    answers = [posted(living, path, Role.RESIDENT, **form)[0] for _time in range(21)]
    assert answers == [200] * 20 + [422]
    assert posted(living, path, Role.MERCHANT, **form)[0] == 200


def test_member_who_waits_for_the_next_day() -> None:
    """The count is of one day."""
    allowance = Allowance(1)
    allowance.take(asked(NOON_S))
    with pytest.raises(Sorry, match="very often"):
        allowance.take(asked(NOON_S))
    allowance.take(asked(NOON_S + DAY_S))


def asked(now_s: int) -> Ask:
    """By a member, at a time."""
    who = Login(MEMBER, MEMBER, "home05", None, "en")
    return Ask(Request({"type": "http"}), Visitor(Role.RESIDENT, who), "en", now_s)


def test_ledger_that_does_not_answer(town: Path, tmp_path: Path) -> None:
    """So many wait for it, and not one more: threads stay free for readers. It answers: others have a turn."""
    directory = tmp_path / "town"
    shutil.copytree(town, directory)
    hand, clock = LedgerHand(directory), ManualClock()
    with open_ledger(directory) as ledger:
        carrying_out = inbox.Inbox(directory, ledger=ledger, clock=clock)
        waiting = hand_in(hand, directory, count=books.AT_ONCE)
        with pytest.raises(UserError, match="Too many people"):
            hand.submit([b"none"])
        for _round in range(2):
            carrying_out.step()
            for each in waiting:
                each.join(20)
            assert not any(each.is_alive() for each in waiting)
            waiting = hand_in(hand, directory, count=1)
            clock.advance(inbox.LOOK_EVERY_S)
        carrying_out.step()
        waiting[0].join(20)


def hand_in(hand: LedgerHand, directory: Path, *, count: int) -> list[threading.Thread]:
    """So many at once; they wait in the inbox."""
    waiting = [threading.Thread(target=hand.submit, args=([b"none"],)) for _one in range(count)]
    for each in waiting:
        each.start()
    while len(list((directory / inbox.FOLDER).glob("*.entry"))) < count:
        MonotonicClock().wait(0.01)
    return waiting
