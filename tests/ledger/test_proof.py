"""Proofs: what they show, what breaks them, and that other people's code agrees."""

import hashlib
import random
import sqlite3
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pycddl
import pymerkle
import pytest

from commonwatt.block import Block, Channel
from commonwatt.errors import FormatError, UserError
from commonwatt.registry import Status
from commonwatt.testing_pages import page_of
from ledger import testing
from ledger.book.body import AdmitRole, Rotate, SetStatus, role_key_id
from ledger.book.entry import parse as parse_entry
from ledger.book.kinds import Subject
from ledger.book.mint import Line, Mint, lines_root
from ledger.log import merkle
from ledger.log.note import Signer
from ledger.log.published import COSIGNED, PublishedLog
from ledger.log.tiles import TileName, TileTree
from ledger.proof import cli as proof_cli
from ledger.proof import file as proof_file
from ledger.proof import make as proof_make
from ledger.proof import tlog_proof as proof
from ledger.proof import trust as proof_trust
from ledger.proof.file import ProofFile, ShortOpening
from ledger.proof.make import Evidence
from ledger.proof.steps import Step, explain
from ledger.proof.tree import PublishedTree
from ledger.proof.trust import Change, Trust, TrustFile
from ledger.sequencer import Placed
from ledger.witness import policy as tlog_policy
from ledger.witness.cosignature import CosigningKey

LOG = Signer(testing.ORIGIN, testing.LOG_KEY)
SEED = 20_240_717
COMMONWATT = str(Path(sys.executable).parent / "commonwatt")
ROOT = Path(__file__).parents[2]


class MemoryTiles:
    """Tiles of a tree in memory: what a published directory holds."""

    def __init__(self, size: int) -> None:
        self.leaves = [merkle.leaf_hash(i.to_bytes(4, "big")) for i in range(size)]
        tree = TileTree()
        for number, leaf in enumerate(self.leaves):
            tree.append(number.to_bytes(4, "big"), leaf)
        self._files = tree.take_finished() | tree.partials()

    def read(self, name: TileName) -> list[bytes]:
        data = self._files[name]
        return [data[i : i + 32] for i in range(0, len(data), 32)]


def test_tree_when_read_from_tiles() -> None:
    """Roots and proofs from tiles verify; pymerkle (not ours) has the same roots and proofs of inclusion."""
    print(f"seed {SEED}")
    random_ = random.Random(SEED)
    for size in (1, 2, 255, 256, 257, 1000, 66_000):
        tiles = MemoryTiles(size)
        tree = PublishedTree(tiles.read, size)
        other = pymerkle.InmemoryTree(algorithm="sha256") if size <= 1000 else None
        for number in range(size if other is not None else 0):
            assert other is not None
            other.append_entry(number.to_bytes(4, "big"))
        root = merkle.root(tiles.leaves)
        assert tree.root() == root
        for index in {0, size - 1, *random_.choices(range(size), k=20)}:
            hashes = tree.inclusion(index)
            assert merkle.is_included(tiles.leaves[index], index, size, hashes, root)
            if other is not None:
                theirs = other.prove_inclusion(index + 1, size)
                pymerkle.verify_inclusion(tiles.leaves[index], root, theirs)
                assert hashes == theirs.path[1:]  # theirs begins with the leaf itself
        for old in {0, 1, size, *random_.choices(range(1, size + 1), k=20)}:
            old_root = merkle.root(tiles.leaves[:old])
            assert other is None or other.get_root(old) == old_root
            assert tree.root(old) == old_root
            assert merkle.is_consistent(old, size, tree.consistency(old), old_root, root)


def test_tree_when_it_goes_on_growing() -> None:
    """From any size the tiles give back a tree that grows to the same root."""
    for size in (1, 255, 256, 257, 700):
        tiles = MemoryTiles(700)
        tree = PublishedTree(tiles.read, 700)
        entries = [number.to_bytes(4, "big") for number in range(size - size % 256, size)]
        grown = tree.at(size, entries)
        assert grown.root() == merkle.root(tiles.leaves[:size])
        for number in range(size, 700):
            grown.append(number.to_bytes(4, "big"), tiles.leaves[number])
        assert grown.root() == merkle.root(tiles.leaves)


