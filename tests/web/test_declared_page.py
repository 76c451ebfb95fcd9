"""Declared values: signed in a member's browser, confirmed in the steward's, paid by the real stages; photographs."""

import http.client
import time
from pathlib import Path

import pytest

from aggregator.policy.rules import Policy
from aggregator.private.store import PrivateStore
from aggregator.statements import papers
from aggregator.testing import POLICY, TIME_S, ident, write_papers
from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.testing import ManualClock
from ledger import app as app_of_ledger
from ledger.log.note import Signer
from ledger.testing import LOG_KEY, ORIGIN
from tests.aggregator.conftest import assemble, open_works
from tests.web.conftest import Site, serving
from tests.web.office import posted, seen
from tests.web.people import come_in, session
from web.association.declared import photo
from web.door import BODY_SIZE_MAX, COOKIE
from web.roles import Role
from web.visitor import Sorry

DAY_S = 86_400
TIME = """
[declared.time]
unit = "h"
rate_mc_per_unit = 10000
cap_mc_per_month = 30000
age_days_max = 30
"""
JPEG = b"\xff\xd8\xff\xe0" + bytes(2000) + b"<script>alert(1)</script>"


@pytest.fixture
def quarter(tmp_path: Path) -> Path:
    """The quarter with rules that pay for time, its aggregator stopped."""
    rules = Policy.parse(POLICY.text + TIME, where="tests")
    works = open_works(tmp_path, policy=rules)
    works.clock.civil_s = TIME_S + 2 * DAY_S
    works.close_until(TIME_S + DAY_S)
    write_papers(tmp_path)
    (tmp_path / "policy.toml").write_text(rules.text)
    people = PrivateStore(tmp_path / "private.db")
    people.enrol("members", "Ana", ident("ana"))
    people.save()
    works.database.close()
    works.ledger.close()
    return tmp_path


def test_value_declared_and_confirmed(browser, quarter: Path) -> None:
    """2,5 hours with a photograph whose name is a script: the steward sees both, confirms, signs everything in one
    go, and the aggregator pays it once."""
    wall = CivilClock(TIME_S + 2 * DAY_S, time.time(), 1)
    with serving(quarter, wall=wall, clock=MonotonicClock()) as site:
        ana = come_in(browser, site, quarter, "Ana", account=ident("ana"))
        page = ana.open("/declare")
        page.get_by_label("How much").fill("2,5")
        page.get_by_label("On which day").fill("2024-07-15")
        page.get_by_label("What you did").fill("cut <b>a hedge</b>")
        name = '"><script>alert(1)</script>.jpg'
        page.get_by_label("A photograph").set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": JPEG})
        with page.expect_navigation():
            page.get_by_role("button", name="Declare and sign").click()
        assert "waits for a second person" in page.locator("main").inner_text()
        ana.close()
        steward = come_in(browser, site, quarter, "Ada", role="steward")
        page = steward.open("/desk")
        page.get_by_role("link", name="to confirm").click()
        told = page.locator("main").inner_text()
        assert "Ana: 2.5 h of time for others" in told
        assert "cut <b>a hedge</b>" in told
        assert "worth 25 credits" in told
        picture = page.locator("img.paper-photo").get_attribute("src") or ""
        assert page.evaluate(f"fetch('{picture}').then((it) => it.headers.get('content-type'))") == "image/jpeg"
        page.get_by_role("button", name="Confirm and sign").click()
        with page.expect_navigation(url="**/declared"):
            page.get_by_role("button", name="Yes").click()
        assert "Nothing waits for a second person" in page.locator("main").inner_text()
        steward.close()
        with site.parts.books.now() as book:
            declared, confirmed = site.parts.said.stated(book.state)
        assert (declared.signer.id, confirmed.signer.id) == (ident("ana"), b"steward")
    (kept,) = (papers.read(quarter, bytes.fromhex(path.stem)) for path in (quarter / "papers").glob("*.json"))
    assert kept is not None
    assert list(kept.files) == ["photo.jpg"]
    ledger = app_of_ledger.open_parts(quarter, Signer(ORIGIN, LOG_KEY))
    works = assemble(quarter, ledger, ManualClock(TIME_S + 2 * DAY_S))
    works.close_until(works.closer.next_end_s + 3600)
    works.close_until(TIME_S + 2 * DAY_S + 2 * 3600)
    assert works.balances() == {"ana": 22_500, "association": 2_500}
    works.database.close()
    works.ledger.close()


def _wrong(**fields: str) -> dict[str, str]:
    return {"kind": "time", "amount": "2,5", "on": "2024-07-15", "text": "cut a hedge", **fields}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (_wrong(), "pays for no"),
        (_wrong(text=""), "not said what was done"),
        (_wrong(text="x" * 1001), "not said what was done"),
        (_wrong(amount=""), "Something is missing"),
    ],
)
def test_value_that_cannot_be_declared(living: Site, fields: dict[str, str], says: str) -> None:
    """A sentence; no papers are kept."""
    status, said = posted(living, "/declare/sign", Role.RESIDENT, **fields)
    assert (status, says in said) == (422, True), said
    assert not (living.directory / "papers").exists()


def test_rules_without_declared_values(living: Site) -> None:
    """The page says so, and has no form."""
    page = seen(living, "/declare", Role.RESIDENT)
    assert "pay for nothing but energy" in page
    assert "<form data-sign" not in page


def test_photograph_of_fifty_megabytes(living: Site) -> None:
    """Read to its end and thrown away: the browser gets a sentence, not a broken line."""
    cookie = session(living, Role.RESIDENT)
    size = 50 * 1024 * 1024
    headers = {"cookie": f"{COOKIE}={cookie}", "accept": "application/json", "accept-language": "fr"}
    headers |= {"content-type": "multipart/form-data; boundary=x", "content-length": str(size)}
    connection = http.client.HTTPConnection(living.host, living.port, timeout=20)
    connection.putrequest("POST", "/declare/sign")
    for name, text in headers.items():
        connection.putheader(name, text)
    connection.endheaders()
    for _part in range(50):
        connection.send(bytes(1024 * 1024))
    answer = connection.getresponse()
    assert answer.status == 413
    assert "Ce fichier est trop gros" in answer.read().decode("unicode-escape")
    connection.close()


BAD = (b"<svg onload=alert(1)>", b"GIF89a", b"", b"%PDF-1.7", b"\xff\xd8\xff" + bytes(BODY_SIZE_MAX))


@pytest.mark.parametrize("data", BAD, ids=["svg", "gif", "nothing", "pdf", "large"])
def test_photograph_that_is_none(data: bytes) -> None:
    """Whatever could run, or is no picture of the three kinds, or too large, is refused."""
    with pytest.raises(Sorry):
        photo.name_of(data)
