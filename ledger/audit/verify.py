"""The auditor: checks a published log from its files alone, without the store that wrote them.

`public` checks the log's signature, every hash and bundle against the tree, that partial tiles of earlier sizes
only grew, and the signatures of public entries. `audit` replays every entry through the rules on top of that.
"""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from commonwatt.errors import FormatError
from ledger import collector, signatures
from ledger.book import batch, constitution, entry
from ledger.book.batch import Batch
from ledger.book.constitution import Constitution
from ledger.book.entry import SignedEntry
from ledger.book.genesis import Genesis
from ledger.book.mint import Mint
from ledger.book.reader import LogReader
from ledger.book.refusals import REFUSAL_BY_REASON, Refusal
from ledger.book.state import State
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.note import NOTE_SIZE_MAX, Verifier
from ledger.log.published import COSIGNED, PublishedLog
from ledger.log.tiles import CHECKPOINT, ENTRIES, WIDTH, TileName, parse_path
from ledger.log.tree_check import Checked, Problem, TreeCheck, joined
from ledger.proof.tree import PublishedTree
from ledger.witness.policy import TlogPolicy, open_witnessed

GROUPS_TOGETHER = 8
"""Groups of 256 entries that are read together: in columns a few thousand cost least each."""


class Mode(StrEnum):
    """How far to look."""

    PUBLIC = "public"
    AUDIT = "audit"


@dataclass(slots=True)
class Report:
    """What was found. `checkpoint` is None when the log's head itself is worth nothing.

    `entries`: how many entries were read (0 when the log publishes hashes only), `erased`: how many of them were
    empty. `state`: after an audit.
    """

    checkpoint: Checkpoint | None = None
    entries: int = 0
    erased: int = 0
    problems: list[Problem] = field(default_factory=list)
    state: State | None = None

    @property
    def is_good(self) -> bool:
        """Whether nothing at all is wrong."""
        return self.checkpoint is not None and not self.problems


def verify(
    path: Path | PublishedLog, log: Verifier, *, mode: Mode, lenient: bool = False, policy: TlogPolicy | None = None
) -> Report:
    """Check every file of a log, a directory by default, against its key; UserError if there is no log at all.

    With a `policy` its quorum of witnesses must have cosigned a head of this very tree.
    `lenient` accepts what C2SP accepts: signature lines of unknown keys, other files, tiles beyond the checkpoint.
    A log that is being written may be caught between tiles and checkpoint: verify a copy.
    """
    files = PublishedLog(path) if isinstance(path, Path) else path
    report = Report()
    try:
        head, signed = open_checkpoint(files.checkpoint_bytes(), log)
    except FormatError as error:
        report.problems.append(Problem(CHECKPOINT, "", str(error)))
        return report
    report.checkpoint = head
    if not lenient:
        unknown = [f"line of an unknown key: {line.name}" for line in signed.unknown([log])]
        report.problems += [Problem(CHECKPOINT, "signatures", what) for what in unknown]
        if len(signed.signatures) - len(unknown) > 1:
            report.problems.append(Problem(CHECKPOINT, "signatures", "the log's line stands there twice"))
    names = _known_names(files, head.size, lenient, report)
    check = TreeCheck(files, head, names, needs_entries=mode is Mode.AUDIT)
    judge = Audit(report, log) if mode is Mode.AUDIT else _PublicEntries(report, log)
    with collector.paused():
        judge.read_all(check.groups())
    report.problems += check.problems
    judge.finish()
    if policy is not None or (not lenient and (files.root / COSIGNED).exists()):
        report.problems += check_cosigned(files, log, head, policy or TlogPolicy())
    return report


def check_cosigned(files: PublishedLog, log: Verifier, head: Checkpoint, policy: TlogPolicy) -> Iterator[Problem]:
    """The cosigned head meets the policy, is of this tree, and has no line that nobody can judge."""
    try:
        seen = open_witnessed(files.read(COSIGNED, size_max=NOTE_SIZE_MAX), log, policy)
        root = PublishedTree(files.tile, head.size).root(min(seen.checkpoint.size, head.size))
    except FormatError as error:
        yield Problem(COSIGNED, "", str(error))
        return
    if seen.checkpoint.size > head.size or seen.checkpoint.root != root:
        yield Problem(COSIGNED, "root", "was cosigned over another tree than the tiles")
    known = {(log.name, log.key_id), *((key.name, key.key_id) for key in policy.cosigners)}
    for line in seen.note.signatures:
        if (line.name, line.key_id) not in known:
            yield Problem(COSIGNED, "signatures", f"line of an unknown key: {line.name}; see --policy")
    if len(seen.note.signatures) != len({(line.name, line.key_id) for line in seen.note.signatures}):
        yield Problem(COSIGNED, "signatures", "a line stands there twice")


def _known_names(files: PublishedLog, size: int, lenient: bool, report: Report) -> list[TileName]:
    """The tiles and bundles that the checkpoint covers; everything else is a problem."""
    names: list[TileName] = []
    for path in files.paths():
        name = parse_path(path)
        if name is not None and _is_covered(name, size):
            names.append(name)
        elif path not in (CHECKPOINT, COSIGNED) and not lenient:
            what = "not a file of a log" if name is None else "beyond the checkpoint"
            report.problems.append(Problem(path, "", what))
    return names


