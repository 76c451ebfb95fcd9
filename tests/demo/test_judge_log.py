"""The judge reads logs that the real ledger publishes, over tile borders, and trusts no byte of them."""

import random

import pytest

from commonwatt.demo.judge.log import read_log
from commonwatt.demo.judge.report import Findings
from commonwatt.identity import SigningKey
from ledger.log import merkle
from ledger.log.note import Signer
from ledger.log.publish import Publisher
from ledger.log.tiles import TileTree

ORIGIN = "big.example/log"
SIZES = (1, 2, 255, 256, 257, 512, 700)


def published(directory, sizes):
    """A log that was published at each of these sizes; its entries."""
    signer = Signer(ORIGIN, SigningKey.from_seed(bytes(32)))
    publisher, tree, entries = Publisher(directory / "log", signer), TileTree(), []
    for size in sizes:
        while len(entries) < size:
            entries.append(f"entry {len(entries)}".encode() * (1 + len(entries) % 5))
            tree.append(entries[-1], merkle.leaf_hash(entries[-1]))
        publisher.publish(tree)
    (directory / "log.vkey").write_text(f"{signer.verifier}\n")
    return entries


def read(directory):
    findings = Findings()
    return read_log(directory / "log", directory / "log.vkey", findings), "\n".join(map(str, findings.differences))


@pytest.mark.parametrize("count", range(1, len(SIZES) + 1))
def test_judge_reads_what_the_ledger_published(tmp_path, count):
    """At every size, with the partial tiles of earlier ones still there."""
    entries = published(tmp_path, SIZES[:count])
    assert read(tmp_path) == ((ORIGIN, entries), "")


def test_judge_names_the_file_when_one_byte_of_it_is_changed(tmp_path):
    """One random byte of every file in turn, the seed printed."""
    published(tmp_path, SIZES)
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    for path in sorted(path for path in (tmp_path / "log").rglob("*") if path.is_file()):
        whole = path.read_bytes()
        at = dice.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << dice.randrange(8)]) + whole[at + 1 :])
        log, differences = read(tmp_path)
        assert log is None, path
        assert differences.startswith("log"), path
        path.write_bytes(whole)
    assert read(tmp_path)[0] is not None


def test_judge_accepts_no_checkpoint_with_any_bit_changed(tmp_path):
    """Every bit in turn: a vertical tab for the last line feed, stray bits behind the base64, and all others."""
    published(tmp_path, (3,))
    path = tmp_path / "log" / "checkpoint"
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        assert read(tmp_path)[0] is None, bit


@pytest.mark.parametrize("stray_bits", [1, 2, 3])
def test_judge_accepts_one_spelling_of_a_signature(tmp_path, stray_bits):
    """The last character of a signature carries two bits that mean nothing; only zeros are the spelling."""
    published(tmp_path, (3,))
    path = tmp_path / "log" / "checkpoint"
    text = path.read_text(encoding="utf-8")
    assert text.endswith("=\n")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stray = alphabet[alphabet.index(text[-3]) + stray_bits]
    path.write_text(f"{text[:-3]}{stray}=\n", encoding="utf-8")
    assert read(tmp_path)[0] is None


def test_judge_accepts_no_other_log_key(tmp_path):
    """The key comes from elsewhere; a log cannot vouch for itself."""
    published(tmp_path, (3,))
    other = Signer(ORIGIN, SigningKey.from_seed(bytes(31) + b"1"))
    (tmp_path / "log.vkey").write_text(str(other.verifier))
    assert read(tmp_path) == (None, "log: expected readable, found checkpoint: not signed under log.vkey")


def test_judge_accepts_no_shorter_log_than_signed(tmp_path):
    """Entries that the checkpoint signs for are missing."""
    published(tmp_path, (3,))
    (tmp_path / "log" / "tile" / "entries" / "000.p" / "3").unlink()
    assert read(tmp_path)[0] is None
