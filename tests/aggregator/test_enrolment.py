"""From the label on a device to a member's meter: every refusal first, then one command."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aggregator.enrolment.desk import ClaimDesk
from aggregator.enrolment.judge import Unfit
from aggregator.enrolment.store import CLAIMS_MAX, enrolling
from aggregator.private.store import PrivateStore
from aggregator.testing import COMMUNE, TIME_S, commonwatt, ident, key
from commonwatt import cbor, cose, device_label, topics
from commonwatt.device_claim import AAD, SIZE_MAX, VERSION, DeviceClaim
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from commonwatt.testing import ManualClock
from ledger.app import open_ledger
from ledger.book.body import AdmitDevice
from ledger.book.replay import replay
from ledger.inbox import Inbox
from ledger.log.published import PublishedLog

DEVICE = ident("new-meter")
CODE = "4RT69KQ2XM"
CODE_SHA256 = bytes.fromhex(device_label.claim_hash(DEVICE, CODE))
CLOCK = f"{TIME_S}@1700000000x0.000000001"  # stands still


def claim(
    *,
    device: bytes = DEVICE,
    signer: SigningKey | None = None,
    account: bytes | None = None,
    code_sha256: bytes = CODE_SHA256,
    version: int = VERSION,
) -> bytes:
    """As the firmware signs it (firmware/node/provision.py)."""
    signer = signer or key("new-meter")
    payload = [version, device, signer.public_key, account or ident("ana"), code_sha256]
    return cose.sign1(cbor.encode(payload), signer, AAD)


def message(signed: bytes, device: bytes = DEVICE) -> Message:
    """As its gateway passes it on."""
    return Message(topics.of_gateway(COMMUNE, ident("cupboard"), f"{topics.CLAIM}/{device.hex()}"), signed)


@pytest.fixture
def village(commune: Path) -> Path:
    """The quarter with names, and the label of one device that was given away."""
    store = PrivateStore(commune / "private.db")
    for home in ("ana", "ben", "sun"):
        store.enrol("members", home, ident(home))
        store.enrol("sites", f"{home}'s", ident(f"{home}'s"))
    store.enrol("devices", "ana's meter", ident("ana-main"))
    store.save()
    assert expect(commune)[0] == 0
    return commune


def expect(commune: Path, *words: object, **changes: str) -> tuple[int, str, str]:
    line = {
        "device": DEVICE.hex(),
        "public_key": key("new-meter").public_key.hex(),
        "claim_sha256": CODE_SHA256.hex(),
        "label": device_label.content(DEVICE, CODE),
    }
    (commune / "labels").write_text(json.dumps(line | changes) + "\n\n")
    return commonwatt("enrol", "expect", commune, commune / "labels", "--clock", CLOCK, *words)


def receive(commune: Path, *messages: Message, at_s: int = TIME_S) -> list[Message]:
    return ClaimDesk(commune / "private.db", clock=ManualClock(at_s)).sort_out(messages)


def enrol(commune: Path, *words: object) -> tuple[int, str, str]:
    return commonwatt("enrol", *words[:1], commune, *words[1:])


def devices(commune: Path) -> dict[bytes, AdmitDevice]:
    """What the published log has admitted."""
    rows = replay(PublishedLog(commune / "log").entries()).admissions.by_id
    return {ident: row.admission for ident, row in rows.items() if isinstance(row.admission, AdmitDevice)}


@pytest.mark.parametrize(
    ("signed", "device"),
    [
        (bytes(SIZE_MAX + 1), DEVICE),
        (b"\x80", DEVICE),
        (claim(version=2), DEVICE),
        (claim(), ident("another")),
        (claim()[:-1] + bytes([claim()[-1] ^ 1]), DEVICE),
    ],
)
def test_claim_when_it_cannot_be_believed(village, signed, device, caplog):
    """Too large, malformed, of another version, under another's topic, with another signature: logged, not kept."""
    assert receive(village, message(signed, device)) == []
    assert "a claim on" in caplog.text
    assert enrol(village, "list", "--all")[1] == ""