def line(number: int, block: bytes) -> Line:
    start_s = testing.TIME_S + 900 * number
    sha256 = hashlib.sha256(block).digest()
    return Line(testing.ident(f"salt {number}"), testing.ident("meter"), start_s, start_s + 900, 0, 100, 80, sha256)


READINGS = Block(0, bytes(16), testing.TIME_S, 60, 0, (Channel(1, 5000, (7,) * 60), Channel(2, 9000, (3,) * 60)))
BLOCK = READINGS.sign(testing.key("meter"))
LINES = tuple(line(number, BLOCK) for number in range(4))
EVIDENCE = Evidence(LINES, {hashlib.sha256(BLOCK).digest(): BLOCK})
MINT = Mint(
    *(testing.ident("nonce"), testing.ident("ana"), 1, testing.TIME_S, testing.TIME_S + 3600),
    *(400, 300, 20, 4, lines_root(LINES)),
)
WITNESSES = [CosigningKey(f"{name}.example/witness", testing.key(f"witness {name}")) for name in "abc"]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> PublishedLog:
    """A log with one mint at `index_of_mint`, whose head three witnesses cosigned."""
    directory = tmp_path_factory.mktemp("proofs")
    with testing.village(directory, "ana", "ben") as ledger:
        ledger.submit([testing.site("farm", "ana"), testing.device("meter", "farm")])
        testing.mint(ledger, [MINT])
        ledger.submit([testing.pay("ana", "ben", 5, "bread")])
        ledger.publish()
    data = (directory / "log" / "checkpoint").read_text()
    text = data.partition("\n\n")[0] + "\n"
    lines = "".join(witness.cosign(text, testing.TIME_S + 60) for witness in WITNESSES)
    (directory / "log" / COSIGNED).write_text(data + lines)
    write_database(directory / "aggregator.db")
    return PublishedLog(directory / "log")


def write_database(path: Path) -> None:
    """The tables of the aggregator that proofs read."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE evidence_page (page, places, sha256, signed, start_s_min, end_s_max)")
        start_s, end_s = READINGS.start_s, READINGS.end_s
        numbers = struct.pack("<6q", 0, 1, end_s, start_s, end_s, len(BLOCK))
        places = zlib.compress(LINES[0].device + testing.ident("gateway") + numbers)
        page = (1, places, LINES[0].block_sha256, zlib.compress(BLOCK), start_s, end_s)
        connection.execute("INSERT INTO evidence_page VALUES (?, ?, ?, ?, ?, ?)", page)
        connection.execute("CREATE TABLE number (number, id)")
        connection.execute("CREATE TABLE line_page (window_start_s, first_account, columns, block_sha256s)")
        connection.executemany("INSERT INTO number VALUES (?, ?)", [(0, LINES[0].device), (1, MINT.account)])
        names = ("account", "source", "salt", "device", "start_s", "end_s", "revision", "energy_wh", "amount_mc")
        rows = [
            (1, MINT.source, row.salt, 0, row.start_s, row.end_s, 0, row.energy_wh, row.amount_mc, 0) for row in LINES
        ]
        page = (MINT.window_start_s, MINT.account, page_of((*names, "block"), rows), LINES[0].block_sha256)
        connection.execute("INSERT INTO line_page VALUES (?, ?, ?, ?)", page)
    connection.close()


def quorum(k: int = 2) -> str:
    lines = [f"witness {key.name[0]} {key.cosigner}\n" for key in WITNESSES]
    return "".join([f"log {LOG.verifier}\n", *lines, f"group g {k} a b c\nquorum g\n"])


TRUST = Trust(LOG.verifier, proof_trust.found(testing.GENESIS), tlog_policy.parse(quorum()))
STRANGER = Signer(testing.ORIGIN, testing.key("stranger")).verifier
AT_MINT, AT_PAY = 7, 9


def test_file_when_a_line_takes_something_back(log: PublishedLog) -> None:
    """Negative energy and amount are read as they were written; beyond 63 bits they are malformed."""
    file = opened(log, 1)
    assert isinstance(file.opening, ShortOpening)
    line = replace(file.opening.line, revision=3, energy_wh=-100, amount_mc=-80)
    back = replace(file, opening=replace(file.opening, line=line))
    again = proof_file.parse(back.encode())
    assert isinstance(again.opening, ShortOpening)
    assert again.opening.line == line
    beyond = replace(back, opening=replace(file.opening, line=replace(line, amount_mc=-(2**63))))
    with pytest.raises(FormatError):
        proof_file.parse(beyond.encode())


def opened(log: PublishedLog, position: int | None) -> ProofFile:
    admissions = proof_make.admissions_of(log.entries())
    return proof_make.open_mint(proof_make.prove(log, AT_MINT), EVIDENCE, admissions, position)


def judge(file: ProofFile, trust: Trust = TRUST) -> list[Step]:
    again = proof_file.parse(file.encode())
    assert again == file
    return list(explain(again, trust, {}))


def test_proof_when_of_every_entry(log: PublishedLog) -> None:
    """Every entry of a log can be proven, in both forms, under the witnesses' quorum."""
    for index, data in enumerate(log.entries()):
        file = proof_make.prove(log, index)
        assert all(step.is_good for step in judge(file))
        text = proof.parse(file.tlog_proof())
        assert text.extra == data
        assert text.encode() == file.tlog_proof()
        assert proof.check(text, merkle.leaf_hash(data), TRUST.log, TRUST.policy).times_s


