"""What others made, judged by our code; and what we make, judged by others'.

Witness answers, notes, checkpoints, consistency proofs: litewitness (Go) over a log of sigsum-go, and the Go checksum
database. Cosignatures: the live witness of Geomys over two public logs. What we sign: OpenSSL. Tiles, roots
and proofs: pymerkle (PyPI).
"""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pymerkle
import pytest

from commonwatt.errors import FormatError
from ledger import testing
from ledger.log import checkpoint, merkle, note
from ledger.log.checkpoint import Checkpoint
from ledger.log.note import Signer, Verifier
from ledger.log.tiles import ENTRIES, TileName, TileTree, parse_bundle, parse_tile
from ledger.witness import cosignature, decide
from ledger.witness.cosignature import CosigningKey
from ledger.witness.decide import Remembered, Status

VECTORS = Path(__file__).parents[1] / "vectors" / "witness"
LITEWITNESS = json.loads((VECTORS / "litewitness.json").read_text(encoding="utf-8"))
COSIGNED = json.loads((VECTORS / "cosigned.json").read_text(encoding="utf-8"))
ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of a public key in DER (RFC 8410)."""


def test_witness_when_asked_what_litewitness_was() -> None:
    """Nine requests in turn: our witness gives each the answer of litewitness, and ends at the same size.

    Two differ, both by the specification: an unknown log is 404 (litewitness follows an older draft, 403), and base64
    with stray bits is malformed before its signature is judged.
    """
    log = Verifier(LITEWITNESS["log"]["origin"], bytes.fromhex(LITEWITNESS["log"]["public_key"]))
    differs = {1: Status.MALFORMED, 2: Status.UNKNOWN_LOG}
    last = Remembered()
    for number, row in enumerate(LITEWITNESS["answers"]):
        try:
            request = decide.parse_request(row["request"].encode())
        except FormatError:
            assert differs[number] is Status.MALFORMED
            continue
        answer = decide.judge_log(request, [log]) or decide.judge_growth(request, last)
        assert answer.status == differs.get(number, row["status"]), (number, answer)
        if answer.status is Status.COSIGNED:
            last = Remembered(request.head.size, request.head.root)
        if "body" in row:
            assert f"{answer.size}\n" == row["body"]
    assert last.size == 5


def test_request_when_a_signature_of_litewitness_is_changed() -> None:
    """A changed bit in a well-spelled signature is 403, as there."""
    log = Verifier(LITEWITNESS["log"]["origin"], bytes.fromhex(LITEWITNESS["log"]["public_key"]))
    body = LITEWITNESS["answers"][0]["request"].replace("UgIom7", "UgIom6")
    answer = decide.judge_log(decide.parse_request(body.encode()), [log])
    assert answer is not None
    assert answer.status is Status.UNTRUSTED


def test_note_when_the_go_checksum_database_signed_it() -> None:
    """A head of sum.golang.org, signed by Go's own code, verifies under its vkey; changed, it does not."""
    vkey = note.parse_vkey(LITEWITNESS["sumdb"]["vkey"])
    assert str(vkey) == LITEWITNESS["sumdb"]["vkey"]
    text = LITEWITNESS["sumdb"]["note"]
    assert note.verify(note.parse(text.encode()), [vkey]) == [vkey]
    with pytest.raises(FormatError, match="bad-signature"):
        note.verify(note.parse(text.replace("35225469", "35225468").encode()), [vkey])


@pytest.mark.parametrize("row", COSIGNED["cosigned"])
def test_cosignature_when_a_live_witness_made_it(row: dict[str, str | int]) -> None:
    """The witness of Geomys cosigned these heads; our code finds when, and nothing if a byte is changed."""
    witness = cosignature.parse_vkey(COSIGNED["vkey"])
    text = str(row["note"])
    assert cosignature.times_s(note.parse(text.encode()), [witness]) == {witness: row["time_s"]}
    head = checkpoint.parse(note.parse(text.encode()).text)
    with pytest.raises(FormatError, match="bad-signature"):
        cosignature.times_s(note.parse(text.replace(f"\n{head.size}\n", f"\n{head.size + 1}\n").encode()), [witness])


def test_signatures_when_openssl_judges_them(tmp_path: Path) -> None:
    """OpenSSL verifies our note and our cosignature over the bytes that the specifications name."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: apt install openssl")
    signer = Signer(testing.ORIGIN, testing.LOG_KEY)
    witness = CosigningKey("mairie.example/w", testing.key("witness"))
    text = Checkpoint(testing.ORIGIN, 812, bytes(range(32))).text()
    line = witness.cosign(text, testing.TIME_S).rsplit(" ", 1)[1]
    cosigned = base64.b64decode(line)[4:]
    signed = base64.b64decode(note.sign(text, signer).strip().rsplit(" ", 1)[1])[4:]
    assert int.from_bytes(cosigned[:8], "big") == testing.TIME_S
    root = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    message = f"cosignature/v1\ntime {testing.TIME_S}\n{testing.ORIGIN}\n812\n{root}\n"
    cases = [
        (signer.key.public_key, text.encode(), signed),
        (witness.key.public_key, message.encode(), cosigned[8:]),
    ]
    for number, (public_key, data, signature) in enumerate(cases):
        key, payload, sig = (tmp_path / f"{number}{name}" for name in (".der", ".bin", ".sig"))
        key.write_bytes(ED25519_SPKI + public_key)
        payload.write_bytes(data)
        sig.write_bytes(signature)
        command = [
            openssl,
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            key,
            "-keyform",
            "DER",
            "-rawin",
            "-in",
            payload,
        ]
        done = subprocess.run([*command, "-sigfile", sig], capture_output=True, text=True, check=False)
        assert "Verified Successfully" in done.stdout, done.stderr
        payload.write_bytes(data + b"x")
        assert subprocess.run([*command, "-sigfile", sig], capture_output=True, check=False).returncode != 0


def test_tiles_when_pymerkle_hashes_the_leaves() -> None:
    """Each hash in a tile of level 1 is pymerkle's root of 256 entries; each in level 0 its hash of one."""
    entries = [f"entry {number}".encode() for number in range(600)]
    tree = TileTree()
    for data in entries:
        tree.append(data, merkle.leaf_hash(data))
    root = tree.root()
    files = tree.take_finished() | tree.partials()

    def theirs(part: list[bytes]) -> bytes:
        other = pymerkle.InmemoryTree(algorithm="sha256")
        for data in part:
            other.append_entry(data)
        state: bytes = other.get_root()
        return state

    assert root == theirs(entries)
    assert parse_tile(files[TileName(1, 0, 2)]) == [theirs(entries[:256]), theirs(entries[256:512])]
    assert parse_tile(files[TileName(0, 2, 88)]) == [theirs([data]) for data in entries[512:]]
    assert parse_bundle(files[TileName(ENTRIES, 1)]) == entries[256:512]
