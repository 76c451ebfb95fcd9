"""People: invited and admitted between two browsers, found, suspended; names and numbers that cannot be taken."""

import pytest

from aggregator.private.store import PrivateStore
from aggregator.testing import ident
from commonwatt.registry import Status
from ledger.book.body import AdmitSite
from tests.web.conftest import Site, serving
from tests.web.office import a_newcomer, posted, seen
from tests.web.people import PHONE, Person, come_in
from web import app
from web.association.people import listing
from web.mail import letters
from web.roles import Role


@pytest.fixture(scope="module")
def steward(browser, living: Site):
    """Ada at her desk."""
    ada = come_in(browser, living, living.directory, "Ada", role="steward")
    yield ada
    ada.close()


def _person(living: Site, name: str) -> Status:
    with living.parts.books.now() as book:
        found = book.state.admissions.account(ident(name))
    assert found is not None
    return found[1]


def test_newcomer_between_two_browsers(browser, living: Site, steward: Person) -> None:
    """A steward makes a link; who follows it waits; the steward signs account and home, and they are in."""
    page = steward.open("/people/invite")
    page.get_by_label("Name").fill("Noor <script>alert(1)</script>")
    page.get_by_role("button", name="Make the link").click()
    link = page.locator("#link").inner_text()
    assert page.locator("svg.qr").is_visible()
    context = browser.new_context(viewport=PHONE, locale="en-GB")
    noor = context.new_page()
    noor.goto(link)
    with noor.expect_navigation(url="**/waiting"):
        noor.locator("#join button").click()
    assert "admits you" in noor.locator("main").inner_text()
    page = steward.open("/desk")
    page.get_by_role("link", name="would like to take part").click()
    page.get_by_role("link", name="Noor <script>").click()
    page.locator("#name").fill("Noor")
    page.locator("#home").fill("Noor's house")
    page.get_by_text("Heating, roof and contract").click()
    page.get_by_label("Solar modules").fill("3,2")
    with page.expect_navigation(url="**/people/*"):
        page.get_by_role("button", name="Admit and sign").click()
    assert page.locator("h1").inner_text() == "Noor"
    assert "active" in page.locator("main").inner_text()
    names = PrivateStore(living.directory / "private.db")
    home = names.find("sites", "Noor's house")
    assert home is not None
    assert names.attributes(home.id)["installed_wp"] == 3200
    with living.parts.books.now() as book:
        site = book.state.admissions.by_id[home.id].admission
        assert isinstance(site, AdmitSite)
        member = book.state.admissions.account(site.member)
        assert member is not None
    noor.goto(living.url + "/welcome")
    assert noor.locator("body").get_attribute("data-subject") == member[0].id.hex()
    assert noor.locator("header .who").inner_text() == "Noor"
    context.close()


def test_standing_when_signed_twice(living: Site, steward: Person) -> None:
    """Suspended with a reason that the log keeps; a second tab that asks for the same signs nothing."""
    path = f"/people/{ident('home07').hex()}"
    page = steward.open(path)
    page.get_by_label("Why").first.fill("the meter was moved")
    with page.expect_navigation():
        page.get_by_role("button", name="Suspend").click()
    assert "suspended" in page.locator(".lead").inner_text()
    assert _person(living, "home07") is Status.SUSPENDED
    with living.parts.books.now() as book:
        size = book.size
    status, said = posted(living, f"{path}/standing", act="suspend", reason="again")
    assert (status, said) == (200, f'{{"next":"{path}"}}')
    with living.parts.books.now() as book:
        assert book.size == size
    page.get_by_label("Why").first.fill("it is back")
    with page.expect_navigation():
        page.get_by_role("button", name="Reactivate").click()
    assert _person(living, "home07") is Status.ACTIVE


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": ""}, "Something is missing"),
        ({"name": "home05"}, "Somebody is called home05 already"),
        ({"name": "x" * 81}, "cannot be taken"),
        ({"name": "Zoe", "home": "A", "installed_kwp": "three"}, "This is not a number: three"),
        ({"name": "Zoe", "home": "A", "latitude": "46.2"}, "a latitude and a longitude"),
        ({"name": "Zoe", "kind": "king"}, "This cannot be chosen: king"),
    ],
)
def test_newcomer_when_the_form_is_wrong(living: Site, fields: dict[str, str], says: str) -> None:
    """A sentence; nobody is enrolled, nothing comes into the log."""
    newcomer = a_newcomer(living, "Zoe")
    status, said = posted(living, f"/people/newcomers/{newcomer}", **fields)
    assert status == 422
    assert says in said
    assert PrivateStore(living.directory / "private.db").find("members", "Zoe") is None


def test_people_who_are_looked_for(living: Site) -> None:
    """By a part of a name or a home; nobody is told where nobody is."""
    found = seen(living, "/people?q=OME11", Role.TOWNHALL)
    assert "home11" in found
    assert "home12" not in found
    assert "Nobody is found" in seen(living, "/people?q=%3Cscript%3E")
    assert "home00" in seen(living, "/people?page=999999999999")


def test_link_for_a_new_browser(living: Site) -> None:
    """For an account that is there: the same account, another key, by an invitation."""
    status, page = posted(living, f"/people/{ident('home08').hex()}/invite")
    assert status == 200
    assert "To use their account in a new browser" in page


def test_invitation_by_letter(living: Site) -> None:
    """Where the commune sends e-mail, a letter with the link waits for the postman; what is no address is told."""
    wrong = {"kind": "newcomer", "name": "Zoe", "email": "zoe at home"}
    assert "no e-mail address" in posted(living, "/people/invite", **wrong)[1]
    status, page = posted(living, "/people/invite", kind="newcomer", name="Zoe", email="zoe@example.org")
    assert (status, "is on its way" in page) == (200, False)
    mail = {"mail_host": "127.0.0.1", "mail_from": "town@example.org", "public_url": "https://town.example"}
    with serving(living.directory, told=mail) as site:
        status, page = posted(site, "/people/invite", kind="newcomer", name="Zoe", email="zoe@example.org")
        with site.parts.store.transaction() as connection:
            (waiting,) = letters.due(connection, now_s=int(site.parts.wall.now_s()), count_max=10)
    assert "is on its way" in page
    assert waiting.letter.recipient == "zoe@example.org"
    assert "https://town.example/join/" in waiting.letter.text


def test_meters_that_are_silent(living: Site) -> None:
    """At noon of the next day every meter has said nothing for half a day; two days later each is told of."""
    names = PrivateStore(living.directory / "private.db")
    office = app.office_of(living.parts)
    with living.parts.books.now() as book:
        meters = office.meters(book.state, names)
        now_s = int(living.parts.wall.now_s())
        fresh = listing.rows(book.state, names, meters, now_s=now_s)
        later = listing.rows(book.state, names, meters, now_s=now_s + 2 * 86_400)
    assert sum(row.silent for row in fresh) == 0
    assert sum(row.silent for row in later) >= 24