@pytest.mark.parametrize("position", [0, 3, None])
def test_proof_when_a_mint_is_opened(log: PublishedLog, position: int | None) -> None:
    """The way from the meter's signature to the witnessed head, step by step; the short form fits one QR code."""
    file = opened(log, position)
    steps = judge(file)
    assert all(step.is_good for step in steps), steps[-1]
    assert "active energy import +0.420 kWh, active energy export +0.180 kWh" in steps[-1].text
    assert len(file.encode()) <= proof_file.QR_SIZE_MAX
    spec = (ROOT / "docs/spec/proof.cddl").read_text()
    pycddl.Schema(spec).validate_cbor(file.encode())


def test_short_form_when_the_log_is_large(log: PublishedLog) -> None:
    """Three witnesses, a day of 96 lines, a log of 32,768 entries: still one QR code."""
    file = opened(log, 0)
    assert isinstance(file.opening, proof_file.ShortOpening)
    large = replace(
        file,
        proof=replace(file.proof, hashes=(bytes(32),) * 15),
        opening=replace(file.opening, path=(bytes(32),) * 7),
    )
    assert len(large.encode()) < proof_file.QR_SIZE_MAX


def wrong(log: PublishedLog) -> dict[str, tuple[ProofFile, Trust, str]]:
    file, long = opened(log, 1), opened(log, None)
    short, every = file.opening, long.opening
    assert isinstance(short, proof_file.ShortOpening)
    assert isinstance(every, proof_file.LongOpening)
    other_block = replace(READINGS, seq=1).sign(testing.key("meter"))
    forged = replace(READINGS, seq=1).sign(testing.key("ben"))
    forged_line = line(1, forged)
    strict = replace(TRUST, policy=tlog_policy.parse(quorum(3).replace("group g 3 a b c", "group g 2 a b")))
    head = file.proof.checkpoint.decode().splitlines(keepends=True)
    cases = {
        "other-log-key": (
            file,
            replace(TRUST, log=Signer(testing.ORIGIN, testing.key("x")).verifier),
            "no signature of a known key",
        ),
        "quorum-not-reached": (
            replace(file, proof=replace(file.proof, checkpoint="".join(head[:-2]).encode())),
            strict,
            "quorum-not-reached",
        ),
        "other-entry": (replace(file, entry=replace(MINT, amount_mc=301).encode()), TRUST, "not-included"),
        "other-index": (replace(file, proof=replace(file.proof, index=6)), TRUST, "not-included"),
        "hash-missing": (
            replace(file, proof=replace(file.proof, hashes=file.proof.hashes[1:])),
            TRUST,
            "not-included",
        ),
        "other-line": (replace(file, opening=replace(short, line=LINES[2])), TRUST, "commits"),
        "other-position": (replace(file, opening=replace(short, position=2)), TRUST, "commits"),
        "other-block": (replace(file, opening=replace(short, block=other_block)), TRUST, "not the one"),
        "admission-of-another": (
            replace(file, opening=replace(short, admission=(testing.device("plug", "farm"),))),
            TRUST,
            "another meter",
        ),
        "admission-is-none": (
            replace(file, opening=replace(short, admission=(testing.member("ana"),))),
            TRUST,
            "kind",
        ),
        "line-left-out": (replace(long, opening=replace(every, lines=LINES[:3])), TRUST, "commits"),
        "block-left-out": (replace(long, opening=replace(every, blocks=())), TRUST, "missing"),
        "readings-behind-a-payment": (replace(proof_make.prove(log, AT_PAY), opening=short), TRUST, "only a mint"),
    }
    assert forged_line.block_sha256 != LINES[1].block_sha256
    return cases


