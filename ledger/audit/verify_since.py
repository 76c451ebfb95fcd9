"""Goes on with an audit where the last one ended: a saved checkpoint and the state of the log up to it.

The auditor's own file; what it says is checked against the log's tiles at once (the root at its size), and everything
after it is replayed. Files of the part that was audited before are not read again, except those at its edge.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from commonwatt import __version__, files
from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _
from ledger.audit import saved_state
from ledger.audit.verify import Report, check_cosigned
from ledger.book import rules
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.log import merkle
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.note import Verifier
from ledger.log.published import PublishedLog
from ledger.log.tiles import CHECKPOINT, ENTRIES, WIDTH, TileName
from ledger.log.tree_check import Problem
from ledger.proof.tree import PublishedTree
from ledger.witness.policy import TlogPolicy

_MAGIC = b"commonwatt audit 4\n"


@dataclass(frozen=True, slots=True)
class Saved:
    """How far an audit came: the head as it was published, and the state of its entries."""

    checkpoint: bytes
    state: State


def save(path: Path, saved: Saved) -> None:
    """Write the file, readable by its owner only; it is replaced at once or not at all."""
    body = saved_state.encode((__version__, saved.checkpoint, saved.state))
    files.replace(path, _MAGIC + hashlib.sha256(body).digest() + body, mode=0o600)


def load(path: Path) -> Saved:
    """Read the file; UserError if it is torn, of another version, or not one of ours."""
    to_do = _("audit from the beginning: leave --since out")
    try:
        return parse(path.read_bytes())
    except (OSError, FormatError) as error:
        raise UserError(
            _("cannot read a saved audit: {error}").format(error=error), where=path, to_do=to_do
        ) from error


def parse(data: bytes) -> Saved:
    """The saved audit in a file's bytes; FormatError "malformed" or "version"."""
    body = data[len(_MAGIC) + 32 :]
    if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) :][:32] != hashlib.sha256(body).digest():
        raise FormatError("malformed", "not a saved audit, or a torn one")
    found = saved_state.decode(body)
    match found:
        case (version, bytes() as checkpoint, State() as state) if version == __version__:
            return Saved(checkpoint, state)
    raise FormatError("version", "the audit was saved by another version")


def verify_since(files: PublishedLog, log: Verifier, saved: Saved, policy: TlogPolicy | None = None) -> Report:
    """An audit of everything after `saved`. The report names the first entry that is wrong, and why.

    With a `policy` its quorum of witnesses must have cosigned a head of this very tree.
    """
    report = Report()
    try:
        old, _old = open_checkpoint(saved.checkpoint, log)
        head, _head = open_checkpoint(files.checkpoint_bytes(), log)
    except FormatError as error:
        report.problems.append(Problem(CHECKPOINT, "", str(error)))
        return report
    report.checkpoint = head
    if head.size < old.size:
        what = f"has {head.size} entries, the saved one {old.size}: the log was cut"
        report.problems.append(Problem(CHECKPOINT, "size", what))
        return report
    try:
        problem = _replay(files, old, head, saved.state, report)
    except FormatError as error:
        problem = Problem(CHECKPOINT, "", str(error))
    if problem is not None:
        report.problems.append(problem)
    elif policy is not None:
        report.problems += check_cosigned(files, log, head, policy)
    report.state = None if report.problems else saved.state
    return report


def _replay(files: PublishedLog, old: Checkpoint, head: Checkpoint, state: State, report: Report) -> Problem | None:
    published = PublishedTree(files.tile, head.size)
    if old.size and published.root(old.size) != old.root:
        return Problem(CHECKPOINT, "root", f"the tree of {old.size} entries is not the one that was saved: a fork")
    begun = old.size - old.size % WIDTH
    tree = published.at(old.size, _bundle(files, begun, head.size)[: old.size - begun])
    for first in range(begun, head.size, WIDTH):
        name = TileName(ENTRIES, first // WIDTH, min(WIDTH, head.size - first))
        entries = files.bundle(name)
        hashes = files.tile(TileName(0, name.index, name.width))
        for place, (data, leaf) in enumerate(zip(entries, merkle.slot_hashes(entries, hashes), strict=True), first):
            if leaf != hashes[place - first]:
                return Problem(name.path, f"entry {place}", "does not hash to what the tree holds")
            if place < old.size:
                continue
            answer = rules.apply(state, data, place, leaf)
            if isinstance(answer, Refusal):
                return Problem(name.path, f"entry {place}", f"refused: {answer.label}")
            tree.append(data, leaf)
            report.entries += 1
    if state.stage is not None:
        return Problem(CHECKPOINT, f"entry {state.stage.first}", "mint leaves without their mint-run")
    if state.erasure.uncovered:
        return Problem(CHECKPOINT, f"entry {min(state.erasure.uncovered)}", f"refused: {Refusal.NOT_CARRIED.label}")
    return None if tree.root() == head.root else Problem(CHECKPOINT, "root", "is not the root of the tiles")


def _bundle(files: PublishedLog, first: int, size: int) -> list[bytes]:
    return files.bundle(TileName(ENTRIES, first // WIDTH, min(WIDTH, size - first))) if first < size else []
