"""Passkeys with chromium's virtual authenticator: made on /me, used on /enter, refused when copied, removed."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from aggregator.testing import ident
from tests.web.conftest import Site
from tests.web.people import Person, come_in
from web.identity import logins

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
def named(living: Site) -> Site:
    """The same pages under a name: an IP address can have no passkeys."""
    return replace(living, host="localhost")


@pytest.fixture(scope="module")
def zoe(browser, named: Site) -> Iterator[Person]:
    """Somebody who is signed in, with her key in the browser."""
    person = come_in(browser, named, named.directory, "home05", account=ident("home05"))
    yield person
    person.close()


class Authenticator:
    """The fingerprint reader of one page."""

    def __init__(self, person: Person) -> None:
        self._session = person.context.new_cdp_session(person.page)
        self._session.send("WebAuthn.enable")
        self.id = self._send("addVirtualAuthenticator", options=AUTHENTICATOR)["authenticatorId"]

    def _send(self, name: str, **parameters: Any) -> Any:
        return self._session.send(f"WebAuthn.{name}", parameters)

    @property
    def credentials(self) -> list[dict[str, Any]]:
        return list(self._send("getCredentials", authenticatorId=self.id)["credentials"])

    def put(self, credential: dict[str, Any]) -> None:
        self._send("addCredential", authenticatorId=self.id, credential=credential)

    def clear(self) -> None:
        self._send("clearCredentials", authenticatorId=self.id)

    def verifies(self, is_verified: bool) -> None:
        """Whether it knows the finger."""
        self._send("setUserVerified", authenticatorId=self.id, isUserVerified=is_verified)


def _add(person: Person, name: str) -> None:
    page = person.open("/me")
    page.get_by_label("Name of the new passkey").fill(name)
    page.get_by_role("button", name="Add a passkey").click()


def _sign_in(person: Person) -> None:
    """Leave, and come back by the passkey: the browser offers it by itself below the address field."""
    person.context.clear_cookies()
    person.open("/enter?to=/me").wait_for_url("**/me")


def test_passkey_from_making_to_removing(zoe: Person) -> None:
    """Made with a name, in a session that is older than 15 minutes by the browser's key; it signs in alone, to the
    page that was asked for; a finger that is not known, a copy and a removed one do not."""
    finger = Authenticator(zoe)
    store = zoe.site.parts.store
    with store.transaction() as connection:
        who = logins.of_subject(connection, ident("home05"))
        connection.exec_driver_sql("UPDATE session SET created_s = created_s - 7200")
    assert who is not None
    _add(zoe, "My <b>phone</b>")
    zoe.page.locator("#passkeys li", has_text="My <b>phone</b>").wait_for()
    (made,) = finger.credentials
    assert (made["rpId"], made["isResidentCredential"]) == ("localhost", True)

    _sign_in(zoe)
    zoe.page.locator("#passkeys li", has_text="last used").wait_for()

    (used,) = finger.credentials
    finger.clear()
    finger.put({**used, "signCount": 0})
    _sign_in_and_fail(zoe, "may be a copy")
    finger.clear()
    finger.put({**used, "signCount": used["signCount"] + 10})
    finger.verifies(False)
    _sign_in_and_fail(zoe, "No passkey was used")
    finger.verifies(True)

    _sign_in(zoe)
    zoe.page.locator("#passkeys").get_by_role("button", name="Remove").click()
    zoe.page.locator("#passkeys li").wait_for(state="detached")
    _sign_in_and_fail(zoe, "not known here any more")


def _sign_in_and_fail(person: Person, words: str) -> None:
    person.context.clear_cookies()
    page = person.open("/enter")
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_role("alert").filter(has_text=words).wait_for()


def test_passkey_of_a_number(living: Site) -> None:
    """Opened by its IP address, the page offers no passkey, and says why."""
    assert "Use a passkey" not in living.get("/enter", accept_language="en").text
    with living.parts.store.transaction() as connection:
        now_s = int(living.parts.wall.now_s())
        who = logins.add(connection, subject=ident("home06"), name="home06", email=None, now_s=now_s)
        token = logins.open_session(connection, who, now_s=now_s)
    text = living.get("/me", accept_language="en", cookie=f"session={token}").text
    assert "opened this page by a number" in text
    assert "Add a passkey" not in text


def test_commune_without_e_mail(living: Site) -> None:
    """The page offers none, and says whom to ask."""
    text = living.get("/enter", accept_language="en").text
    assert "Send me a link" not in text
    assert "Ask the association" in text