def test_proof_when_one_thing_is_wrong(log: PublishedLog) -> None:
    """Each forgery stops at its own step, says why, and nothing follows."""
    for name, (file, trust, why) in wrong(log).items():
        *_, last = judge(file, trust)
        assert not last.is_good, name
        assert why in last.text, f"{name}: {last.text}"


def test_proof_when_the_meter_did_not_sign(tmp_path: Path) -> None:
    """A log whose operator invents a block: the mint commits to it, the meter's key does not verify it."""
    forged = READINGS.sign(testing.key("ben"))
    lines = (line(0, forged),)
    mint = replace(MINT, lines=1, lines_root=lines_root(lines), energy_wh=100, amount_mc=80, association_mc=0)
    with testing.village(tmp_path, "ana") as ledger:
        ledger.submit([testing.site("farm", "ana"), testing.device("meter", "farm")])
        testing.mint(ledger, [mint])
        ledger.publish()
    log = PublishedLog(tmp_path / "log")
    evidence = Evidence(lines, {hashlib.sha256(forged).digest(): forged})
    file = proof_make.open_mint(proof_make.prove(log, 6), evidence, proof_make.admissions_of(log.entries()), 0)
    *_, last = judge(file, replace(TRUST, policy=tlog_policy.TlogPolicy()))
    assert (last.is_good, "not signed by the meter" in last.text) == (False, True)


def rotated(directory: Path, *signers: str) -> PublishedLog:
    """A log whose meter got another key from these; its mint rests on blocks of both keys. Then a role's key goes."""
    with testing.village(directory, "ana", "ben") as ledger:
        entries = [
            *(testing.site("farm", "ana"), testing.device("meter", "farm")),
            testing.rotation(Subject.DEVICE, testing.ident("meter"), "meter2", *signers),
            testing.rotation(Subject.ROLE, role_key_id(testing.key("steward").public_key), "clerk", "steward"),
            testing.signed(SetStatus(Subject.MEMBER, testing.ident("ben"), Status.SUSPENDED, ""), "clerk"),
        ]
        assert all(isinstance(answer, Placed) for answer in ledger.submit(entries))
        testing.mint(ledger, [replace(MINT, lines=2, lines_root=lines_root(BOTH), energy_wh=200, amount_mc=140)])
        ledger.publish()
    return PublishedLog(directory / "log")


NEWER = replace(READINGS, seq=1).sign(testing.key("meter2"))
BOTH = (line(0, BLOCK), line(1, NEWER))
BLOCKS = {hashlib.sha256(data).digest(): data for data in (BLOCK, NEWER)}


