"""People of the test town with browsers of their own: each comes in by an invitation, as anybody would."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aggregator.testing import ident, key
from commonwatt.identity import SigningKey, new_id
from ledger.app import open_ledger
from ledger.book.body import role_key_id
from ledger.sequencer import Placed
from ledger.testing import earned
from tests.web.conftest import Answer, Site
from web.door import COOKIE
from web.identity import invitations, inviting, logins
from web.identity.invitations import Invitation, InvitedAs
from web.roles import Role

PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
OFFICES = ("steward", "townhall", "operator", "auditor")


@dataclass
class Person:
    """Somebody with a browser of their own (a context) and one page in it, at a site."""

    site: Site
    name: str
    context: Any
    page: Any

    def open(self, path: str) -> Any:
        """Go somewhere; the page."""
        self.page.goto(self.site.url + path)
        return self.page

    def close(self) -> None:
        self.context.close()


def come_in(
    browser: Any,
    site: Site,
    directory: Path,
    name: str,
    *,
    role: str = "",
    account: bytes | None = None,
    keys: tuple[SigningKey, ...] = (),
    locale: str = "en-GB",
    size: dict[str, int] = PHONE,
    keeps_pages: bool = False,
) -> Person:
    """Somebody takes up an invitation in a fresh browser: to an office (`role`), to an `account` that is there, or as
    a newcomer. The keys of the commune's founders sign what this needs. `keeps_pages`: with the service worker."""
    parts = site.parts
    kind = InvitedAs.ROLE if role else InvitedAs.ACCOUNT if account else InvitedAs.NEWCOMER
    now_s = int(parts.wall.now_s())
    with parts.store.transaction() as connection:
        token = invitations.make(connection, Invitation(kind, account, role, name, None, None), now_s=now_s)
    workers = "allow" if keeps_pages else "block"
    context = browser.new_context(viewport=size, locale=locale, service_workers=workers)
    person = Person(site, name, context, context.new_page())
    person.open(f"/join/{token}")
    with person.page.expect_navigation(url="**/waiting"):
        person.page.locator("#join button").click()
    signing = keys or (key("steward"), key("townhall"), key("operator"))
    inviting.sign_waiting(parts.books, parts.store, signing)
    return person


def session(living: Site, role: Role) -> str:
    """A fresh session of somebody with a role."""
    subject = {
        Role.WAITING: new_id(),
        Role.RESIDENT: ident("home00"),
        Role.MERCHANT: ident("baker"),
    }.get(role) or role_key_id(key(role.value).public_key)
    now_s = int(living.parts.wall.now_s())
    with living.parts.store.transaction() as connection:
        who = logins.add(connection, subject=subject, name=role.value, email=None, now_s=now_s)
        return logins.open_session(connection, who, now_s=now_s)


def earn(site: Site, **amounts_mc: int) -> None:
    """These accounts earn so much, by a mint of one hour, later than all before: what they pay with."""
    with open_ledger(site.directory) as ledger:
        leaves = [earned(name, amount_mc, window=ledger.size) for name, amount_mc in amounts_mc.items()]
        answer = ledger.mint(
            new_id(),
            leaves,
            policy_sha256=ledger.state.policy_in_force or b"",
            window_start_s=leaves[0].window_start_s,
            window_end_s=leaves[0].window_end_s,
            time_s=leaves[0].window_end_s,
            key=key("aggregator"),
        )
        assert isinstance(answer, Placed), answer
        ledger.publish()


def visit(site: Site, subject: bytes, path: str, *, name: str = "somebody", language: str = "en") -> Answer:
    """What a page says to somebody who has signed in, asked for without a browser."""
    now_s = int(site.parts.wall.now_s())
    with site.parts.store.transaction() as connection:
        who = logins.add(connection, subject=subject, name=name, email=None, now_s=now_s)
        token = logins.open_session(connection, who, now_s=now_s)
    return site.get(path, cookie=f"{COOKIE}={token}", accept_language=language)
