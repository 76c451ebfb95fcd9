"""Coming in: invitations, keys made in real browsers, offices, sessions, and what is refused."""

import pytest

from aggregator.testing import ident, key
from ledger.book.body import AdmitRole, role_key_id
from ledger.book.entry import Entry
from tests.web.conftest import Site
from tests.web.people import come_in
from web.drafts import desk
from web.identity import invitations, inviting
from web.identity.invitations import Invitation, InvitedAs


def _invited(living: Site, wanted: Invitation) -> str:
    with living.parts.store.transaction() as connection:
        return invitations.make(connection, wanted, now_s=int(living.parts.wall.now_s()))


def test_account_when_taken_up_in_a_browser(browser, living: Site) -> None:
    """The browser's own key becomes the wallet, once others have signed; the old key is done with."""
    with living.parts.books.now() as book:
        old = book.state.admissions.account(ident("home01"))[0].wallet
    person = come_in(browser, living, living.directory, "home01", account=ident("home01"))
    with living.parts.books.now() as book:
        new = book.state.admissions.account(ident("home01"))[0].wallet
        (place,) = book.index.latest(ident("home01"), before=book.size, limit=1)
        assert place == book.size - 1
    assert new != old == key("home01").public_key
    page = person.open("/welcome")
    assert page.locator("body").get_attribute("data-subject") == ident("home01").hex()
    kept = page.evaluate(
        """async () => { const {find} = await import("/static/wallet/keys.js");
        const key = await find(document.body.dataset.subject);
        return [Array.from(key.publicKey), key.privateKey.extractable]; }"""
    )
    assert (bytes(kept[0]), kept[1]) == (new, False)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").wait_for()  # a plain form of ours is taken
    person.close()


def test_office_when_others_sign(browser, living: Site) -> None:
    """A steward's browser signs at the desk what waits there: the key of a member who comes after."""
    steward = come_in(browser, living, living.directory, "Ada", role="steward")
    page = steward.open("/desk")
    assert "Nothing waits" in page.locator("main").inner_text()
    member = come_in(browser, living, living.directory, "home02", account=ident("home02"), keys=(key("townhall"),))
    assert member.page.get_by_role("link", name="I have my printed code").get_attribute("href") == "/recover"
    page = steward.open("/desk")
    with page.expect_navigation():
        page.get_by_role("button", name="Sign", exact=True).click(timeout=3000)
        page.get_by_role("button", name="Yes").click(timeout=3000)
    assert "Nothing waits" in page.locator("main").inner_text()
    with living.parts.books.now() as book:
        assert book.state.admissions.account(ident("home02"))[0].wallet != key("home02").public_key
        assert book.entry(book.size - 1)
    member.close()
    steward.close()


@pytest.mark.parametrize(("token", "says"), [("nothing", "does not exist"), ("../enter", "does not exist")])
def test_invitation_that_was_never_made(living: Site, token: str, says: str) -> None:
    """A sentence, and nothing else."""
    answer = living.get(f"/join/{token.replace('/', '%2F')}", accept_language="en")
    assert answer.status in (404, 422)
    assert says in answer.text or answer.status == 404


def test_invitation_when_it_is_old_or_used(browser, living: Site) -> None:
    """It can be taken up once; the browser that did comes back to its own page, others are told."""
    person = come_in(browser, living, living.directory, "home03", account=ident("home03"))
    used = _invited(living, Invitation(InvitedAs.ACCOUNT, ident("home04"), "", "home04", None, None))
    with living.parts.store.transaction() as connection:
        invitations.take_up(connection, used, b"x" * 16, ident("home04"))
    assert "taken up already" in living.get(f"/join/{used}", accept_language="en").text
    assert "does not exist" in living.get("/join/abc", accept_language="en").text
    person.close()


def test_office_that_does_not_exist(living: Site) -> None:
    """No invitation is made for it."""
    wanted = Invitation(InvitedAs.ROLE, None, "king", "Otto", None, None)
    with pytest.raises(Exception, match="king"):
        inviting.invite(living.directory, living.parts.store, wanted, now_s=0)


def test_signed_entries_of_strangers(living: Site) -> None:
    """Nobody who has not signed in brings anything to the ledger."""
    assert living.get("/desk").status == 303


def test_waiting_keys_when_only_arrivals_are_signed(living: Site) -> None:
    """Whoever signs for those who come in leaves alone what people want of each other."""
    parts, signing = living.parts, (key("steward"), key("townhall"))
    now_s = int(parts.wall.now_s())
    public_key = key("an auditor").public_key
    entry = Entry(ident("an entry"), now_s, AdmitRole(role_key_id(public_key), "auditor", public_key))
    with parts.store.transaction() as connection:
        desk.propose(connection, entry, purpose="another", about=None, proposed_by=None, now_s=now_s)
    assert inviting.sign_waiting(parts.books, parts.store, signing, purposes=inviting.ARRIVALS) == []
    assert len(inviting.sign_waiting(parts.books, parts.store, signing)) == 1