@pytest.mark.parametrize("signers", [("meter",), ("steward", "townhall")])
@pytest.mark.parametrize("position", [0, 1, None])
def test_proof_when_keys_were_rotated(tmp_path: Path, signers: tuple[str, ...], position: int | None) -> None:
    """A block is checked under the key that signed it, an entry under the role keys of its own place."""
    log = rotated(tmp_path, *signers)
    (tmp_path / "vkey").write_text(f"{LOG.verifier}\n")
    proof_cli.write_constitution(log, tmp_path / "vkey", None, tmp_path / "constitution.toml")
    trust = proof_trust.load(tmp_path)
    assert [place for place, _ in trust.later] == [8]
    mint = next(index for index, data in enumerate(log.entries()) if data[0] != 0xD2)
    admissions = proof_make.admissions_of(log.entries())
    evidence = Evidence(BOTH, BLOCKS)
    file = proof_make.open_mint(proof_make.prove(log, mint), evidence, admissions, position)
    pycddl.Schema((ROOT / "docs/spec/proof.cddl").read_text()).validate_cbor(file.encode())
    steps = judge(file, trust)
    assert all(step.is_good for step in steps), steps[-1].text
    for index in range(trust.later[0][0] + 2):
        steps = judge(proof_make.prove(log, index), trust)
        assert all(step.is_good for step in steps), steps[-1].text
    unaware = replace(trust, later=())
    assert not all(step.is_good for step in judge(proof_make.prove(log, 9), unaware))


def test_proof_when_a_rotation_is_forged(tmp_path: Path) -> None:
    """A new key that neither the old one nor the roles gave, or that did not agree, proves nothing."""
    log = rotated(tmp_path, "meter")
    trust = Trust(LOG.verifier, proof_trust.found(testing.GENESIS), tlog_policy.TlogPolicy())
    mint = next(index for index, data in enumerate(log.entries()) if data[0] != 0xD2)
    admissions = proof_make.admissions_of(log.entries())
    file = proof_make.open_mint(proof_make.prove(log, mint), Evidence(BOTH, BLOCKS), admissions, 1)
    assert isinstance(file.opening, proof_file.ShortOpening)
    meter, body = (
        testing.ident("meter"),
        Rotate(Subject.DEVICE, testing.ident("meter"), testing.key("meter2").public_key),
    )
    forgeries = {
        "by-a-stranger": testing.rotation(Subject.DEVICE, meter, "meter2", "ben"),
        "by-one-role": testing.rotation(Subject.DEVICE, meter, "meter2", "steward"),
        "not-agreed": testing.signed(body, "meter"),
        "of-another": testing.rotation(Subject.DEVICE, testing.ident("plug"), "meter2", "meter"),
        "no-rotation": testing.member("ana"),
    }
    for name, forged in forgeries.items():
        opening = replace(file.opening, admission=(file.opening.admission[0], forged))
        *_, last = judge(replace(file, opening=opening), trust)
        assert (last.is_good, "key" in last.text) == (False, True), name


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"place": 8, "entry": testing.role("clerk", "steward").hex()}, ""),
        ({"place": 8, "entry": testing.signed(testing.POLICY, "steward").hex()}, "misplaced"),
        (
            {"place": 8, "entry": testing.signed(AdmitRole(bytes(16), "steward", bytes(32)), "steward").hex()},
            "quorum",
        ),
        ({"place": 8, "entry": "00"}, "malformed"),
    ],
)
def test_trust_when_role_keys_changed(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    """The changes in constitution.toml are believed for their own signatures, in their order."""
    file = TrustFile(log_vkey=str(LOG.verifier), genesis=testing.GENESIS.hex(), changes=(Change(**change),))
    (tmp_path / "constitution.toml").write_text(file.encode())
    if not why:
        assert proof_trust.load(tmp_path).at(9).keys.keys() > proof_trust.load(tmp_path).at(8).keys.keys()
        return
    with pytest.raises(UserError, match=why):
        proof_trust.load(tmp_path)


def test_proof_when_a_byte_is_flipped(log: PublishedLog) -> None:
    """No flipped bit of a file leaves it good, except in a witness's line that the quorum does not need."""
    print(f"seed {SEED}")
    random_ = random.Random(SEED)
    trust = replace(TRUST, policy=tlog_policy.parse(quorum(3)))
    data = opened(log, 1).encode()
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ (1 << random_.randrange(8))]) + data[at + 1 :]
        try:
            steps = list(explain(proof_file.parse(changed), trust, {}))
        except FormatError:
            continue
        assert not all(step.is_good for step in steps), f"byte {at}"


