"""The proof of a movement: downloaded, checked, printed; and which step fails when a byte is changed."""

from typing import Any

import cbor2
import pytest

from aggregator.testing import ident
from ledger.proof import file as proof_file
from ledger.proof.file import QR_SIZE_MAX, LongOpening
from ledger.proof.steps import explain
from ledger.proof.trust import load
from tests.web.conftest import Site
from tests.web.people import PHONE, visit
from tests.web.test_account import text_of
from tests.web.test_movements import mint_of, pay
from web.account.proofs import Form, Prover
from web.door import COOKIE
from web.identity import logins

PARTS = {
    "entry": "do not lead from entry",
    "path": "do not lead from entry",
    "checkpoint": "own key did not sign this head",
    "line": "not those that the mint commits to",
    "block": "A block or an admission that a line names is missing.",
    "signature": "A block or an admission that a line names is missing.",
    "admission": "meter's admission or new key is not signed",
}
"""By the part in which a byte is changed: what the step says that fails."""


@pytest.fixture
def page(browser: Any, living: Site) -> Any:
    """The page of home00's first mint, in its browser."""
    with living.parts.store.transaction() as connection:
        now_s = int(living.parts.wall.now_s())
        who = logins.add(connection, subject=ident("home00"), name="home00", email=None, now_s=now_s)
        token = logins.open_session(connection, who, now_s=now_s)
    context = browser.new_context(viewport=PHONE, locale="en-GB", service_workers="block")
    context.add_cookies([{"name": COOKIE, "value": token, "url": living.url}])
    page = context.new_page()
    page.goto(f"{living.url}/movement/{mint_of(living, 'home00')}")
    yield page
    context.close()


def downloaded(living: Site) -> bytes:
    return visit(living, ident("home00"), f"/movement/{mint_of(living, 'home00')}.proof").body


def test_proof_when_it_is_downloaded(living: Site, tmp_path) -> None:
    """It goes down to the meter's signatures, and the command finds it proven; of a payment too."""
    (tmp_path / "constitution.toml").write_text(living.parts.town.look().constitution.encode())
    answer = visit(living, ident("home00"), f"/movement/{mint_of(living, 'home00')}.proof")
    assert answer.headers["content-disposition"].endswith('.proof"')
    file = proof_file.parse(answer.body)
    assert isinstance(file.opening, LongOpening)
    assert len(file.opening.lines) == 4
    steps = list(explain(file, load(tmp_path / "constitution.toml"), {}))
    assert all(step.is_good for step in steps)
    place, _identifier = pay(living, "home17", "home19", 5, "nails")
    for name in ("home17", "home19"):
        paid = proof_file.parse(visit(living, ident(name), f"/movement/{place}.proof").body)
        assert all(step.is_good for step in explain(paid, load(tmp_path / "constitution.toml"), {}))


def test_proof_when_it_is_checked_in_the_browser(page: Any, living: Site) -> None:
    """One tap shows every step and that it is proven; then, for a byte of each part, which step fails."""
    page.click("#check")
    page.wait_for_selector("#verdict.good")
    said = page.locator("main").inner_text()
    for step in ("has signed its head", "hashes lead from it", "The entry made", "All 4 lines", "one by one"):
        assert step in said, said
    page.click("#steps summary")
    assert "That meter signed the readings itself" in page.locator("#steps").inner_text()
    good = downloaded(living)
    served: list[bytes] = []
    page.route("**/*.proof", lambda route: route.fulfill(body=served[-1], content_type="application/octet-stream"))
    for part, says in PARTS.items():
        served.append(tampered(good, part))
        page.click("#check")
        page.wait_for_selector("#check:enabled")
        assert page.locator("#verdict").get_attribute("class") == "bad", part
        assert says in page.locator("#steps > .bad").inner_text().replace("’", "'"), part
        assert page.locator("#steps > li").last.get_attribute("class") == "bad"
    page.unroute("**/*.proof")
    page.context.set_offline(True)
    page.click("#check")
    page.get_by_text("could not be fetched").wait_for()
    page.context.set_offline(False)


def tampered(data: bytes, part: str) -> bytes:
    """The proof with one bit of a part changed."""
    _version, entry, _index, path, checkpoint, (_kind, lines, blocks, admissions) = cbor2.loads(data)
    first = admissions[0] if isinstance(admissions[0], bytes) else admissions[0][0]
    inside, at = {
        "entry": (entry, 10),
        "path": (path, 5),
        "checkpoint": (checkpoint, -10),
        "line": (cbor2.dumps(lines[0]), 5),
        "block": (blocks[0], 30),
        "signature": (blocks[0], -1),
        "admission": (first, -1),
    }[part]
    place = data.index(inside) + at % len(inside)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_paper_when_it_is_printed(page: Any, living: Site) -> None:
    """The facts and a code on the page, no bars and buttons; the code is of what it says."""
    page.get_by_role("link", name="Print it").click()
    page.wait_for_selector(".qr")
    said = page.locator("main").inner_text()
    assert "The code holds" in said
    page.emulate_media(media="print")
    assert not page.locator("nav.tabs").is_visible()
    assert not page.get_by_role("button", name="Print").is_visible()
    assert page.locator(".qr").is_visible()
    prover = Prover(living.directory, "", living.parts.books)
    made = prover.for_paper(ident("home00"), mint_of(living, "home00"))
    assert made is not None
    file, form = made
    assert len(file.encode()) <= QR_SIZE_MAX
    assert form is (Form.LONG if len(downloaded(living)) <= QR_SIZE_MAX else Form.SHORT)


def test_proof_when_the_database_is_gone(living: Site, tmp_path) -> None:
    """The log's own word is left: closed, and still proven; the page says so of what it has."""
    place = mint_of(living, "home00")
    prover = Prover(living.directory, f"sqlite:///{tmp_path}/none.db", living.parts.books)
    file, form = prover.prove(ident("home00"), place)
    assert (form, file.opening) == (Form.CLOSED, None)
    paper = prover.for_paper(ident("home00"), place)
    assert paper is not None
    assert paper[1] is Form.CLOSED
    assert "Check the proof" in text_of(visit(living, ident("home00"), f"/movement/{place}").text)
