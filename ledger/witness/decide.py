"""What a witness decides (https://c2sp.org/tlog-witness, v1.0.0). Pure: request and memory in, answer out.

A request to `add-checkpoint`:

    old 812
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=

    solville.example/log
    815
    qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=

    — solville.example/log Az3grlgt…
"""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from commonwatt.errors import FormatError
from ledger.book.fields import require
from ledger.log import checkpoint, merkle, note
from ledger.log.checkpoint import Checkpoint
from ledger.log.note import Note, Verifier

REQUEST_SIZE_MAX = 65_536
PROOF_HASHES_MAX = 63
SIZE_TYPE = "text/x.tlog.size"
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


class Status(IntEnum):
    """The answers of the specification; the first failing check, in this order, is the answer."""

    MALFORMED = 400
    UNKNOWN_LOG = 404
    UNTRUSTED = 403  # no good signature of the log, or its line fails
    BACKWARDS = 400  # old above the new size; the specification gives it the number of a malformed request
    CONFLICT = 409  # another size than the last one cosigned; the answer names it
    INCONSISTENT = 422
    COSIGNED = 200


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request: from which size, by which proof, to which checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    signed: Note
    head: Checkpoint

    def log_signed(self, logs: Iterable[Verifier]) -> bytes:
        """The checkpoint with the signatures of these logs alone: what strangers added is not passed on."""
        known = {(log.name, log.key_id) for log in logs}
        lines = [line for line in self.signed.signatures if (line.name, line.key_id) in known]
        return (self.signed.text + "\n" + "".join(note.spell_line(line) for line in lines)).encode()


@dataclass(frozen=True, slots=True)
class Remembered:
    """The last checkpoint cosigned of a log."""

    size: int = 0
    root: bytes = merkle.EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Answer:
    """What the HTTP side sends. `why` is for people; `size` is the body of a conflict."""

    status: Status
    why: str
    size: int | None = None


def encode_request(old: int, proof: Sequence[bytes], signed_checkpoint: bytes) -> bytes:
    """The body of a request."""
    assert len(proof) <= PROOF_HASHES_MAX
    lines = [f"old {old}", *(base64.b64encode(item).decode() for item in proof), "", ""]
    return "\n".join(lines).encode() + signed_checkpoint


def parse_request(body: bytes) -> Request:
    """Read a request strictly; FormatError "too-large" or "malformed"."""
    if len(body) > REQUEST_SIZE_MAX:
        raise FormatError("too-large", f"at most {REQUEST_SIZE_MAX} bytes are read")
    head, separator, rest = body.partition(b"\n\n")
    require(bool(separator), "no empty line before the checkpoint")
    try:
        first, *proof = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise FormatError("malformed", "the proof is not ASCII") from error
    match = _OLD.fullmatch(first)
    require(match is not None and len(proof) <= PROOF_HASHES_MAX, "not `old SIZE` and at most 63 hashes")
    assert match is not None
    hashes = tuple(note.decode_base64(line) for line in proof)
    require(all(len(item) == merkle.HASH_SIZE for item in hashes), "a hash is 32 bytes")
    signed = note.parse(rest)
    return Request(int(match[1]), hashes, signed, checkpoint.parse(signed.text))


def judge_log(request: Request, logs: Iterable[Verifier]) -> Answer | None:
    """Whether the request is from a log that this witness knows; None if it is."""
    known = [log for log in logs if log.name == request.head.origin]
    if not known:
        return Answer(Status.UNKNOWN_LOG, "this log is not known here")
    try:
        note.verify(request.signed, known)
    except FormatError as error:
        return Answer(Status.UNTRUSTED, str(error))
    if request.old > request.head.size:
        return Answer(Status.BACKWARDS, "the old size is above the new one")
    return None


def judge_growth(request: Request, last: Remembered) -> Answer:
    """Whether the new tree contains the last one that was cosigned; COSIGNED if it does."""
    if request.old != last.size:
        return Answer(Status.CONFLICT, "another checkpoint was cosigned last", size=last.size)
    head = request.head
    if head.size == 0 and head.root != merkle.EMPTY_ROOT:
        return Answer(Status.INCONSISTENT, "an empty tree has one root only")
    if not merkle.is_consistent(request.old, head.size, request.proof, last.root, head.root):
        return Answer(Status.INCONSISTENT, "the new tree does not contain the one cosigned before")
    return Answer(Status.COSIGNED, "consistent")
