"""A lost key does not lose the account: a printed code, a second device, the association; any two give a new key."""

import hashlib
import http.client
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from aggregator.testing import ident, key
from commonwatt.identity import SigningKey, key_hint, new_id
from ledger.book.body import Guard, Rotate, role_key_id
from ledger.book.entry import Entry
from ledger.book.kinds import Subject
from ledger.sequencer import Placed
from tests.web.conftest import Site, serving
from tests.web.people import PHONE, Person, come_in
from tests.web.post import Mailbox
from web.door import COOKIE
from web.drafts import desk
from web.drafts.signing import read_entry
from web.identity import invitations, inviting, logins
from web.identity.invitations import Invitation, InvitedAs
from web.identity.new_keys import rotation_to
from web.roles import Role
from web.spelling import base64url, number_of, unbase64
from web.visitor import Ask, Visitor


def _wallet(living: Site, name: str) -> bytes:
    with living.parts.books.now() as book:
        return bytes(book.state.admissions.account(ident(name))[0].wallet)


def _guard(living: Site, name: str) -> tuple[bytes, ...]:
    with living.parts.books.now() as book:
        found = book.state.admissions.guards.get(ident(name))
    return found.public_keys if found is not None else ()


def key_of_code(code: str, name: str, genesis: bytes) -> SigningKey:
    """The key of a printed code, as docs/operating/web.md says it follows: worked out without the browser."""
    secret = code.replace(" ", "")[:20].encode()
    salt = b"commonwatt/v1/guard" + genesis + ident(name)
    return SigningKey.from_seed(hashlib.pbkdf2_hmac("sha256", secret, salt, 200_000))


@pytest.fixture
def other_browsers(browser, living: Site) -> Iterator[Any]:
    """Makes a further browser in which somebody has signed in, without their key; its clock is years off."""
    made = []

    def signed_in(name: str) -> Person:
        parts = living.parts
        now_s = int(parts.wall.now_s())
        with parts.store.transaction() as connection:
            who = logins.of_subject(connection, ident(name))
            assert who is not None
            token = logins.open_session(connection, who, now_s=now_s, browser="Firefox, Android")
        context = browser.new_context(viewport=PHONE, locale="en-GB")
        context.add_cookies([{"name": COOKIE, "value": token, "url": living.url}])
        person = Person(living, name, context, context.new_page())
        person.page.clock.set_fixed_time("2001-01-01")
        made.append(person)
        return person

    yield signed_in
    for person in made:
        person.close()


def _print_code(person: Person) -> str:
    """Make a code on paper; what the paper says."""
    page = person.open("/me/guard/code")
    page.get_by_role("button", name="Print it").and_(page.locator(":enabled")).wait_for()
    code = page.locator("#code").inner_text()
    page.get_by_label("Type the last two groups").fill("AAAA AAAA")
    page.get_by_role("button", name="It is in a safe place").click()
    page.get_by_role("alert").filter(has_text="no 0, 1, I or O").wait_for()
    page.get_by_label("Type the last two groups").fill(code[-9:].lower())
    page.get_by_role("button", name="It is in a safe place").click()
    page.get_by_text("Printed on").wait_for()
    return code


def _add_device(person: Person, second: Person) -> None:
    """By the address of the QR code; both screens show one number."""
    page = person.open("/me/guard")
    page.get_by_role("button", name="Add a second device").click()
    url = page.locator("figcaption").inner_text()
    second.open(url.removeprefix(second.site.url))
    second.page.get_by_role("button", name="Make this my second device").click()
    number = second.page.locator("#made .number")
    number.filter(has_text=re.compile(r"\d{4} \d{4} \d{4}")).wait_for()
    page.get_by_role("link", name="The other device shows a number").click()
    page.locator("[data-number]", has_text=number.inner_text()).wait_for()
    yes = page.get_by_role("button", name="Yes, the same number")
    page.route("**/me/guard", _lie)
    yes.click()
    page.get_by_role("alert").filter(has_text="That did not work").wait_for()
    page.unroute("**/me/guard")
    yes.click()
    page.locator(".line", has_text="Linux").wait_for()


def _lie(route: Any) -> None:
    """A server that drafts a guard with a key of its own beside those that the page shows."""
    if route.request.method != "POST":
        route.continue_()
        return
    answer = route.fetch()
    told = answer.json()
    entry = read_entry(unbase64(told["payload"]))
    assert isinstance(entry.body, Guard)
    slipped_in = (*entry.body.public_keys, key("server").public_key)
    lie = Entry(entry.id, entry.time_s, Guard(entry.body.account, 2, slipped_in))
    route.fulfill(response=answer, json={**told, "payload": base64url(lie.encode())})


