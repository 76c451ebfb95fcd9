"""C2SP tlog-proof@v1 (https://c2sp.org/tlog-proof): that an entry is in a log which witnesses have seen.

c2sp.org/tlog-proof@v1
extra hFgg…                                    the entry itself, so that the file is complete
index 811
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=   from the leaf's sibling up to the root's child

solville.example/log
812
…                                              the checkpoint with its signatures, verbatim
"""

import base64
import re
from dataclasses import dataclass

from commonwatt.errors import FormatError
from ledger.book.entry import SIZE_MAX as ENTRY_SIZE_MAX
from ledger.book.fields import require
from ledger.log import merkle, note
from ledger.log.note import Verifier
from ledger.witness.policy import TlogPolicy, Witnessed, open_witnessed

HEADER = "c2sp.org/tlog-proof@v1"
SUFFIX = ".tlog-proof"
HASHES_MAX = 63
SIZE_MAX = 1_200_000
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Where an entry is, the hashes beside its way to the root, the checkpoint file. `extra`: not authenticated."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The file."""
        extra = [] if self.extra is None else [f"extra {_base64(self.extra)}"]
        lines = [HEADER, *extra, f"index {self.index}", *map(_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.checkpoint


def parse(data: bytes) -> TlogProof:
    """Read a proof strictly; FormatError "too-large" or "malformed". The checkpoint is judged by `check`."""
    if len(data) > SIZE_MAX:
        raise FormatError("too-large", f"at most {SIZE_MAX} bytes are read")
    head, separator, signed = data.partition(b"\n\n")
    require(bool(separator), "no empty line before the checkpoint")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise FormatError("malformed", "the proof is not ASCII") from error
    require(first == HEADER and len(lines) > 0, f"does not begin with {HEADER}")
    extra = note.decode_base64(lines.pop(0)[6:]) if lines[0].startswith("extra ") else None
    match = _INDEX.fullmatch(lines.pop(0)) if lines else None
    require(match is not None, "no index line")
    assert match is not None
    require(len(lines) <= HASHES_MAX, f"more than {HASHES_MAX} hashes")
    hashes = tuple(note.decode_base64(line) for line in lines)
    require(all(len(item) == merkle.HASH_SIZE for item in hashes), "a hash is 32 bytes")
    require(extra is None or len(extra) <= ENTRY_SIZE_MAX, "the extra data are larger than an entry")
    return TlogProof(int(match[1]), hashes, signed, extra)


def check(proof: TlogProof, leaf_hash: bytes, log: Verifier, policy: TlogPolicy) -> Witnessed:
    """The checkpoint that the proof rests on, if log and quorum signed it and the entry is in its tree.

    FormatError "malformed", "bad-signature", "quorum-not-reached" or "not-included".
    """
    witnessed = open_witnessed(proof.checkpoint, log, policy)
    head = witnessed.checkpoint
    if not merkle.is_included(leaf_hash, proof.index, head.size, proof.hashes, head.root):
        raise FormatError("not-included", f"the hashes do not lead from entry {proof.index} to the root")
    return witnessed


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
