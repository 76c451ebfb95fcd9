"""The browser's own check of a proof against the command's: the same verdict, of good proofs and of tampered ones."""

import base64
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commonwatt import cbor
from commonwatt.clock import CivilClock
from commonwatt.errors import FormatError, UserError
from commonwatt.registry import Status
from commonwatt.testing import ManualClock
from ledger import testing as book
from ledger.book import entry
from ledger.book.body import AdmitRole, Rotate, role_key_id
from ledger.book.kinds import Subject
from ledger.book.mint import Mint
from ledger.log.published import PublishedLog
from ledger.proof import file as proof_file
from ledger.proof import make, trust
from ledger.proof.file import ProofFile, ShortOpening
from ledger.proof.make import Evidence
from ledger.proof.steps import explain
from ledger.proof.trust import TrustFile, load
from ledger.witness.cosignature import CosigningKey
from tests.ledger import test_proof as ledger_proofs
from tests.web.conftest import ZONE, Site
from web import app
from web.settings import WebSettings

CHECK = """async ([proofs, given]) => {
  const { explain, parseProof, trustIn } = await import("/static/verify/steps.js");
  const told = given ?? JSON.parse(document.getElementById("constitution").textContent);
  const verdicts = [];
  for (const text of proofs) {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const steps = [];
    try {
      for await (const step of explain(parseProof(bytes), await trustIn(told))) steps.push(step);
      verdicts.push([steps.length > 0 && steps.every((step) => step.isGood), steps.map((step) => step.reason)]);
    } catch (error) {
      if (error.reason === undefined) throw error;
      verdicts.push([false, [error.reason]]);
    }
  }
  return verdicts;
}"""


