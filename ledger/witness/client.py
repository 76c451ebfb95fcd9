"""Asks witnesses to cosign what the log has published, outside the commit path, and keeps the answers.

The result is `checkpoint.cosigned` beside `checkpoint`: the newest head that its quorum has cosigned. It is a file of
its own because it may be older than `checkpoint`, which only the publisher writes.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from commonwatt import files
from commonwatt.errors import FormatError, StorageError, UserError
from ledger import fetch as http_fetch
from ledger.log import note
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.note import Verifier
from ledger.log.published import COSIGNED, PublishedLog
from ledger.proof.tree import PublishedTree
from ledger.witness import cosignature, progress
from ledger.witness import decide as witness
from ledger.witness.policy import TlogPolicy, Witness

log = logging.getLogger(__name__)

ANSWER_SIZE_MAX = 65_536
TRIES = 3
"""How often a witness that names another size is asked again in one round."""


class WitnessAheadError(StorageError):
    """A witness has seen more than we hold, or something else: we must not sign."""


@dataclass(slots=True)
class Round:
    """What one round of asking brought."""

    head: Checkpoint
    is_met: bool
    cosigned: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


class WitnessClient:
    """Asks the witnesses of one policy about one published log. `now_s`: the time that watchers are told."""

    def __init__(
        self, *, root: Path, log_key: Verifier, policy: TlogPolicy, now_s: Callable[[], float] = time.time
    ) -> None:
        if not any(item.url for item in policy.witnesses):
            raise UserError("no witness of this policy has a URL", to_do="write witness NAME VKEY URL")
        self._files = PublishedLog(root)
        self._log = log_key
        self._policy = policy
        self._now_s = now_s
        self._sizes: dict[str, int] = {}
        """What each cosigned last, as far as known."""
        self._progress = {item.name: progress.Followed() for item in policy.witnesses if item.url}

    def ask_all(self) -> Round:
        """One round over the checkpoint that is published now; WitnessAheadError stops everything."""
        data = self._files.checkpoint_bytes()
        head, _ = open_checkpoint(data, self._log)
        tree = PublishedTree(self._files.tile, head.size)
        if tree.root() != head.root:
            raise FormatError("malformed", "the tiles are not those of the checkpoint")
        lines: list[note.SignatureLine] = []
        result = Round(head, is_met=False)
        for item in self._policy.witnesses:
            if not item.url:
                continue
            followed = self._progress[item.name]
            try:
                lines.append(self._ask(item, head, tree, data))
                result.cosigned.append(item.name)
                followed.cosign(head.size, self._now_s())
            except WitnessAheadError:
                followed.refuse(progress.AHEAD)
                self._tell()
                raise
            except (OSError, FormatError) as error:
                result.failed[item.name] = str(error)
                followed.refuse(error.reason if isinstance(error, FormatError) else progress.UNREACHABLE)
        cosigned = data.decode() + "".join(note.spell_line(line) for line in lines)
        times_s = cosignature.times_s(note.parse(cosigned.encode()), self._policy.cosigners)
        result.is_met = self._policy.is_met(times_s)
        if result.is_met:
            _replace(self._files.root / COSIGNED, cosigned.encode())
        self._tell()
        return result

    def _tell(self) -> None:
        """Whoever watches is not worth a round: a full disk stops the cosigned head itself."""
        try:
            progress.write(self._files.root, self._progress)
        except OSError as error:
            log.warning("%s cannot be written: %s", progress.file_of(self._files.root), error.strerror)

    def _ask(self, item: Witness, head: Checkpoint, tree: PublishedTree, data: bytes) -> note.SignatureLine:
        for _ in range(TRIES):
            old = self._sizes.get(item.name, 0)
            body = witness.encode_request(old, tree.consistency(old), data)
            url = item.url.rstrip("/") + "/add-checkpoint"
            status, answer = http_fetch.post(url, body, size_max=ANSWER_SIZE_MAX)
            if status == witness.Status.COSIGNED:
                line = line_of(answer, item, data)
                self._sizes[item.name] = head.size
                return line
            if status == witness.Status.INCONSISTENT:
                raise _another_tree(item, head, old, self._files.root)
            if status != witness.Status.CONFLICT:
                raise FormatError("refused", f"{status} {answer.strip()!r}")
            size = size_of(answer)
            if size > head.size:
                raise ahead(item, size, head.size, self._files.root)
            self._sizes[item.name] = size
        raise FormatError("refused", "another client asks the same witness at the same time")


def last_seen(item: Witness, log_key: Verifier) -> Checkpoint | None:
    """What a witness cosigned last of this log; None if it never did or cannot be asked now."""
    origin = hashlib.sha256(log_key.name.encode()).hexdigest()
    url = f"{item.url.rstrip('/')}/{origin}/checkpoint"
    try:
        head, signed = open_checkpoint(http_fetch.get(url, size_max=ANSWER_SIZE_MAX), log_key)
    except (OSError, FormatError) as error:
        if not (isinstance(error, FormatError) and error.reason == "missing"):  # a new log has been seen by nobody
            log.warning("witness %s cannot be asked: %s", item.name, error)
        return None
    return head if cosignature.times_s(signed, [item.cosigner]) else None


def check_none_is_ahead(policy: TlogPolicy, log_key: Verifier, size: int, where: object) -> None:
    """WitnessAheadError if a witness that answers has cosigned more entries than the `size` we hold."""
    for item in policy.witnesses:
        seen = last_seen(item, log_key) if item.url else None
        if seen is not None and seen.size > size:
            raise ahead(item, seen.size, size, where)


def ahead(item: Witness, seen: int, ours: int, where: object) -> WitnessAheadError:
    """The error of a restored backup."""
    return WitnessAheadError(
        f"witness {item.name} has cosigned {seen} entries, this ledger has {ours}: it is an older copy",
        where=where,
        to_do="restore the newest database; nothing smaller or other is ever signed",
    )


def _another_tree(item: Witness, head: Checkpoint, old: int, where: Path) -> WitnessAheadError:
    return WitnessAheadError(
        f"witness {item.name} has cosigned another tree of {old} entries than the one inside our {head.size}",
        where=where,
        to_do="stop writing and find out which history is the true one; nobody cosigns both",
    )


def line_of(answer: str, item: Witness, data: bytes) -> note.SignatureLine:
    """The witness's own line, verified; lines of unknown keys are passed over. FormatError."""
    lines = note.parse_lines(answer)
    for line in lines:
        if (line.name, line.key_id) == (item.cosigner.name, item.cosigner.key_id):
            signed = note.parse(data + note.spell_line(line).encode())
            cosignature.times_s(signed, [item.cosigner])
            return line
    raise FormatError("bad-signature", "the answer has no line of this witness")


def size_of(answer: str) -> int:
    """The size that the body of a conflict names; FormatError "malformed"."""
    text = answer.removesuffix("\n")
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise FormatError("malformed", f"not a size: {answer[:40]!r}")
    return int(text)


def _replace(path: Path, data: bytes) -> None:
    """Atomically, prepared outside the log's directory, as the publisher does."""
    beside = path.parent.with_name(path.parent.name + ".cosigned.new")
    try:
        files.replace(path, data, beside=beside)
    except OSError as error:
        raise StorageError(f"cannot write: {error.strerror}", where=path, to_do="make room") from error
