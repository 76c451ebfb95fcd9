"""Updates for devices: the manifest and image of each board, kept on disk, checked before anyone gets them.

    BOARD.update        the signed manifest        BOARD-NUMBER.bin        the image it names

A device believes the manifest's signature and the image's hash, so this shelf is trusted with nothing. It checks both
all the same, because a device that downloads a bad image has worn its flash for nothing. docs/spec/command.cddl.
"""

import hashlib
import io
import logging
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from commonwatt import cbor, cose, files
from commonwatt.errors import FormatError
from commonwatt.transport import HASH_SIZE

log = logging.getLogger(__name__)

VERSION = 1
MANIFEST_SIZE_MAX = 256
IMAGE_SIZE_MAX = 4 * 1024 * 1024
"""The largest slot of any board has less."""
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an update is: for which board, its number, and the size and hash of its image."""

    board: str
    number: int
    size: int
    sha256: bytes
    signed: bytes

    @property
    def names(self) -> tuple[str, str]:
        """The files of an update, as devices ask for them: manifest and image."""
        return f"{self.board}.update", f"{self.board}-{self.number}.bin"


@dataclass(frozen=True, slots=True)
class Publisher:
    """Whose updates are kept: the commune's update key, in the commune of this genesis."""

    public_key: bytes
    genesis: bytes

    def read(self, signed: bytes, board: str) -> Manifest:
        """Check a manifest; FormatError names what is wrong: size, form, board, room or signature."""
        message = cose.parse1(signed, size_max=MANIFEST_SIZE_MAX)
        manifest = _parse(message.payload, signed)
        if manifest.board != board:
            raise FormatError("wrong-board", f"for {manifest.board}, expected {board}")
        if manifest.size > IMAGE_SIZE_MAX:
            raise FormatError("no-room", f"an image of {manifest.size} bytes, at most {IMAGE_SIZE_MAX} are kept")
        if not message.is_signed_by(self.public_key, cose.external_aad("update", self.genesis)):
            raise FormatError("bad-signature", "not signed by the update key for this commune")
        return manifest


class Shelf:
    """One update per board in `directory`. Other threads may ask while one puts."""

    def __init__(self, directory: Path, publisher: Publisher, boards: Iterable[str]) -> None:
        self.publisher, self.boards = publisher, tuple(boards)
        self._directory = directory
        self._lock = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)
        found = [self._restore(board) for board in self.boards]
        self._manifests = {manifest.board: manifest for manifest in found if manifest is not None}

    @property
    def numbers(self) -> dict[str, int]:
        """The version that each board may get here."""
        with self._lock:
            return {board: manifest.number for board, manifest in sorted(self._manifests.items())}

    def wants(self, manifest: Manifest) -> bool:
        """Whether it is newer than what is here: an older one, replayed, changes nothing."""
        with self._lock:
            known = self._manifests.get(manifest.board)
        return known is None or manifest.number > known.number

    def put(self, manifest: Manifest, chunks: Iterable[bytes]) -> None:
        """Take an update, durable and checked before anyone gets it; FormatError "wrong-size" or "wrong-hash"."""
        _name, image_name = manifest.names
        image = self._directory / image_name
        beside = image.with_suffix(".new")
        _write(beside, _bounded(chunks, manifest.size))
        if beside.stat().st_size != manifest.size:
            raise FormatError("wrong-size", f"{beside.stat().st_size} bytes came, the manifest says {manifest.size}")
        if _sha256(beside) != manifest.sha256:
            raise FormatError("wrong-hash", f"{image_name} is not what the manifest names")
        beside.replace(image)
        files.replace(self._directory / manifest.names[0], manifest.signed)  # last: it vouches for the image
        with self._lock:
            before = self._manifests.get(manifest.board)
            self._manifests[manifest.board] = manifest
        if before is not None:
            (self._directory / before.names[1]).unlink(missing_ok=True)

    def open(self, name: str) -> BinaryIO | None:
        """The file that a device asks for, or None: only what is on the shelf now has a name."""
        with self._lock:
            manifests = list(self._manifests.values())
        for manifest in manifests:
            if name == manifest.names[0]:
                return io.BytesIO(manifest.signed)
            if name == manifest.names[1]:
                return self._image(manifest)
        return None

    def _image(self, manifest: Manifest) -> BinaryIO | None:
        """Checked whenever it is asked for, because a disk that was good yesterday may not be today."""
        try:
            file = (self._directory / manifest.names[1]).open("rb")
        except OSError as error:
            log.warning("%s cannot be read: %s", manifest.names[1], error)
            return None
        if hashlib.file_digest(file, "sha256").digest() != manifest.sha256:
            log.warning("%s went bad on the disk; it is not given to devices", manifest.names[1])
            file.close()
            return None
        file.seek(0)
        return file

    def _restore(self, board: str) -> Manifest | None:
        try:
            manifest = self.publisher.read((self._directory / f"{board}.update").read_bytes(), board)
        except FileNotFoundError:
            return None
        except (FormatError, OSError) as error:
            log.warning("the update of %s is not believed, waiting for another: %s", board, error)
            return None
        image = self._image(manifest)
        if image is None:
            return None
        image.close()
        return manifest


def _bounded(chunks: Iterable[bytes], size: int) -> Iterable[bytes]:
    """At most one byte more than expected, so that a server cannot fill the disk."""
    left = size + 1
    for chunk in chunks:
        yield chunk[:left]
        left -= len(chunk)
        if left <= 0:
            return


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _parse(payload: bytes, signed: bytes) -> Manifest:
    value = cbor.decode(payload, size_max=MANIFEST_SIZE_MAX)
    try:
        version, board, number, size, sha256 = value
    except (TypeError, ValueError) as error:
        raise FormatError("malformed", "a manifest is an array of five") from error
    are_numbers = all(type(field) is int and 0 <= field < 1 << 32 for field in (version, number, size))
    if not are_numbers or version != VERSION or type(board) is not str:
        raise FormatError("malformed", "not a manifest of version 1")
    if type(sha256) is not bytes or len(sha256) != HASH_SIZE:
        raise FormatError("malformed", "a hash is 32 bytes")
    return Manifest(board, number, size, sha256, signed)