def test_key_that_is_lost_with_its_phone(browser, living: Site, other_browsers) -> None:
    """From setting up to having a key again: the code never leaves the browser, two of three make the new key count,
    the old browser is told, and can itself be handed the key back by the one that has it."""
    phone = come_in(browser, living, living.directory, "home07", account=ident("home07"))
    sent: list[str] = []
    phone.context.on("request", lambda request: sent.append((request.post_data or "") + request.url))
    code = _print_code(phone)
    with living.parts.books.now() as book:
        derived = key_of_code(code, "home07", book.state.genesis_sha256)
    assert _guard(living, "home07") == (derived.public_key,)
    assert not [text for text in sent if code[-4:] in text or code[:4] in text]

    second = other_browsers("home07")
    _add_device(phone, second)
    assert len(_guard(living, "home07")) == 2
    second.open("/me").locator("#key-notice", has_text="second device").wait_for()

    fresh, old = other_browsers("home07"), _wallet(living, "home07")
    page = fresh.open("/me")
    page.get_by_role("link", name="Move my key here").click()
    page.get_by_role("button", name="Make a new key here").click()
    page.get_by_label("The code on paper").fill(code.replace(code[0], "2" if code[0] != "2" else "3", 1))
    page.get_by_role("button", name="Agree with the code").click()
    page.get_by_role("alert").filter(has_text="signs on the paper").wait_for()
    page.get_by_label("The code on paper").fill(code.lower().replace(" ", "-"))
    page.get_by_role("button", name="Agree with the code").click()
    page.locator("li", has_text="Your printed code").filter(has_text="agrees").wait_for()
    assert _wallet(living, "home07") == old, "one of three is not enough"

    _agree(second, "Yes, I agree", page.locator("[data-new-number]").first.inner_text())
    page.wait_for_url("**/me")
    new = _wallet(living, "home07")
    assert new != old
    assert page.locator("#key-notice").is_hidden()

    notice = phone.open("/me").locator("#key-notice")
    notice.filter(has_text="Your key was replaced").filter(has_text="pay it again").wait_for()
    phone.open("/recover").get_by_role("button", name="Make a new key here").click()
    number = phone.page.locator("[data-when=waiting] [data-new-number]")
    number.wait_for()
    _agree(fresh, "Yes, hand my key over", number.inner_text())
    phone.page.wait_for_url("**/me")
    assert _wallet(living, "home07") not in (old, new)
    phone.close()


def _agree(person: Person, button: str, number: str) -> None:
    """Compare the numbers and agree, after being asked once more."""
    page = person.open("/recover")
    page.locator("[data-new-number]", has_text=number).first.wait_for()
    page.get_by_role("button", name=button).click()
    with page.expect_navigation():
        page.locator("#confirm").get_by_role("button", name="Yes").click()


@pytest.mark.parametrize(
    ("home", "signers", "is_placed"),
    [
        ("home14", ("code", "steward"), True),
        ("home15", ("steward", "device"), True),
        ("home16", ("code", "device"), True),
        ("home17", ("townhall", "code", "steward"), True),
        ("home18", ("steward", "old"), True),
        ("home19", ("townhall", "stranger", "code"), False),
    ],
)
def test_new_key_when_these_agree(living: Site, home: str, signers: tuple[str, ...], is_placed: bool) -> None:
    """Two of code, device and association; or the constitution's quorum; or the old key alone. The ledger takes it,
    with just those signatures that count; others do not make it."""
    keys = {name: key(f"{home}-{name}") for name in ("code", "device", "new", "stranger")}
    by_name = {**keys, "old": key(home), **{role: key(role) for role in ("steward", "townhall")}}
    parts = living.parts
    genesis = parts.facts.genesis
    now_s = int(parts.wall.now_s())
    guard = Guard(ident(home), 2, (keys["code"].public_key, keys["device"].public_key))
    (answer,) = parts.books.submit(Entry(new_id(), now_s, guard).sign(key(home), genesis))
    assert isinstance(answer, Placed)
    entry = Entry(new_id(), now_s, Rotate(Subject.MEMBER, ident(home), keys["new"].public_key))
    agreed = (key_hint(keys["new"].public_key), entry.approve(keys["new"], genesis))
    with parts.store.transaction() as connection:
        desk.propose(
            connection,
            entry,
            purpose="recover",
            about=ident(home),
            proposed_by=None,
            now_s=now_s,
            approvals=(agreed,),
        )
    placed = [place for name in signers for place in inviting.sign_waiting(parts.books, parts.store, [by_name[name]])]
    assert (len(placed), _wallet(living, home) == keys["new"].public_key) == (int(is_placed), is_placed)
    with parts.store.transaction() as connection:
        desk.end(connection, entry.id, "withdrawn")


