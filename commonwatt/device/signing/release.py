"""A release of the firmware on a shelf that any web server may serve: BOARD.update and BOARD-NUMBER.bin.

The manifest (docs/spec/command.cddl) is signed by the commune's update key and names the image's size and hash, so
the server is trusted with nothing. It is put there last: whoever finds it finds its image.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from commonwatt import cbor, cose, files
from commonwatt.errors import FormatError, UserError
from commonwatt.identity import SigningKey

VERSION = 1
MANIFEST_SIZE_MAX = 256
NUMBER_MAX = (1 << 32) - 1
IMAGE_SIZE_MAX = 16 * 1024 * 1024
_BOARD = re.compile(r"[a-z0-9_]{1,32}")


@dataclass(frozen=True, slots=True)
class Release:
    """What a manifest says."""

    board: str
    number: int
    image_size: int
    image_sha256: bytes

    def sign(self, key: SigningKey, genesis: bytes) -> bytes:
        """The manifest as it lies on the shelf."""
        payload = cbor.encode([VERSION, self.board, self.number, self.image_size, self.image_sha256])
        signed = cose.sign1(payload, key, cose.external_aad("update", genesis))
        assert len(signed) <= MANIFEST_SIZE_MAX
        return signed


def release_of(image: bytes, board: str, number: int) -> Release:
    """What is to be signed for an image; UserError if no device could take it."""
    if not _BOARD.fullmatch(board):
        raise UserError(f"{board!r} is no board", to_do="name a file of firmware/boards without .py")
    if not 0 < number <= NUMBER_MAX:
        raise UserError(f"{number} is no version", to_do="a whole number from 1 on, the one the image was built with")
    if not 0 < len(image) <= IMAGE_SIZE_MAX:
        raise UserError(f"an image of {len(image)} bytes")
    return Release(board, number, len(image), hashlib.sha256(image).digest())


def parse_manifest(signed: bytes) -> Release:
    """What a signed manifest says; FormatError if it is none. Verifies nothing."""
    value = cbor.decode(cose.parse1(signed, size_max=MANIFEST_SIZE_MAX).payload, size_max=MANIFEST_SIZE_MAX)
    match value:
        case [1, str(board), int(number), int(size), bytes(digest)]:
            return Release(board, number, size, digest)
    raise FormatError("malformed", "not a manifest")


def put(shelf: Path, release: Release, manifest: bytes, image: bytes) -> tuple[Path, Path]:
    """Lay manifest and image on the shelf, durable; UserError if a manifest there is as new or newer."""
    newest = shelf / f"{release.board}.update"
    if newest.exists():
        try:
            there = parse_manifest(newest.read_bytes()).number
        except FormatError as error:
            raise UserError(f"this is no manifest: {error}", where=newest, to_do="move it away") from error
        if there >= release.number:
            raise UserError(f"version {there} is there already", where=newest, to_do="a release's number must grow")
    shelf.mkdir(parents=True, exist_ok=True)
    held = shelf / f"{release.board}-{release.number}.bin"
    files.replace(held, image)
    files.replace(newest, manifest)
    return newest, held
