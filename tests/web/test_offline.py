"""Without a connection: kept pages, payments that wait and are sent once, and nothing left after signing out."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from aggregator.testing import GENESIS, TIME_S, ident, key
from ledger.book.body import Transfer
from ledger.book.entry import Entry
from tests.web.conftest import Site
from tests.web.people import Person, come_in, earn
from web import draw_icons
from web.pay import codes

pytestmark = pytest.mark.xdist_group("offline")  # one town and one browser for all
BAKER = ident("baker")


@pytest.fixture(scope="module")
def ana(browser: Any, living: Site) -> Iterator[Person]:
    """A resident whose browser has the service worker and its pages."""
    earn(living, home06=20_000, home08=5_000)
    person = come_in(browser, living, living.directory, "home06", account=ident("home06"), keeps_pages=True)
    person.context.set_default_timeout(8000)
    # Playwright takes the connection away from pages, not from the browser, which would send what waits at once
    # (Background Sync): as in browsers that have none. A test below lets it come.
    person.context.add_init_script("delete ServiceWorkerRegistration.prototype.sync")
    person.open("/ask").evaluate("navigator.serviceWorker.ready")
    person.page.wait_for_function("navigator.serviceWorker.controller")
    person.open("/ask")
    person.open("/pay").evaluate(
        """async () => { while (!(await caches.match("/pay/offline")))
        await new Promise((go) => setTimeout(go, 20)); }"""
    )
    yield person
    person.close()


@pytest.fixture
def away(ana: Person) -> Iterator[Any]:
    """Their page, without a connection."""
    ana.context.set_offline(True)
    yield ana.page
    ana.context.set_offline(False)


def free_mc(living: Site, name: str = "home06") -> int:
    with living.parts.books.now() as book:
        return book.state.book.free_mc(ident(name))


def confirm(page: Any) -> None:
    page.get_by_role("button", name="Go on").click()
    page.locator("#sure [value=yes]").click()


def prepares(ana: Person, amount: str) -> Any:
    """A payment to the baker, signed without a connection."""
    page = ana.open("/pay")
    page.select_option("#payee", BAKER.hex())
    page.fill("#amount", amount)
    confirm(page)
    page.wait_for_selector("text=It will be sent when there is a connection.")
    return page


def test_app_when_it_is_to_be_installed(ana: Person, living: Site) -> None:
    """Chromium finds nothing missing; icons are as large as the manifest says, in the reader's language."""
    session = ana.context.new_cdp_session(ana.open("/ask"))
    assert session.send("Page.getAppManifest")["errors"] == []
    (found,) = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert found["errorId"] == "in-incognito"  # as every page of a test is
    session.detach()
    told = json.loads(living.get("/manifest.webmanifest", accept_language="fr").text)
    assert (told["start_url"], told["scope"]) == ("/welcome", "/")
    assert [row["name"] for row in told["shortcuts"]] == ["Payer", "Caisse"]
    assert {row["purpose"] for row in told["icons"]} == {"any", "maskable"}
    for row in told["icons"]:
        picture = Image.open(io.BytesIO(living.get(row["src"]).body))
        assert f"{picture.width}x{picture.height}" == row["sizes"]


def test_payment_when_there_is_no_connection(ana: Person, away: Any, living: Site) -> None:
    """It is signed, waits through a reload, and is sent once when there is a connection again."""
    before_mc = free_mc(living)
    page = prepares(ana, "2,5")
    page.reload()
    page.wait_for_selector("text=It will be sent when there is a connection.")
    assert "Payments that wait to be sent: 1." in page.inner_text("#connection")
    assert free_mc(living) == before_mc
    ana.context.set_offline(False)
    page.wait_for_url("**/paid/*")
    assert "You have paid baker." in page.inner_text("main")
    paid = page.url
    assert before_mc - free_mc(living) == 2500
    page.evaluate("self.commonwatt.delivery.deliverAll()")
    page.go_back()
    page.goto(paid)
    assert before_mc - free_mc(living) == 2500


def test_payment_when_it_is_not_to_be_sent(ana: Person, away: Any, living: Site) -> None:
    """What never left the browser can be taken back."""
    before_mc = free_mc(living)
    prepares(ana, "3")
    page = ana.open("/pay")
    page.get_by_role("button", name="Do not send it").click()
    page.wait_for_selector("#outbox", state="hidden")
    ana.context.set_offline(False)
    ana.open("/pay")
    assert page.locator("#connection").is_hidden()
    assert free_mc(living) == before_mc


