"""What members decide about their own data: consents, a copy of everything, and erasure to the last file."""

import io
import json
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from aggregator.people import consents
from aggregator.private.store import PrivateStore
from aggregator.testing import TIME_S, commonwatt, ident, key
from commonwatt.testing import ManualClock
from ledger import app
from ledger.audit.verify import Mode, verify
from ledger.log.note import Signer
from ledger.testing import LOG_KEY, ORIGIN
from tests.aggregator.conftest import assemble
from tests.web.conftest import NOON_S, Site
from tests.web.office import posted
from tests.web.people import come_in, session
from web.consent.export import KEPT_S
from web.door import COOKIE
from web.identity import inviting
from web.roles import Role

HOME = ident("home00")
CLOCK = f"{NOON_S}@1700000000x0.000000001"


def get(living: Site, path: str) -> Any:
    """As home00."""
    return living.get(path, cookie=f"{COOKIE}={session(living, Role.RESIDENT)}", accept_language="en")


def post(living: Site, path: str, **fields: str) -> tuple[int, str]:
    """As home00, from a browser without our modules."""
    return posted(living, path, Role.RESIDENT, wants_json=False, **fields)


def given(living: Site) -> dict[Any, date]:
    return consents.given(PrivateStore(living.directory / "private.db"), HOME)


def test_consent_when_given_and_taken_back(living: Site) -> None:
    """It counts at once, for who compares and for who counts; its story stays."""
    homes, commune = living.parts.homes, living.parts.homes.commune
    assert "You have not agreed." in get(living, "/me/consent").text
    assert post(living, "/me/consent", purpose="comparison", act="give")[0] == 303
    assert given(living) == {"comparison": date(2025, 7, 16)}
    assert homes.consent_to_compare(HOME)
    assert "You agreed, until 16 July 2025." in get(living, "/me/consent").text
    assert post(living, "/me/consent", purpose="comparison", act="give", until="2024-08-01")[0] == 303
    assert "until 1 August 2024: it ends soon" in get(living, "/me/consent").text
    assert "1 of them ends soon" in get(living, "/me").text
    assert post(living, "/me/consent", purpose="comparison", act="withdraw")[0] == 303
    assert (given(living), homes.consent_to_compare(HOME)) == ({}, False)
    story = get(living, "/me/consent").text
    assert story.index("taken back: To be compared with") < story.index("agreed until 16 July 2025")
    assert commune().members()[ident("home00's")] == HOME
    assert commonwatt("people", "log", living.directory, "--clock", CLOCK)[0] == 0
    assert PrivateStore(living.directory / "private.db").unlogged() == []


def test_consent_to_everything_when_one_is_taken_back(living: Site) -> None:
    """`consent_until` is spelled out: the purpose that was taken back does not come back by it."""
    store = PrivateStore(living.directory / "private.db")
    member = store.person(HOME)
    assert member is not None
    store.amend(member, {"consent_until": "2025-01-01"}, at_s=NOON_S)
    store.save()
    assert set(given(living)) == {"statistics", "comparison"}
    post(living, "/me/consent", purpose="statistics", act="withdraw")
    assert given(living) == {"comparison": date(2025, 1, 1)}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"purpose": "advertising", "act": "give"}, "Nobody is asked for this."),
        ({"purpose": "statistics", "act": "give", "until": "2024-02-30"}, "This is no day."),
        ({"purpose": "statistics", "act": "give", "until": "2024-07-15"}, "This day cannot be taken."),
        ({"purpose": "statistics", "act": "give", "until": "2099-01-01"}, "This day cannot be taken."),
        ({"act": "give"}, "Something is missing: purpose."),
    ],
)
def test_consent_that_nobody_can_give(living: Site, fields: dict[str, str], says: str) -> None:
    """Each ends in a sentence, and nothing is changed."""
    before = given(living)
    status, text = post(living, "/me/consent", **fields)
    assert (status, says in text, given(living)) == (422, True, before)