def test_office_whose_key_is_lost(living: Site) -> None:
    """Two other offices give it a new one; its id stays, so its holder signs in as before."""
    parts, new = living.parts, key("auditor-new")
    ident_of_role, now_s = role_key_id(key("auditor").public_key), int(living.parts.wall.now_s())
    with parts.books.now() as book:
        asked = Ask(Request({"type": "http"}), Visitor(Role.AUDITOR), "en", now_s)
        entry = rotation_to(asked, book.state, ident_of_role, new.public_key)
    agreed = (key_hint(new.public_key), entry.approve(new, parts.facts.genesis))
    row = {"purpose": "recover", "about": ident_of_role, "proposed_by": None, "now_s": now_s}
    with parts.store.transaction() as connection:
        desk.propose(connection, entry, approvals=(agreed,), **row)
    assert inviting.sign_waiting(parts.books, parts.store, [key("steward")]) == []
    (_place,) = inviting.sign_waiting(parts.books, parts.store, [key("townhall")])
    with parts.books.now() as book:
        assert book.state.founded.ids[ident_of_role].public_key == new.public_key


def test_number_when_read_aloud() -> None:
    """Four, four and four digits, of any key."""
    assert all(re.fullmatch(r"\d{4} \d{4} \d{4}", number_of(bytes([octet]) * 32)) for octet in range(50))


def test_letter_when_a_new_key_is_asked_for(living: Site, mailbox: Mailbox) -> None:
    """The owner hears of it, and any browser of theirs stops it; nobody can agree to it any more."""
    with serving(living.directory, wall=living.parts.wall, told=mailbox.settings("http://pages.example")) as site:
        parts, new = site.parts, SigningKey.generate()
        now_s = int(parts.wall.now_s())
        with parts.store.transaction() as connection:
            who = logins.add(connection, subject=ident("home22"), name="home22", email=None, now_s=now_s)
            logins.set_email(connection, who, "zoe@mail.example")
            token = logins.open_session(connection, who, now_s=now_s)
        public_key = base64url(new.public_key)
        drafted = json.loads(_post(site, "/recover", token, public_key=public_key))
        entry = read_entry(unbase64(drafted["payload"]))
        fields = {"public_key": public_key, "payload": drafted["payload"]}
        _post(site, "/recover", token, **fields, approval=base64url(entry.approve(new, parts.facts.genesis)))
        assert json.loads(_post(site, "/recover", token, public_key=public_key)) == {"next": "/recover"}, (
            "a second tab"
        )
        assert parts.postman.step() == 1
        assert "It was not you?" in mailbox.taken[0].get_content()
        assert mailbox.newest_link() == "/recover"
        assert "number on their screen is" in _desk_of(site, number_of(new.public_key))
        assert "is stopped" in _post(site, "/recover/stop", token)
        assert "Nobody asks" in _post(site, "/recover/sign", token, public_key=public_key)
    assert _wallet(living, "home22") == key("home22").public_key


def _desk_of(site: Site, number: str) -> str:
    """The line of a steward's desk with a number in it."""
    with site.parts.store.transaction() as connection:
        now_s = int(site.parts.wall.now_s())
        subject = role_key_id(key("steward").public_key)
        who = logins.add(connection, subject=subject, name="Ada", email=None, now_s=now_s)
        token = logins.open_session(connection, who, now_s=now_s)
    text = site.get("/desk", accept_language="en", cookie=f"{COOKIE}={token}").text
    return next(line for line in text.splitlines() if number in line)


def _post(site: Site, path: str, token: str, **fields: str) -> str:
    headers = {"cookie": f"{COOKIE}={token}", "content-type": "application/x-www-form-urlencoded"}
    headers |= {"accept": "application/json, text/html", "accept-language": "en"}
    connection = http.client.HTTPConnection(site.host, site.port, timeout=20)
    try:
        connection.request("POST", path, urlencode({"csrf": logins.csrf_of(token), **fields}), headers)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_browser_that_is_too_old(browser, living: Site) -> None:
    """One without Ed25519, and one that stores nothing: it is told what to take instead, and the invitation is good
    still."""
    parts = living.parts
    with parts.store.transaction() as connection:
        wanted = Invitation(InvitedAs.NEWCOMER, None, "", "Ida", None, None)
        token = invitations.make(connection, wanted, now_s=int(parts.wall.now_s()))
    for without, words in (
        (
            "crypto.subtle.generateKey = () => Promise.reject(new DOMException('x', 'NotSupportedError'))",
            "Firefox from 129",
        ),
        ("IDBFactory.prototype.open = () => { throw new DOMException('x', 'SecurityError') }", "a usual window"),
    ):
        context = browser.new_context(viewport=PHONE, locale="en-GB")
        context.add_init_script(without)
        page = context.new_page()
        page.goto(f"{living.url}/join/{token}")
        page.locator("#join button").click()
        page.get_by_role("alert").filter(has_text=words).wait_for()
        context.close()
    assert "Welcome, Ida" in living.get(f"/join/{token}", accept_language="en").text
