"""Signing in by e-mail, with a real SMTP server and a real browser, and /me: browsers, language, address."""

import http.client
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from typer.testing import CliRunner

from aggregator.testing import ident
from commonwatt.errors import UserError
from commonwatt.testing import ManualClock
from tests.web.conftest import NOON_S, Site, serving
from tests.web.people import PHONE
from tests.web.post import Mailbox, serving_mail
from web import cli
from web.door import COOKIE
from web.identity import logins, wishes
from web.identity.links import LINK_S
from web.identity.presence import FRESH_S
from web.mail import letters
from web.mail.letters import Letter
from web.store import of_person

SAID = "If this address is known here"
ANDROID = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"


@dataclass
class Desk:
    """The pages, the mailbox of everybody, and the clock of both."""

    site: Site
    mailbox: Mailbox
    clock: ManualClock

    def post(self, path: str, cookie: str = "", **fields: str) -> tuple[int, str, dict[str, str]]:
        """A form as a browser without scripts posts it: status, body, headers."""
        headers = {"content-type": "application/x-www-form-urlencoded", "accept-language": "en"}
        headers["user-agent"] = ANDROID
        if cookie:
            headers["cookie"] = f"{COOKIE}={cookie}"
            fields = {"csrf": logins.csrf_of(cookie), **fields}
        connection = http.client.HTTPConnection(self.site.host, self.site.port, timeout=20)
        try:
            connection.request("POST", path, body=urlencode(fields), headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), {name.lower(): text for name, text in answer.getheaders()}
        finally:
            connection.close()

    def get(self, path: str, cookie: str = "") -> Any:
        return self.site.get(path, accept_language="en", **({"cookie": f"{COOKIE}={cookie}"} if cookie else {}))

    def known(self, name: str, email: str, subject: bytes | None = None) -> logins.Login:
        """Somebody who came in once and left their address."""
        with self.site.parts.store.transaction() as connection:
            found = logins.add(
                connection, subject=subject or ident(name), name=name, email=email, now_s=int(self.clock.now_s())
            )
            logins.set_email(connection, found, email)
            return found

    def enter(self, email: str) -> tuple[int, str]:
        """Type an address, and let the postman go round."""
        status, text, _headers = self.post("/enter", email=email)
        self.site.parts.postman.step()
        return status, text

    def session(self, who: logins.Login, browser: str = "") -> str:
        with self.site.parts.store.transaction() as connection:
            return logins.open_session(connection, who, now_s=int(self.clock.now_s()), browser=browser)


