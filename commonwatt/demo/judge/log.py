"""The published log: every file below log/ is what the entries and the signed checkpoint say (C2SP tiles).

commonwatt.example/log
70
1yVdQ8g5dXk2WqUSAfq3fYwdUnrVWBbyh8zgoITVYw0=

— commonwatt.example/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from commonwatt.demo.judge.report import Findings
from commonwatt.demo.judge.signatures import UnreadableError

TILE_WIDTH = 256
ED25519_NOTE = b"\x01"
_TILE = re.compile(r"tile/(?P<level>\d{1,2}|entries)/(?P<index>(?:x\d{3}/)*\d{3})(?:\.p/(?P<width>\d{1,3}))?")


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962 §2.1."""
    return hashlib.sha256(b"\x00" + entry).digest()


def tree_root(leaves: tuple[bytes, ...]) -> bytes:
    """RFC 6962 §2.1 to the letter: split at the largest power of two below the size."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + tree_root(leaves[:split]) + tree_root(leaves[split:])).digest()


def read_log(directory: Path, vkey_file: Path, findings: Findings) -> tuple[str, list[bytes]] | None:
    """The log's origin and entries, if everything published agrees with the signed checkpoint."""
    noted = len(findings.differences)
    try:
        origin, size, root = _read_checkpoint(directory / "checkpoint", vkey_file)
        entries = _read_entries(directory, size)
    except (UnreadableError, OSError, ValueError) as error:
        findings.expect("log", "readable", str(error))
        return None
    leaves = tuple(leaf_hash(entry) for entry in entries)
    findings.expect("log: root of the tree over all entries", root, tree_root(leaves))
    _check_files(directory, entries, leaves, findings)
    return (origin, entries) if len(findings.differences) == noted else None


def _read_checkpoint(path: Path, vkey_file: Path) -> tuple[str, int, bytes]:
    name, key_id, public_key = _read_vkey(vkey_file.read_text().strip())
    text, _, signatures = path.read_bytes().decode("utf-8").rpartition("\n\n")
    text += "\n"
    for line in _lines(signatures):
        signed = re.fullmatch(r"— (\S+) (\S+)", line)
        if signed is None:
            raise UnreadableError(f"checkpoint: not a signature line: {line!r}")
        blob = _from_base64(signed[2])
        if signed[1] == name and blob[:4] == key_id:
            break
    else:
        raise UnreadableError("checkpoint: not signed under log.vkey")
    try:
        VerifyKey(public_key).verify(text.encode(), blob[4:])
    except (BadSignatureError, ValueError) as error:
        raise UnreadableError("checkpoint: the signature under log.vkey is wrong") from error
    origin, size, root = _lines(text)
    return origin, int(size), _from_base64(root)


def _lines(text: str) -> list[str]:
    """Lines as signed notes have them: LF ends each, also the last. `splitlines` would take a vertical tab too."""
    if not text.endswith("\n"):
        raise UnreadableError("a line of the checkpoint does not end in LF")
    return text.removesuffix("\n").split("\n")


def _from_base64(text: str) -> bytes:
    """The one spelling only: Python ignores stray bits in the last character."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise UnreadableError(f"not the base64 of its bytes: {text}")
    return data


def _read_vkey(text: str) -> tuple[str, bytes, bytes]:
    name, key_id, encoded = text.split("+", 2)
    typed_key = _from_base64(encoded)
    expected_id = hashlib.sha256(name.encode() + b"\n" + typed_key).digest()[:4]
    if typed_key[:1] != ED25519_NOTE or key_id != expected_id.hex():
        raise UnreadableError("log.vkey is not an Ed25519 note key")
    return name, expected_id, typed_key[1:]


def _read_entries(directory: Path, size: int) -> list[bytes]:
    entries: list[bytes] = []
    for index in range((size + TILE_WIDTH - 1) // TILE_WIDTH):
        width = min(TILE_WIDTH, size - index * TILE_WIDTH)
        bundle = directory / "tile" / "entries" / _tile_path(index)
        if not bundle.exists():
            bundle = bundle.with_name(bundle.name + ".p") / str(width)
        entries += _read_bundle(bundle.read_bytes())[:width]
    if len(entries) != size:
        raise UnreadableError(f"{size} entries are signed for, {len(entries)} are published")
    return entries


def _read_bundle(data: bytes) -> list[bytes]:
    """A bundle is its entries one after the other, each behind its length in two bytes, big-endian."""
    entries, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        entries.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    if at != len(data):
        raise UnreadableError("an entry bundle is torn")
    return entries


def _tile_path(index: int) -> str:
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03d}")
    return "/".join(groups)


def _check_files(directory: Path, entries: list[bytes], leaves: tuple[bytes, ...], findings: Findings) -> None:
    """Every tile and bundle, also the partial ones of earlier sizes, holds what these entries give."""

    @cache
    def node(level: int, index: int) -> bytes:
        span: int = TILE_WIDTH**level
        if (index + 1) * span > len(leaves):
            raise UnreadableError("beyond the signed size")
        return tree_root(leaves[index * span : (index + 1) * span])

    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        place = path.relative_to(directory).as_posix()
        if place == "checkpoint":
            continue
        name = _TILE.fullmatch(place)
        if name is None:
            findings.expect(f"log: file {place}", "known to C2SP tiles", "unknown")
            continue
        first = int(name["index"].replace("x", "").replace("/", "")) * TILE_WIDTH
        width = int(name["width"] or TILE_WIDTH)
        try:
            if name["level"] == "entries":
                expected = entries[first : first + width]
                findings.expect(
                    f"log: file {place}: holds these entries", True, _read_bundle(path.read_bytes()) == expected
                )
            else:
                hashes = b"".join(node(int(name["level"]), first + offset) for offset in range(width))
                findings.expect(f"log: file {place}: holds these hashes", True, path.read_bytes() == hashes)
        except UnreadableError as error:
            findings.expect(f"log: file {place}", "as signed", str(error))
