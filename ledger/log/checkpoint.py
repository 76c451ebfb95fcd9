"""Checkpoints: the signed head of the log (https://c2sp.org/tlog-checkpoint, v1.0.0; an example is in note.py).

Ours have three lines and no extension lines: origin, size, base64 of the root.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.book.fields import require
from ledger.log import note
from ledger.log.merkle import HASH_SIZE
from ledger.log.note import Note, Signer, Verifier

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's name, how many entries it has, and the root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def sign(self, signer: Signer) -> bytes:
        """The file as published; the log's key is named like the log."""
        assert signer.name == self.origin
        return note.sign(self.text(), signer).encode()


def parse(text: str) -> Checkpoint:
    """Read the text of a note; FormatError "malformed". Extension lines are refused: nothing of ours has them."""
    lines = text.split("\n")
    require(len(lines) == 4 and lines[3] == "", "a checkpoint has three lines")
    origin, size, root = lines[:3]
    require(note.is_name(origin), "an origin is a name")
    require(_SIZE.fullmatch(size) is not None, "a size is a decimal number without leading zeros")
    data = note.decode_base64(root)
    require(len(data) == HASH_SIZE, "a root is 32 bytes")
    return Checkpoint(origin, int(size), data)


def open_checkpoint(data: bytes, log: Verifier, others: Sequence[Verifier] = ()) -> tuple[Checkpoint, Note]:
    """The checkpoint in a published file, if the log signed it under its own name.

    FormatError "too-large", "malformed" or "bad-signature".
    """
    parsed = note.parse(data)
    require(log in note.verify(parsed, [log, *others]), "the log itself has not signed")
    checkpoint = parse(parsed.text)
    require(checkpoint.origin == log.name, "the checkpoint is of another log")
    return checkpoint, parsed