@pytest.mark.parametrize(
    ("signed", "unfit"),
    [
        (claim(device=ident("stranger"), signer=key("stranger")), Unfit.UNKNOWN_LABEL),
        (claim(signer=key("thief")), Unfit.OTHER_KEY),
        (claim(code_sha256=bytes(32)), Unfit.WRONG_CODE),
        (claim(account=ident("nobody")), Unfit.UNKNOWN_MEMBER),
        (claim(account=ident("association")), Unfit.UNKNOWN_MEMBER),
        (claim(account=ident("ana's")), Unfit.UNKNOWN_MEMBER),
    ],
)
def test_claim_when_it_is_unfit(village, signed, unfit):
    """It is listed with what stands against it, and cannot be confirmed."""
    device = ident("stranger") if unfit is Unfit.UNKNOWN_LABEL else DEVICE
    receive(village, message(signed, device))
    assert unfit.value in enrol(village, "list")[1]
    code, _, errors = enrol(village, "confirm", device.hex()[:8])
    assert code == 2
    assert unfit.value in errors
    assert device not in devices(village)


@pytest.mark.parametrize(("late_s", "verdict"), [(0, "to be confirmed"), (1, "expired")])
def test_claim_when_its_label_has_expired(village, late_s, verdict):
    """To the second: a label that was lost does not open anything for ever."""
    expect(village, "--valid-days", 2)
    receive(village, message(claim()), at_s=TIME_S + 2 * 86_400 + late_s)
    assert verdict in enrol(village, "list")[1]


def test_claim_when_it_was_rejected(village):
    """The same bytes stay rejected, however often the gateway repeats them; another claim of the device is heard."""
    receive(village, message(claim()))
    assert enrol(village, "reject", DEVICE.hex(), "--reason", "not at home")[0] == 0
    receive(village, message(claim()))
    assert enrol(village, "list")[1] == ""
    assert "rejected" in enrol(village, "list", "--all")[1]
    assert enrol(village, "confirm", DEVICE.hex())[0] == 2
    receive(village, message(claim(account=ident("ben"))))
    assert enrol(village, "list")[1].rstrip().endswith("ben")


def test_claims_when_there_is_no_room(village):
    """A flood of strangers is kept within a limit; whoever is known may claim anew."""
    signed = DeviceClaim(DEVICE, b"", b"", b"", claim())
    with enrolling(village / "private.db") as store:
        assert store.keep(signed, bytes(16), 1)
        rows = (DeviceClaim(number.to_bytes(16), b"", b"", b"", bytes(number)) for number in range(1, CLAIMS_MAX))
        assert all(store.keep(row, bytes(16), 1) for row in rows)
        assert not store.keep(DeviceClaim(bytes(16), b"", b"", b"", b""), bytes(16), 1)
        assert store.keep(DeviceClaim(DEVICE, b"", b"", b"", claim(account=ident("ben"))), bytes(16), 2)


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"device": "12"}, "line 1"), ({"claim_sha256": "x" * 64}, "claim_sha256"), ({"colour": "red"}, "colour")],
)
def test_label_when_its_line_is_none(village, changes, what):
    """Named with line and field."""
    code, _, errors = expect(village, **changes)
    assert code == 2
    assert what in errors


def test_label_when_no_device_has_its_terms(village):
    """A role that does not exist is not admitted later either."""
    assert "no device has role 'oven'" in expect(village, "--role", "oven")[2]
    (village / "labels").write_text("public_key = 1\n")
    assert "is not JSON" in commonwatt("enrol", "expect", village, village / "labels")[2]


def test_messages_when_they_are_no_claims(village):
    """Batches go on to the intake, in their order, and a topic that is nearly a claim's with them."""
    others = [
        Message(topics.of_gateway(COMMUNE, ident("cupboard"), topics.BATCH), b"1"),
        Message(topics.of_gateway(COMMUNE, ident("cupboard"), f"{topics.CLAIM}/zz"), b"2"),
        Message("claim", b"3"),
        Message(f"cw/{DEVICE.hex()}/claim", b"4"),
    ]
    assert receive(village, others[0], message(claim()), *others[1:]) == others


def test_claim_when_confirmed(village):
    """Listed, then admitted with the label's key and terms at the member's only site; a second time it is refused."""
    receive(village, message(claim()))
    receive(village, message(claim()))
    code, text, _ = enrol(village, "list")
    assert (code, text) == (0, f"{DEVICE.hex()}  2024-07-15  to be confirmed   ana\n")
    code, text, errors = enrol(village, "confirm", DEVICE.hex()[:6], "--name", "hall")
    assert (code, errors) == (0, "")
    assert text == f"{DEVICE.hex()}  device    hall\n"
    body = devices(village)[DEVICE]
    assert (body.site, body.public_key, body.rated_power_w) == (ident("ana's"), key("new-meter").public_key, 9000)
    assert enrol(village, "list")[1] == ""
    assert "admitted-before" in enrol(village, "confirm", DEVICE.hex())[2]
    assert "this device is admitted" in enrol(village, "reject", DEVICE.hex(), "--reason", "late")[2]
    assert "no claim is of a device 'ffff'" in enrol(village, "confirm", "ffff")[2]


