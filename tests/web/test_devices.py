"""A member's devices: how they are, what they are called, and a new one from its label to the log."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from aggregator.commune import called
from aggregator.enrolment.desk import ClaimDesk
from aggregator.private.store import PrivateStore
from aggregator.testing import COMMUNE, commonwatt, ident, key
from commonwatt import cbor, cose, device_label, topics
from commonwatt.device_claim import AAD, VERSION
from commonwatt.errors import UserError
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from commonwatt.testing import ManualClock
from tests.web.conftest import NOON_S, Site
from tests.web.people import PHONE, session
from web.door import COOKIE
from web.roles import Role

DEVICE, CODE = ident("new-plug"), "4RT69KQ2XM"
LABEL = device_label.content(DEVICE, CODE)
CLOCK = f"{NOON_S}@1700000000x0.000000001"
HOSTILE = "<script>document.title=1</script> d’Ana"


def get(living: Site, path: str):
    """As home00."""
    return living.get(path, cookie=f"{COOKIE}={session(living, Role.RESIDENT)}", accept_language="en")


def page_of(browser: Any, living: Site) -> Any:
    """A phone that home00 is signed in with."""
    context = browser.new_context(viewport=PHONE, locale="en-GB")
    context.add_cookies([{"name": COOKIE, "value": session(living, Role.RESIDENT), "url": living.url}])
    return context.new_page()


def expect(directory: Path, device: bytes = DEVICE, *, signer: str = "new-plug", ago_days: int = 0) -> None:
    """The commune gave a device away; its label is good for half a year."""
    line = {
        "device": device.hex(),
        "public_key": key(signer).public_key.hex(),
        "claim_sha256": device_label.claim_hash(device, CODE),
    }
    (directory / "labels").write_text(json.dumps(line) + "\n")
    clock = f"{NOON_S - ago_days * 86_400}@1700000000x0.000000001"
    words = ("--role", "submeter", "--clock", clock)
    assert commonwatt("enrol", "expect", directory, directory / "labels", *words)[0] == 0


def claim(living: Site, account: bytes, *, device: bytes = DEVICE, signer: SigningKey | None = None) -> None:
    """The device was set up: its claim comes by way of a gateway, as the firmware signs it."""
    signer = signer or key("new-plug")
    code_sha256 = bytes.fromhex(device_label.claim_hash(device, CODE))
    signed = cose.sign1(cbor.encode([VERSION, device, signer.public_key, account, code_sha256]), signer, AAD)
    topic = topics.of_gateway(COMMUNE, ident("cupboard"), f"{topics.CLAIM}/{device.hex()}")
    desk = ClaimDesk(living.directory / "private.db", clock=ManualClock(NOON_S))
    assert desk.sort_out([Message(topic, signed)]) == []


def test_device_from_its_label_to_the_log(browser, living: Site) -> None:
    """Typed or scanned, the label leads to a page that shows each step as it is done; afterwards the device bears the
    name that its member gives it, and a script in it is a text."""
    expect(living.directory)
    page = page_of(browser, living)
    page.goto(living.url + "/add")
    page.get_by_label("Or type what the label says").fill(LABEL.lower().replace("-", ""))
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/add/CW1:*")
    now = page.locator("[aria-current=step]")
    assert "Set the device up" in now.inner_text()
    assert ident("home00").hex() in page.locator("dl").inner_text()
    claim(living, ident("home00"))
    page.goto(device_label.address(living.url, DEVICE, CODE))  # as the phone's camera opens it, in capitals
    assert "The association admits it" in now.inner_text()
    assert commonwatt("enrol", "confirm", living.directory, DEVICE.hex()[:8], "--clock", CLOCK)[0] == 0
    page.reload()
    assert "The first reading" in now.inner_text()
    page.goto(f"{living.url}/devices")
    card = page.locator(f"#d-{DEVICE.hex()}")
    assert "Nothing has come from it yet" in card.inner_text()
    card.get_by_text("More about it").click()
    card.get_by_label("What you call it").fill(HOSTILE)
    card.get_by_role("button", name="Keep this name").click()
    page.wait_for_url("**/devices#*")
    assert card.get_by_role("heading").inner_text() == HOSTILE
    assert page.title().startswith("My devices")
    assert called.name_of(PrivateStore(living.directory / "private.db"), DEVICE) == HOSTILE
    page.context.close()


@pytest.mark.parametrize(
    "label",
    [
        "CW1",
        "hello",
        "CW2:" + LABEL[4:],
        LABEL[:-1],
        LABEL + "X",
        f"CW1:{DEVICE.hex()}:4RT6-9KQ2-XU",
        "CW1:" + "0" * 31 + "g:4RT6-9KQ2-XM",
        f"CW1:{'0' * 400}",
    ],
)
def test_text_that_no_label_says(living: Site, label: str) -> None:
    """It ends in a sentence, wherever it was typed."""
    answer = get(living, f"/add/{quote(label, safe='')}")
    assert (answer.status, "This is not what a label of ours says." in answer.text) == (422, True)
    with pytest.raises(UserError):
        device_label.read(label)


def test_labels_that_are_forged_or_old(living: Site) -> None:
    """A device that nobody gave away and a code that is wrong are answered alike; an old label names what helps."""
    expect(living.directory, ident("old-plug"), ago_days=181)
    unknown = get(living, f"/add/{device_label.content(ident('stranger'), CODE)}")
    wrong = get(living, f"/add/{device_label.content(ident('old-plug'), 'AAAABBBBCC')}")
    assert unknown.status == wrong.status == 422
    for answer in (unknown, wrong):
        assert "The commune does not know this label." in answer.text
    old = get(living, f"/add/{device_label.content(ident('old-plug'), CODE)}")
    assert (old.status, "This label is too old." in old.text) == (422, True)


def test_device_that_somebody_else_set_up(living: Site) -> None:
    """The page says so, and does not say who."""
    device = ident("taken-plug")
    expect(living.directory, device, signer="taken-plug")
    claim(living, ident("home03"), device=device, signer=key("taken-plug"))
    answer = get(living, f"/add/{device_label.content(device, CODE)}")
    assert "It was set up for another account" in answer.text
    assert "home03" not in answer.text
    assert ident("home03").hex() not in answer.text
    claim(living, ident("home00"), device=device, signer=key("thief"))
    assert "not the one for which the label was made" in get(living, "/devices").text


def test_devices_when_they_are_looked_at(living: Site) -> None:
    """One's own meters, with when they were last heard of; nobody else's."""
    answer = get(living, "/devices")
    assert ident("home00-main").hex() in answer.text
    assert ident("home01-main").hex() not in answer.text
    assert "Nothing has come from it since 16 July 2024, 02:00." in answer.text
    assert "takes from the grid" in answer.text


@pytest.mark.parametrize("name", ["x" * 41, "a\x00b", "back\u202ewards"])
def test_name_that_cannot_be_taken(living: Site, name: str) -> None:
    """Too long, or with signs that cannot be shown."""
    with pytest.raises(UserError, match="cannot be taken"):
        called.call(PrivateStore(living.directory / "private.db"), ident("home00-main"), name, at_s=NOON_S)


def test_label_as_an_address() -> None:
    """Its QR code stays in the alphanumeric mode, and what is read from it is the label."""
    text = device_label.address("https://village.example/", DEVICE, CODE)
    assert text == f"HTTPS://VILLAGE.EXAMPLE/ADD/{LABEL}"
    assert device_label.read(text) == device_label.read(LABEL) == (DEVICE, CODE)
    segno = pytest.importorskip("segno")
    assert segno.make_qr(text, error="m").mode == "alphanumeric"
    for pages in ("https://village.example/pages", "village.example", "https://é.example"):
        with pytest.raises(UserError, match="no address for a label"):
            device_label.address(pages, DEVICE, CODE)