def test_copy_of_all_data(living: Site) -> None:
    """One ZIP with a page that explains it: facts, readings, days, entries; nobody else's, and gone after an hour."""
    assert get(living, "/me/export/copy.zip").status == 404
    assert post(living, "/me/export")[0] == 303
    copy = living.parts.copies.of(HOME, NOON_S)
    assert copy is not None
    assert copy.done.result(60) > 0
    assert oct(copy.path.stat().st_mode)[-3:] == "600"
    assert "It is there" in get(living, "/me/export").text
    archive = zipfile.ZipFile(io.BytesIO(get(living, "/me/export/copy.zip").body))
    names = set(archive.namelist())
    home = ident("home00's").hex()
    readings = f"readings-{ident('home00-main').hex()}.csv"
    assert {"index.html", "facts.csv", "entries.csv", "pages.json", f"days-{home}.csv", readings} <= names
    everything = b"".join(archive.read(name) for name in names).decode()
    assert len(archive.read(readings).splitlines()) == 1 + 97
    assert ident("home00").hex() in archive.read("entries.csv").decode()
    assert json.loads(archive.read("pages.json"))
    for stranger in (ident("home01").hex(), ident("home01-main").hex(), "home01"):
        assert stranger not in everything
    index = archive.read("index.html").decode()
    assert all(f'href="{name}"' in index for name in names - {"index.html"})
    assert living.parts.copies.of(ident("home01"), NOON_S) is None
    assert living.parts.copies.of(HOME, copy.asked_s + KEPT_S + 1) is None
    assert not copy.path.exists()


def close_days(directory: Path, days: int) -> None:
    """The aggregator runs for a while: nothing new comes, days close."""
    ledger = app.open_parts(directory, Signer(ORIGIN, LOG_KEY))
    works = assemble(directory, ledger, ManualClock(TIME_S + 86_400))
    works.close_until(TIME_S + days * 86_400)
    works.database.close()
    works.ledger.close()


def test_member_when_erased(browser, living: Site) -> None:
    """From the browser: the member gives what is left and types their name; the association closes the account, and
    when all is settled draws up what two offices sign; a command empties the files. The log still verifies, and
    nothing of the member is found."""
    directory, account = living.directory, ident("home05")
    member = come_in(browser, living, directory, "home05", account=account)
    page = member.open("/me/erase")
    page.get_by_role("button", name="Give them to the association").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Yes").click()
    page.get_by_label("Type your name").fill("home06")
    page.get_by_role("button", name="Erase me").click()
    page.get_by_role("heading", name="This is not your name").wait_for()
    page.go_back()
    page.get_by_label("Type your name").fill(" Home05 ")
    page.get_by_role("button", name="Erase me").click()
    page.get_by_role("button", name="I have changed my mind").wait_for()

    steward = come_in(browser, living, directory, "Ada", role="steward")
    desk = steward.open("/erasures")
    assert "home05" in desk.locator("main").inner_text()
    desk.get_by_role("button", name="Close the account").click()
    with desk.expect_navigation():
        desk.get_by_role("button", name="Yes").click()
    assert "Not everything is settled yet" in desk.locator("main").inner_text()
    page.reload()
    assert "Your account is closed" in member.open("/welcome").locator("h1").inner_text()

    close_days(directory, 3)
    desk.reload()
    desk.get_by_role("button", name="Draw it up").click()
    desk.wait_for_url("**/desk")
    with desk.expect_navigation():
        desk.get_by_role("button", name="Agree").click()
    (place,) = inviting.sign_waiting(living.parts.books, living.parts.store, [key("townhall")])
    assert f"entry {place} of the log" in steward.open("/erasures").locator("main").inner_text()

    code, out, _errors = commonwatt("web", "erase", directory)
    assert (code, account.hex() in out) == (0, True)
    assert "Nobody has asked" in steward.open("/erasures").locator("main").inner_text()
    assert commonwatt("web", "erase", directory)[1].startswith("nobody is to be erased")
    check_gone(directory, account)
    member.close()
    steward.close()


def check_gone(directory: Path, account: bytes) -> None:
    """No file holds the member's name or ids, but for what the log and the evidence need to be checked:
    the account in the carry-forward, who and when and hash of each block. The log verifies."""
    traces = {account, ident("home05's"), ident("home05-main"), b"home05"}
    kept = {"ledger": {account}, "web-index": {account}, "aggregator": traces - {b"home05"}}
    for file in (path for path in directory.rglob("*") if path.is_file()):
        data = file.read_bytes()
        allowed = {account} if "log" in file.parts else kept.get(file.name.partition(".")[0], set())
        assert {trace for trace in traces if trace in data} <= allowed, file
    verified = verify(directory / "log", Signer(ORIGIN, LOG_KEY).verifier, mode=Mode.AUDIT)
    assert (verified.is_good, verified.erased > 0) == (True, True), verified.problems