def test_claim_when_its_member_has_no_site_or_several(village):
    """The steward says which, or admits a further one with the device."""
    receive(village, message(claim()))
    assert enrol(village, "confirm", DEVICE.hex(), "--site", "ben's")[0] == 2
    assert enrol(village, "confirm", DEVICE.hex(), "--new-site", "ana's barn")[0] == 0
    assert PrivateStore(village / "private.db").name_of(devices(village)[DEVICE].site) == "ana's barn"
    expect(village, device=ident("other").hex())
    other = ident("other")
    receive(village, message(claim(device=other), other))
    assert "ana has these sites: ana's, ana's barn" in enrol(village, "confirm", other.hex())[2]


@contextmanager
def running(commune: Path) -> Iterator[None]:
    """The aggregator's side of the inbox, over its open ledger."""
    with open_ledger(commune) as ledger:
        clock = ManualClock()
        inbox = Inbox(commune, ledger=ledger, clock=clock)
        stop = threading.Event()

        def turn() -> None:
            while not stop.wait(0.01):
                clock.advance(1)
                inbox.step()

        thread = threading.Thread(target=turn)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def test_claim_when_confirmed_while_the_aggregator_runs(village):
    """The entry goes through its inbox; what the ledger refuses is refused here too."""
    receive(village, message(claim()))
    with running(village):
        code, _, errors = enrol(village, "confirm", DEVICE.hex())
        assert (code, errors) == (0, "")
        assert DEVICE in devices(village)
        same_key = ident("second")
        expect(village, device=same_key.hex())
        receive(village, message(claim(device=same_key), same_key))
        code, _, errors = enrol(village, "confirm", same_key.hex(), "--site", "ana's")
    assert code == 2
    assert "duplicate-key" in errors
    assert list((village / "inbox").iterdir()) == []


def test_roster_when_the_aggregator_runs(village):
    """Admitted by way of its inbox; nobody has to stop anything."""
    wallet = key("dan").public_key.hex()
    (village / "roster.toml").write_text(f'[[members]]\nname = "Dan"\nkind = "owner"\nwallet = "{wallet}"\n')
    with running(village):
        code, text, errors = commonwatt("admit", village, village / "roster.toml")
    assert (code, errors) == (0, "")
    assert text.endswith("  member    Dan\n")
    assert bytes.fromhex(text[:32]) in replay(PublishedLog(village / "log").entries()).admissions.by_id


def test_inbox_when_somebody_lays_rubbish_into_it(village):
    """It is answered as malformed and taken away; nothing else happens."""
    (village / "inbox").mkdir()
    (village / "inbox" / "1.entry").write_bytes(b"rubbish" * 20_000)
    with open_ledger(village) as ledger:
        size = ledger.size
        assert not Inbox(village, ledger=ledger, clock=ManualClock()).step()
        assert ledger.size == size
    assert [path.name for path in (village / "inbox").iterdir()] == ["1.answer"]


def test_meter_when_replaced(village):
    """The new one has the old one's site and role; the old one is revoked and says which came after it."""
    words = ("device", "replace", village, "ana's meter", DEVICE.hex(), "--clock", CLOCK)
    code, text, errors = commonwatt(*words)
    assert (code, errors) == (0, "")
    assert text == f"{DEVICE.hex()}  ana's meter {DEVICE.hex()[:8]}\n"
    assert devices(village)[DEVICE].site == ident("ana's")
    *_, last = PublishedLog(village / "log").entries()
    assert f"replaced by {DEVICE.hex()} from {TIME_S}".encode() in last
    assert "revoked already" in commonwatt(*words)[2]


@pytest.mark.parametrize(
    ("old", "new", "words", "what"),
    [
        ("nobody's meter", DEVICE.hex(), (), "no id or key"),
        (ident("ana's").hex(), DEVICE.hex(), (), "there is no such device"),
        ("ana's meter", "12", (), "no id or key"),
        ("ana's meter", ident("unlabelled").hex(), (), "no id or key"),
        ("ana's meter", DEVICE.hex(), ("--public-key", key("ben-main").public_key.hex()), "duplicate-key"),
    ],
)
def test_meter_when_it_cannot_be_replaced(village, old, new, words, what):
    """Then the old one goes on."""
    before = devices(village)
    code, _, errors = commonwatt("device", "replace", village, old, new, *words)
    assert code == 2
    assert what in errors
    assert devices(village) == before