def test_code_when_it_is_paid_meanwhile(ana: Person, living: Site) -> None:
    """A payment that comes too late is told plainly and takes nothing: somebody was faster, or its time is over."""
    now_s = int(living.parts.wall.now_s())
    with living.parts.store.transaction() as connection:
        common = {"account": BAKER, "amount_mc": 500, "memo": "", "lasts": codes.Lasts.DAY, "now_s": now_s}
        taken, late = (codes.make(connection, **common) for _each in range(2))
    before_mc = free_mc(living)
    for code in (taken, late):
        page = ana.open(f"/p/{code.text}")
        ana.context.set_offline(True)
        confirm(page)
        page.wait_for_selector("text=It will be sent when there is a connection.")
        if code is taken:
            other = Entry(code.payment, TIME_S, Transfer(ident("home08"), BAKER, 500, ""))
            living.parts.books.submit(other.sign(key("home08"), GENESIS))
        else:
            page.evaluate(
                """async (id) => { const {delivery} = self.commonwatt;
                await delivery.put({...await delivery.find(id), expires: 1}); }""",
                code.payment.hex(),
            )
        ana.context.set_offline(False)
        page.wait_for_selector("text=It was not paid")
    page = ana.open("/pay")
    page.wait_for_selector("#outbox form")
    told = page.inner_text("#outbox")
    assert "paid already" in told
    assert "the time for it is over" in told
    assert free_mc(living) == before_mc
    for _each in range(2):
        page.get_by_role("button", name="Remove from this list").first.click()
    page.wait_for_selector("#outbox", state="hidden")


def test_payment_when_the_browser_sends_it(ana: Person, living: Site) -> None:
    """Where browsers have Background Sync, the service worker sends what waits, without a page."""
    before_mc = free_mc(living)
    ana.context.set_offline(True)
    page = prepares(ana, "1")
    session = ana.context.new_cdp_session(page)
    registrations: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: registrations.extend(row["registrationId"] for row in told["registrations"]),
    )
    session.send("ServiceWorker.enable")
    while not registrations:
        page.wait_for_timeout(20)  # lets what the browser says come in
    ana.open("/static/icon.svg")  # a page would send it itself
    ana.context.set_offline(False)
    sync = {"origin": living.url, "registrationId": registrations[0], "tag": "outbox", "lastChance": False}
    session.send("ServiceWorker.dispatchSyncEvent", sync)
    while free_mc(living) == before_mc:
        page.wait_for_timeout(50)
    assert before_mc - free_mc(living) == 1000
    session.detach()


def test_proof_when_there_is_no_connection(ana: Person, living: Site) -> None:
    """A movement that was looked at, and its proof, are read and checked without a connection."""
    with living.parts.books.now() as book:
        (place,) = book.index.latest(ident("home06"), before=book.size, limit=1)
    page = ana.open(f"/movement/{place}")
    page.evaluate(
        """async (path) => { while (!(await caches.match(path))) await new Promise((go) => setTimeout(go, 20)); }""",
        f"/movement/{place}.proof",
    )
    ana.context.set_offline(True)
    ana.open(f"/movement/{place}").locator("#check").click()
    page.wait_for_function("document.getElementById('verdict').textContent.includes('Proven')")
    ana.context.set_offline(False)


def test_pages_when_somebody_signs_out(ana: Person, living: Site) -> None:
    """Kept pages can be read without a connection; after signing out they are gone, also for who comes next."""
    ana.context.set_offline(True)
    assert "You get a code." in ana.open("/ask").inner_text("main")
    ana.page.wait_for_selector("text=There is no connection: you see pages as they were.")
    assert "This page was not kept" in ana.open("/log").inner_text("main")
    ana.context.set_offline(False)
    page = ana.open("/ask")
    with page.expect_navigation():
        page.get_by_role("button", name="Sign out").click()
    assert page.evaluate("caches.open('pages').then((pages) => pages.keys()).then((keys) => keys.length)") == 0
    ana.context.set_offline(True)
    assert "This page was not kept" in ana.open("/ask").inner_text("main")
    assert "home06" not in ana.page.content()
    ana.context.set_offline(False)


def test_icons_when_they_are_drawn_again() -> None:
    """What is kept is what the script draws."""
    drawn = draw_icons.icon(192)
    assert drawn.tobytes() == Image.open(draw_icons.FOLDER / "icon-192.png").tobytes()