@pytest.fixture(scope="module")
def own_desk(town: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    directory = tmp_path_factory.mktemp("signin") / "town"
    shutil.copytree(town, directory)
    clock = ManualClock(civil_s=float(NOON_S))
    with serving_mail() as mailbox:
        told = mailbox.settings("http://pages.example")
        with serving(directory, wall=clock, clock=clock, told=told) as site:
            yield Desk(site, mailbox, clock)


@pytest.fixture
def desk(own_desk: Desk) -> Desk:
    """Each test begins a day later, with an empty mailbox."""
    own_desk.clock.advance(2 * 86_400)
    own_desk.site.parts.postman.step()  # also when a month has ended, and its letters are due
    own_desk.mailbox.taken.clear()
    return own_desk


def _cookie(headers: dict[str, str]) -> str:
    return headers["set-cookie"].split(f"{COOKIE}=")[1].split(";")[0]


def test_link_when_it_is_followed(desk: Desk) -> None:
    """One letter, one page with one button, one session; looking uses nothing up, and nothing works twice."""
    who = desk.known("home00", "zoe@mail.example")
    status, text = desk.enter("  Zoe@mail.example ")
    assert (status, SAID in text, len(desk.mailbox.taken)) == (200, True, 1)
    path = desk.mailbox.newest_link()
    for _scanner in range(2):
        assert "Sign in as home00, resident" in desk.get(path).text
    assert "Sign in as" not in desk.get(path + "x").text
    status, _text, headers = desk.post(path, login=who.id.hex())
    assert (status, headers["location"]) == (303, "/welcome")
    assert "HttpOnly" in headers["set-cookie"]
    assert "Firefox, Android – this browser" in " ".join(desk.get("/me", _cookie(headers)).text.split())
    status, text, _headers = desk.post(path, login=who.id.hex())
    assert (status, "used already" in text) == (422, True)


def test_link_when_it_is_too_old(desk: Desk) -> None:
    """After 15 minutes the page says so."""
    who = desk.known("home00", "zoe@mail.example")
    desk.enter("zoe@mail.example")
    path = desk.mailbox.newest_link()
    desk.clock.advance(LINK_S)
    assert "too old" in desk.get(path).text
    assert desk.post(path, login=who.id.hex())[0] == 422


def test_address_that_nobody_has(desk: Desk) -> None:
    """The same answer, to the byte, and the same work at once; no letter."""
    desk.known("home00", "zoe@mail.example")
    known, unknown = desk.enter("zoe@mail.example"), desk.enter("who@mail.example")
    assert known == unknown
    assert len(desk.mailbox.taken) == 1


def test_family_that_shares_an_address(desk: Desk) -> None:
    """One letter; who follows it chooses among their accounts, and nobody else's."""
    desk.known("home00", "zoe@mail.example")
    for name in ("home10", "home11"):
        desk.known(name, "us@mail.example")
    desk.enter("us@mail.example")
    path = desk.mailbox.newest_link()
    page = desk.get(path).text
    assert ("Who are you?" in page, "home10" in page, "home11" in page, "home00" in page) == (True, True, True, False)
    stranger = desk.known("home00", "zoe@mail.example")
    assert desk.post(path, login=stranger.id.hex())[0] == 422
    chosen = desk.known("home11", "us@mail.example")
    status, _text, headers = desk.post(path, login=chosen.id.hex())
    assert status == 303
    assert "home11" in desk.get("/me", _cookie(headers)).text
    desk.enter("us@mail.example")
    other = desk.known("home10", "us@mail.example")
    assert desk.post(desk.mailbox.newest_link(), _cookie(headers), login=other.id.hex())[0] == 303
    assert desk.get("/me", _cookie(headers)).status == 303, "a browser is one person at a time"


def test_family_when_one_of_them_is_erased(desk: Desk) -> None:
    """The others sign in as before; a person alone with an address leaves nothing of it."""
    store = desk.site.parts.store
    ours = {name: desk.known(name, "us@mail.example") for name in ("home10", "home11")}
    desk.known("home09", "Max@mail.example")
    for email in ("us@mail.example", "max@mail.example"):
        desk.post("/enter", email=email)
    with store.transaction() as connection:
        letters.put(connection, Letter("Max@mail.example", "x", "x"), now_s=int(desk.clock.now_s()))
        for name in ("home10", "home09"):
            of_person.erase(connection, ident(name))
        assert logins.of_email(connection, "us@mail.example") == [ours["home11"]]
        for table in ("login", "letter", "wish"):
            assert "max@" not in str(connection.exec_driver_sql(f"SELECT * FROM {table}").all()).lower()
    desk.site.parts.postman.step()
    assert [message["To"] for message in desk.mailbox.taken] == ["us@mail.example"]


def test_mailbox_that_somebody_floods(desk: Desk) -> None:
    """Three letters in a quarter of an hour, ten a day, however often it is typed; the answer stays the same."""
    desk.known("home00", "zoe@mail.example")
    for _again in range(5):
        assert SAID in desk.enter("zoe@mail.example")[1]
    assert len(desk.mailbox.taken) == wishes.PER_QUARTER_MAX
    for _quarter in range(6):
        desk.clock.advance(wishes.QUARTER_S)
        for _again in range(3):
            desk.enter("zoe@mail.example")
    assert len(desk.mailbox.taken) == wishes.PER_DAY_MAX


def test_client_that_types_many_addresses(desk: Desk) -> None:
    """It has to wait, whatever it types."""
    answers = [desk.post("/enter", email=f"a{number}@mail.example")[0] for number in range(12)]
    assert (answers[0], answers[-1]) == (200, 422)
    assert "Too many links" in desk.post("/enter", email="a@mail.example")[1]


@pytest.mark.parametrize("typed", ["", "zoe", "zoe@mail", "a@b.example\r\nBcc: c@d.example", "<script>@b.example"])
def test_address_that_is_none(desk: Desk, typed: str) -> None:
    """A sentence, and no letter."""
    status, text = desk.enter(typed)
    assert status == 422
    assert "<script>@" not in text
    assert desk.mailbox.taken == []


def test_address_when_it_is_changed(desk: Desk) -> None:
    """A link goes to the new one, which counts once it is followed; the old one is told."""
    who = desk.known("home00", "zoe@mail.example")
    cookie = desk.session(who)
    status, text, _headers = desk.post("/me/email", cookie, email="new@mail.example")
    desk.site.parts.postman.step()
    assert (status, "on its way to new@mail.example" in text) == (200, True)
    assert desk.mailbox.taken[0]["To"] == "new@mail.example"
    path = desk.mailbox.newest_link()
    assert "zoe@mail.example" in desk.get("/me", cookie).text, "not yet"
    assert "Is this your address?" in desk.get(path).text
    assert desk.post(path)[0] == 200
    desk.site.parts.postman.step()
    assert "new@mail.example" in desk.get("/me", cookie).text
    assert (desk.mailbox.taken[1]["To"], "It was not you?" in desk.mailbox.taken[1].get_content()) == (
        "zoe@mail.example",
        True,
    )
    assert desk.post(path)[0] == 422


def test_address_when_a_thief_has_the_cookie(desk: Desk) -> None:
    """A session that is older than a quarter of an hour changes it only with the browser's key."""
    cookie = desk.session(desk.known("home00", "zoe@mail.example"))
    desk.clock.advance(FRESH_S + 1)
    for presence in ("", "AAAA", "d28443a1"):
        status, text, _headers = desk.post("/me/email", cookie, email="thief@mail.example", presence=presence)
        assert (status, "within the last 15 minutes" in text) == (422, True)
    desk.site.parts.postman.step()
    assert desk.mailbox.taken == []


def test_browsers_when_one_is_lost(desk: Desk) -> None:
    """Each stands there with its name; one or all others are signed out, never somebody else's."""
    who, other = desk.known("home00", "zoe@mail.example"), desk.known("home12", "x@mail.example")
    theirs = desk.session(other)
    here, lost, old = desk.session(who), desk.session(who, "Chrome, Windows"), desk.session(who)
    page = desk.get("/me", here).text
    assert "Chrome, Windows" in page
    desk.post("/me/browsers", here, session=logins.digest(lost).hex())
    desk.post("/me/browsers", here, session=logins.digest(theirs).hex())
    assert [desk.get("/me", cookie).status for cookie in (here, lost, old, theirs)] == [200, 303, 200, 200]
    desk.post("/me/browsers", here, session="others")
    assert [desk.get("/me", cookie).status for cookie in (here, old, theirs)] == [200, 303, 200]


def test_language_when_it_is_chosen(desk: Desk) -> None:
    """The page is in it at once, and so are letters and the next browser."""
    who = desk.known("home00", "zoe@mail.example")
    status, _text, headers = desk.post("/me/language", desk.session(who), language="fr")
    assert (status, "language=fr" in headers["set-cookie"]) == (303, True)
    desk.enter("zoe@mail.example")
    assert "Bonjour" in desk.mailbox.taken[0].get_content()
    _status, _text, headers = desk.post(desk.mailbox.newest_link(), login=who.id.hex())
    assert "language=fr" in headers["set-cookie"]
    assert desk.post("/me/language", desk.session(who), language="xx")[0] == 422


def test_association_without_a_browser(desk: Desk) -> None:
    """It invites by a command, which sends the link; and it sees who signed in, and when."""
    directory, mailbox = desk.site.directory, desk.mailbox
    told = mailbox.settings("http://pages.example")
    lines = [f"{name} = {value if isinstance(value, int) else repr(value)}" for name, value in told.items()]
    (directory / "web.toml").write_text("\n".join(lines))
    clock = ["--clock", f"{int(desk.clock.now_s())}@{int(time.time())}x1"]
    invite = ["invite", str(directory), "Léa", "--new", "--email", "lea@mail.example"]
    answer = CliRunner().invoke(cli.app, invite)
    assert (answer.exit_code, "sent to lea@mail.example" in answer.output) == (0, True)
    assert "Hello Léa" in mailbox.taken[0].get_content()
    assert mailbox.newest_link() == answer.output.splitlines()[0].removeprefix("http://pages.example")
    mailbox.to_recipient = "550 no such mailbox"
    answer = CliRunner().invoke(cli.app, invite)
    mailbox.to_recipient = "250 OK"
    assert isinstance(answer.exception, UserError)
    assert "/join/" in answer.output
    desk.session(desk.known("home23", "ida@mail.example"))
    answer = CliRunner().invoke(cli.app, ["people", str(directory), *clock])
    (line,) = [line for line in answer.output.splitlines() if line.startswith("home23")]
    assert line.startswith("home23, resident, ida@mail.example, last seen 2024-")
    assert line.endswith("browsers: 1, passkeys: 0")


def test_link_in_a_browser(browser, desk: Desk) -> None:
    """From the address to the own first page on a phone, by its buttons alone, with a clock that is years off."""
    desk.known("home13", "ana@mail.example")
    context = browser.new_context(viewport=PHONE, locale="en-GB")
    page = context.new_page()
    page.clock.set_fixed_time("2001-01-01")
    page.goto(desk.site.url + "/enter")
    page.get_by_label("Your e-mail address").fill("ana@mail.example")
    page.get_by_role("button", name="Send me a link").click()
    page.get_by_role("heading", name="Look into your mailbox").wait_for()
    desk.site.parts.postman.step()
    page.goto(desk.site.url + desk.mailbox.newest_link())
    page.get_by_role("button", name="Sign in as home13").click()
    page.wait_for_url(lambda url: "/link/" not in url)
    page.goto(desk.site.url + "/me")
    assert "this browser" in page.locator("#browsers").inner_text()
    page.get_by_label("Pages and letters are written in").select_option("fr")
    page.locator("#language button").click()
    page.locator("html[lang=fr]").wait_for()
    context.close()