@pytest.fixture
def page(browser: Any, site: Site) -> Iterator[Any]:
    context = browser.new_context(locale="en-GB", viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(site.url + "/verify")
    yield page
    context.close()


def proofs(town: Path) -> dict[str, ProofFile]:
    """Of the genesis entry, an admission, a mint-run, and of a mint closed, with one line and with all."""
    log = PublishedLog(town / "log")
    entries = list(log.entries())
    places = {type(entry.parse(data)): place for place, data in enumerate(entries)}
    mint_at = places[Mint]
    mint = entry.parse(entries[mint_at])
    assert isinstance(mint, Mint)
    closed = make.prove(log, mint_at)
    evidence = make.read_evidence(town / "aggregator.db", mint)
    admissions = make.admissions_of(iter(entries))
    return {
        "genesis": make.prove(log, 0),
        "admission": make.prove(log, 5),
        "run": make.prove(log, len(entries) - 1),
        "closed": closed,
        "short": make.open_mint(closed, evidence, admissions, 0),
        "long": make.open_mint(closed, evidence, admissions, None),
    }


def trusted(town: Path, folder: Path) -> TrustFile:
    parts = app.assemble(town, WebSettings(zone=ZONE), clock=ManualClock(), wall=CivilClock())
    told = parts.town.look().constitution
    parts.close()
    (folder / "constitution.toml").write_text(told.encode())
    return told


def verdict(data: bytes, folder: Path) -> bool:
    """The command's."""
    try:
        steps = list(explain(proof_file.parse(data), load(folder), {}))
    except FormatError:
        return False
    return bool(steps) and all(step.is_good for step in steps)


def asked(page: Any, files: list[bytes], told: TrustFile | None = None) -> list[tuple[bool, list[str]]]:
    """The browser's verdicts, each with the reasons of its steps; `told`: another constitution than the page's."""
    given = told.model_dump(mode="json") if told is not None else None
    verdicts = page.evaluate(CHECK, [[base64.b64encode(data).decode() for data in files], given])
    return [(good, reasons) for good, reasons in verdicts]


def test_proofs_when_they_are_good(page: Any, town: Path, tmp_path: Path) -> None:
    """Every kind is proven, with as many steps as the command says; in CBOR and as C2SP's text."""
    trusted(town, tmp_path)
    made = proofs(town)
    files = [file.encode() for file in made.values()] + [made["closed"].tlog_proof()]
    told = asked(page, files)
    assert [good for good, _ in told] == [True] * len(files), told
    for (_good, reasons), file in zip(told, made.values(), strict=False):
        assert len(reasons) == len(list(explain(file, load(tmp_path), {})))
    assert told[4][1][-2:] == ["meter", "block"]


def test_proofs_when_a_byte_is_changed(page: Any, town: Path, tmp_path: Path) -> None:
    """Wherever it is: the browser and the command say the same, and of what is checked they say no."""
    trusted(town, tmp_path)
    data = proofs(town)["short"].encode()
    pick = random.Random(1)
    files = []
    for at in pick.sample(range(len(data)), 150):
        changed = bytearray(data)
        changed[at] ^= 1 << pick.randrange(8)
        files.append(bytes(changed))
    told = [good for good, _ in asked(page, files)]
    assert told == [verdict(file, tmp_path) for file in files]
    assert told.count(True) < len(told) // 20


@pytest.mark.parametrize(
    ("part", "reason"),
    [("line", "line-foreign"), ("block", "block-foreign"), ("admission", "meter-foreign"), ("place", "not-included")],
)
def test_proof_when_a_part_is_exchanged(page: Any, town: Path, part: str, reason: str) -> None:
    """Each part against a genuine one from elsewhere: the step that it belongs to fails."""
    log = PublishedLog(town / "log")
    entries = list(log.entries())
    mints = [(place, found) for place, data in enumerate(entries) if isinstance(found := entry.parse(data), Mint)]
    (one_at, one), (other_at, other) = mints[0], next(row for row in mints if row[1].account != mints[0][1].account)
    admissions = make.admissions_of(iter(entries))

    def opened(place: int, mint: Mint) -> list[Any]:
        closed = make.prove(log, place)
        value = cbor.decode(
            make.open_mint(closed, make.read_evidence(town / "aggregator.db", mint), admissions, 0).encode(),
            size_max=1_000_000,
        )
        return list(value)

    mine, theirs = opened(one_at, one), opened(other_at, other)
    match part:
        case "line":
            mine[5][3] = theirs[5][3]
        case "block":
            mine[5][4] = theirs[5][4]
        case "admission":
            mine[5][5] = theirs[5][5]
        case _:
            mine[2] = theirs[2]
    ((good, reasons),) = asked(page, [cbor.encode(mine)])
    assert (good, reasons[-1]) == (False, reason)


def test_page_when_a_file_is_chosen(page: Any, town: Path, tmp_path: Path) -> None:
    """The steps stand there as sentences, then the verdict; another file says what fails; nothing is sent."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    good, bad = tmp_path / "good.proof", tmp_path / "bad.proof"
    data = proofs(town)["short"].encode()
    good.write_bytes(data)
    bad.write_bytes(data[:-20] + bytes(20))
    page.set_input_files("#proof", good)
    page.wait_for_selector("#verdict.good")
    text = page.locator("main").inner_text()
    assert "That meter signed the readings itself" in text
    assert "Proven." in text
    assert "{" not in text
    page.set_input_files("#proof", bad)
    page.wait_for_selector("#verdict.bad")
    assert "Not proven" in page.locator("#verdict").inner_text()
    page.set_input_files("#proof", {"name": "photo.proof", "mimeType": "image/jpeg", "buffer": bytes(20_000_000)})
    page.wait_for_function("document.getElementById('verdict').textContent.includes('16 MB')")
    assert all("/static/" in address for address in sent)


def written(told: TrustFile, folder: Path) -> Path:
    (folder / "constitution.toml").write_text(told.encode())
    return folder


def test_proof_when_witnesses_are_asked_for(page: Any, town: Path, tmp_path: Path) -> None:
    """Two of three are enough, one is not; a line of a known witness that does not hold undoes the head."""
    keys = [CosigningKey(f"{name}.example/witness", book.key(f"witness {name}")) for name in "abc"]
    policy = "".join(f"witness {key.name[0]} {key.cosigner}\n" for key in keys) + "group g 2 a b c\nquorum g\n"
    told = trusted(town, tmp_path).model_copy(update={"witnesses": policy})
    written(told, tmp_path)
    file = proofs(town)["closed"]
    text = file.proof.checkpoint.decode().rpartition("\n\n")[0] + "\n"
    a, b, stranger = (
        key.cosign(text, book.TIME_S + 60).encode() for key in (*keys[:2], CosigningKey("d.example", book.key("d")))
    )
    forged = keys[2].cosign(text.replace(".example", ".elsewhere"), book.TIME_S + 60).encode()
    heads = {
        "two": (file.proof.checkpoint + a + b, "witnessed"),
        "two and a stranger": (file.proof.checkpoint + a + stranger + b, "witnessed"),
        "one": (file.proof.checkpoint + a, "too-few-witnesses"),
        "one twice": (file.proof.checkpoint + a + a, "too-few-witnesses"),
        "one and a stranger": (file.proof.checkpoint + a + stranger, "too-few-witnesses"),
        "a forged third": (file.proof.checkpoint + a + b + forged, "witness-wrong"),
    }
    files = [replace(file, proof=replace(file.proof, checkpoint=head)).encode() for head, _reason in heads.values()]
    verdicts = asked(page, files, told)
    assert [good for good, _ in verdicts] == [verdict(data, tmp_path) for data in files]
    assert [reasons[1] for _, reasons in verdicts] == [reason for _, reason in heads.values()]


@pytest.mark.parametrize("signers", [("meter",), ("steward", "townhall")])
def test_proofs_when_keys_were_rotated(page: Any, tmp_path: Path, signers: tuple[str, ...]) -> None:
    """A meter's new key from the old one or from the roles, and entries under the role keys of their own place."""
    log = ledger_proofs.rotated(tmp_path, *signers)
    entries = list(log.entries())
    told = TrustFile(
        log_vkey=str(ledger_proofs.LOG.verifier), genesis=entries[0].hex(), changes=tuple(trust.changes_of(entries))
    )
    mint = next(place for place, data in enumerate(entries) if data[0] != 0xD2)
    evidence = Evidence(ledger_proofs.BOTH, ledger_proofs.BLOCKS)
    admissions = make.admissions_of(iter(entries))
    closed = make.prove(log, mint)
    opened = [make.open_mint(closed, evidence, admissions, position).encode() for position in (0, 1, None)]
    every = [make.prove(log, place).encode() for place in range(len(entries))]
    for changes in (told.changes, ()):
        then = told.model_copy(update={"changes": changes})
        written(then, tmp_path)
        verdicts = [good for good, _ in asked(page, every + opened, then)]
        assert verdicts == [verdict(data, tmp_path) for data in every + opened]
        assert all(verdicts) == bool(changes)
    file = proof_file.parse(opened[1])
    assert isinstance(file.opening, ShortOpening)
    meter = book.ident("meter")
    forged = [
        book.rotation(Subject.DEVICE, meter, "meter2", "ben"),
        book.rotation(Subject.DEVICE, meter, "meter2", "steward"),
        book.signed(Rotate(Subject.DEVICE, meter, book.key("meter2").public_key), "meter"),
        book.rotation(Subject.DEVICE, book.ident("plug"), "meter2", "meter"),
        book.member("ana"),
    ]
    files = [
        replace(file, opening=replace(file.opening, admission=(file.opening.admission[0], data))).encode()
        for data in forged
    ]
    reasons = {reasons[-1] for good, reasons in asked(page, files, told) if not good}
    assert len(asked(page, files, told)) == len(forged)
    assert reasons == {"meter-unsigned", "meter-foreign"}
    assert not any(good for good, _ in asked(page, files, told))


@pytest.mark.parametrize(
    "changes",
    [
        [book.role("clerk", "steward")],
        [book.role("clerk", "steward"), book.status(Subject.ROLE, "clerk", Status.REVOKED)],
        [book.status(Subject.ROLE, "clerk", Status.REVOKED)],
        [book.signed(AdmitRole(bytes(16), "steward", bytes(32)), "steward")],
        [book.signed(book.POLICY, "steward", "townhall")],
        [book.rotation(Subject.ROLE, role_key_id(book.key("steward").public_key), "clerk", "steward")],
        [book.rotation(Subject.ROLE, role_key_id(book.key("steward").public_key), "clerk", "townhall")],
        [book.rotation(Subject.ROLE, book.ident("nobody"), "clerk", "steward", "townhall")],
        [b"\x00"],
    ],
)
def test_constitution_when_role_keys_changed(page: Any, town: Path, tmp_path: Path, changes: list[bytes]) -> None:
    """The browser believes the changes that the command believes."""
    told = trusted(town, tmp_path)
    after = tuple(trust.Change(place=8 + at, entry=data.hex()) for at, data in enumerate(changes))
    told = told.model_copy(update={"changes": after})
    data = proofs(town)["closed"].encode()
    ((good, _reasons),) = asked(page, [data], told)
    try:
        expected = verdict(data, written(told, tmp_path))
    except UserError:
        expected = False
    assert good == expected