def _is_covered(name: TileName, size: int) -> bool:
    count: int = size // WIDTH ** max(name.level, 0)
    return name.first + name.width <= count


class Audit:
    """Replays entries, those after a `state` if one is given, until the first that is refused."""

    def __init__(self, report: Report, log: Verifier, state: State | None = None) -> None:
        self._report = report
        self._log = log
        self._state = state or State()
        self._begun, self._erased = self._state.size, self._state.erasure.count
        self._reader: LogReader | None = LogReader(self._state)

    def read_all(self, groups: Iterable[Checked | None]) -> None:
        """The log's entries in groups; None where the files do not agree on them."""
        head = self._report.checkpoint
        with closing(signatures.pool_for(head.size - self._begun if head is not None else 0)) as pool:
            for group, read in pool.ahead(self._state, _batches(groups)):
                self._read(group, read)

    def _read(self, group: Checked | None, read: Batch | None) -> None:
        reader = self._reader
        if reader is None:
            return
        is_first = reader.size == 0
        is_good = group is not None and reader.read(group.entries, group.leaf_hashes, read)
        self._report.entries = reader.size - self._begun
        self._report.erased = reader.state.erasure.count - self._erased
        if is_first and reader.state.constitution is not None:
            _check_origin(reader.state.founded.genesis, self._log, self._report)
        if not is_good:
            self._refuse(reader)

    def finish(self) -> None:
        """The log must not end between mint leaves and their run."""
        reader = self._reader
        if reader is None:
            return
        if reader.finish():
            self._report.state = reader.state
        else:
            self._refuse(reader)

    def _refuse(self, reader: LogReader) -> None:
        """Name the entry that is refused, if there is one, and read no more."""
        if reader.refused is not None:
            is_left = reader.refused is Refusal.MISPLACED and reader.size < self._begun + self._report.entries
            what = "mint leaves without their mint-run" if is_left else f"refused: {reader.refused.label}"
            self._report.problems.append(_entry_problem(self._report, reader.size, what))
        self._reader = None


_Group = tuple[Checked | None, Batch | None]


def _batches(groups: Iterable[Checked | None]) -> Iterator[tuple[_Group, Batch | None]]:
    """Some groups together, each time with what their entries say; None where the files do not agree."""
    remaining = iter(groups)
    while some := list(itertools.islice(remaining, GROUPS_TOGETHER)):
        for is_good, parts in itertools.groupby(some, key=lambda group: group is not None):
            if is_good:
                whole = joined(part for part in parts if part is not None)
                read = batch.read(whole.entries)
                yield (whole, read), read
            else:
                yield (None, None), None


class _PublicEntries:
    """Checks form and role signatures of what everyone may read; what wallets sign is the parties' affair."""

    def __init__(self, report: Report, log: Verifier) -> None:
        self._report = report
        self._log = log
        self._place = 0
        self._constitution: Constitution | None = None

    def read_all(self, groups: Iterable[Checked | None]) -> None:
        """The log's entries in groups; None where the files do not agree, or there are hashes only."""
        for group in groups:
            self._read(group)

    def _read(self, group: Checked | None) -> None:
        for data in group.entries if group is not None else ():
            self._report.erased += not data
            refusal = self._judge(data) if data else None
            if refusal is not None:
                self._report.problems.append(_entry_problem(self._report, self._place, f"refused: {refusal.label}"))
            self._report.entries += 1
            self._place += 1
        if group is None:
            self._place += WIDTH

    def finish(self) -> None:
        """Nothing is left open."""

    def _judge(self, data: bytes) -> Refusal | None:
        try:
            parsed = entry.parse(data)
        except FormatError as error:
            return REFUSAL_BY_REASON[error.reason]
        if isinstance(parsed, Mint):
            return None
        if self._place == 0 or isinstance(parsed.entry.body, Genesis):
            return self._found(parsed, data)
        if self._constitution is None:
            return None
        refusal = self._constitution.check_entry(parsed)
        if refusal is None:
            self._constitution.follow(parsed.entry.body)
        return refusal

    def _found(self, signed: SignedEntry, data: bytes) -> Refusal | None:
        body = signed.entry.body
        if self._place != 0 or not isinstance(body, Genesis):
            return Refusal.MISPLACED
        founded = constitution.found(signed, body, entry.sha256(data))
        if isinstance(founded, Refusal):
            return founded
        self._constitution = founded
        _check_origin(body, self._log, self._report)
        return None


def _check_origin(genesis: Genesis, log: Verifier, report: Report) -> None:
    if genesis.origin != log.name:
        report.problems.append(
            _entry_problem(report, 0, f"the genesis entry founds {genesis.origin}, not {log.name}")
        )


def _entry_problem(report: Report, place: int, what: str) -> Problem:
    size = report.checkpoint.size if report.checkpoint else 0
    index = place // WIDTH
    file = TileName(ENTRIES, index, min(WIDTH, size - index * WIDTH)).path
    return Problem(file, f"entry {place}", what)