MALFORMED = {
    "empty": b"",
    "other-header": b"c2sp.org/tlog-proof@v2\nindex 0\n\nx",
    "no-index": b"c2sp.org/tlog-proof@v1\n\nx",
    "leading-zero": b"c2sp.org/tlog-proof@v1\nindex 01\n\nx",
    "extra-after-index": b"c2sp.org/tlog-proof@v1\nindex 1\nextra AAAA\n\nx",
    "hash-of-3-bytes": b"c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\nx",
    "no-checkpoint": b"c2sp.org/tlog-proof@v1\nindex 1\n",
    "64-hashes": b"c2sp.org/tlog-proof@v1\nindex 1\n" + (b"A" * 43 + b"=\n") * 64 + b"\nx",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_tlog_proof_when_malformed(name: str) -> None:
    """Text that is no tlog-proof is refused."""
    with pytest.raises(FormatError, match="malformed"):
        proof.parse(MALFORMED[name])


def run(*arguments: object, language: str = "en") -> subprocess.CompletedProcess[str]:
    command = [COMMONWATT, *map(str, arguments)]
    environment = {"LANGUAGE": language, "PATH": "/usr/bin:/bin", "PYTHONUTF8": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_command_when_a_resident_proves_a_mint(log: PublishedLog, tmp_path: Path) -> None:
    """constitution, prove, verify: what people type; a changed file ends with code 1."""
    directory = log.root.parent
    (directory / "witnesses.policy").write_text(quorum())
    constitution, file = tmp_path / "constitution.toml", tmp_path / "mint.proof"
    done = run("ledger", "constitution", directory, "--vkey", directory / "log.vkey", "--out", constitution)
    assert done.returncode == 0, done.stderr
    assert testing.GENESIS_SHA256.hex() in done.stdout
    done = run("ledger", "prove", directory, AT_MINT, "--line", 2, "--out", file)
    assert done.returncode == 0, done.stderr
    assert "fits one QR code" in done.stdout
    done = run("verify", file, "--constitution", constitution)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PROVEN" in done.stdout
    assert "7. ✓" in done.stdout
    file.write_bytes(file.read_bytes().replace(b"testville.example", b"testvilla.example"))
    done = run("verify", file, "--constitution", constitution)
    assert done.returncode == 1
    assert "✗" in done.stdout
    done = run("verify", directory / "log.vkey", "--constitution", constitution)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_prove_when_it_cannot_be(log: PublishedLog, tmp_path: Path) -> None:
    """Beyond the log, a line that is not there, lines of another mint: each its own sentence."""
    with pytest.raises(UserError, match="the last is 9"):
        proof_make.prove(log, 10)
    with pytest.raises(UserError, match="4 lines"):
        opened(log, 4)
    with pytest.raises(UserError, match="not the lines"):
        proof_make.read_evidence(log.root.parent / "aggregator.db", replace(MINT, source=2))
    mint = parse_entry(next(iter([MINT.encode()])))
    assert isinstance(mint, Mint)
    assert proof_make.read_evidence(log.root.parent / "aggregator.db", mint) == EVIDENCE


def test_constitution_when_of_another_log(tmp_path: Path) -> None:
    """A key and a genesis entry that do not belong together are not believed."""
    other = Signer("other.example/log", testing.key("other")).verifier
    (tmp_path / "constitution.toml").write_text(
        TrustFile(log_vkey=str(other), genesis=testing.GENESIS.hex()).encode()
    )
    with pytest.raises(UserError, match="another log"):
        proof_trust.load(tmp_path)
