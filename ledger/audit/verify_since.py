"""Goes on with an audit where the last one ended: a saved checkpoint and the state of the log up to it.

The auditor's own file; what it says is checked against the log's tiles at once (the root at its size), and everything
after it is replayed. Files of the part that was audited before are not read again, except those at its edge.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from commonwatt import __version__, files
from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _
from ledger import collector
from ledger.audit import saved_state
from ledger.audit.verify import Audit, Report, check_cosigned
from ledger.book.state import State
from ledger.log import merkle
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.note import Verifier
from ledger.log.published import PublishedLog
from ledger.log.tiles import CHECKPOINT, ENTRIES, WIDTH, TileName, TileTree
from ledger.log.tree_check import Checked, Problem
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
    judge, grown = Audit(report, log, saved.state), _Grown(files, old, head)
    with collector.paused():
        judge.read_all(grown.groups())
    judge.finish()
    if grown.problem is not None and not report.problems:  # a refused entry comes before it
        report.problems.append(grown.problem)
    if policy is not None and not report.problems:
        report.problems += check_cosigned(files, log, head, policy)
    report.state = None if report.problems else saved.state
    return report


class _Grown:
    """What a log holds after an `old` head, checked against the tree that grows from there to the new one.

    `problem`: the first thing that is wrong, when `groups` has ended.
    """

    def __init__(self, files: PublishedLog, old: Checkpoint, head: Checkpoint) -> None:
        self.problem: Problem | None = None
        self._files = files
        self._old = old
        self._head = head

    def groups(self) -> Iterator[Checked | None]:
        """The entries by bundles, as far as they are good; None at the end if they are not all."""
        try:
            yield from self._good()
        except FormatError as error:
            self.problem = Problem(CHECKPOINT, "", str(error))
        if self.problem is not None:
            yield None

    def _good(self) -> Iterator[Checked]:
        old, size = self._old.size, self._head.size
        published = PublishedTree(self._files.tile, size)
        if old and published.root(old) != self._old.root:
            what = f"the tree of {old} entries is not the one that was saved: a fork"
            self.problem = Problem(CHECKPOINT, "root", what)
            return
        tree: TileTree | None = None
        for first in range(old - old % WIDTH, size, WIDTH):
            name = TileName(ENTRIES, first // WIDTH, min(WIDTH, size - first))
            entries, hashes = self._files.bundle(name), self._files.tile(replace(name, level=0))
            known = max(0, old - first)
            tree = tree or published.at(old, entries[:known])
            found = merkle.slot_hashes(entries, hashes)
            wrong = next((row for row in range(len(found)) if found[row] != hashes[row]), len(found))
            yield Checked(entries[known:wrong], hashes[known:wrong])
            if wrong < len(found):
                what = "does not hash to what the tree holds"
                self.problem = Problem(name.path, f"entry {first + wrong}", what)
                return
            for leaf_hash in hashes[known:]:
                tree.append(b"", leaf_hash)
            tree.take_finished()
        if tree is not None and tree.root() != self._head.root:
            self.problem = Problem(CHECKPOINT, "root", "is not the root of the tiles")
