"""Makes proofs: from the published log, and for a mint from the lines and blocks in the aggregator's database.

Reads `line_page` and `evidence_page` of DIR/aggregator.db, or of a PostgreSQL database, as judges do: read-only, the
aggregator may be running.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commonwatt import block, cose, evidence_file, evidence_page
from commonwatt.errors import FormatError, UserError
from commonwatt.evidence_file import Reading
from commonwatt.i18n import _
from commonwatt.identity import key_hint
from ledger.book import entry
from ledger.book.body import AdmitDevice, Rotate
from ledger.book.entry import SignedEntry
from ledger.book.kinds import Subject
from ledger.book.mint import Line, Mint
from ledger.log import checkpoint, note
from ledger.log.published import COSIGNED, PublishedLog
from ledger.log.tiles import ENTRIES, WIDTH, TileName
from ledger.proof import lines as stored_lines
from ledger.proof.file import Chain, LongOpening, Opening, ProofFile, short
from ledger.proof.tlog_proof import TlogProof
from ledger.proof.tree import PublishedTree

if TYPE_CHECKING:
    import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Evidence:
    """What stands behind a mint: its lines in order, and the signed blocks that they name, by SHA-256."""

    lines: tuple[Line, ...]
    blocks: dict[bytes, bytes]


def prove(log: PublishedLog, index: int) -> ProofFile:
    """The proof of one entry under the cosigned head if that holds it, else under the log's own.

    UserError if the log has no such entry; who receives the proof checks it, so it is not checked here.
    """
    newest = log.checkpoint_bytes()  # read once: the publisher may be replacing it
    size = _size_of(newest)
    if index >= size:
        raise UserError(_("the log has {size} entries, the last is {last}").format(size=size, last=size - 1))
    tree = PublishedTree(log.tile, size)
    try:
        data, head_size = _best_head(log, index, newest)
        first = index - index % WIDTH
        bundle = log.bundle(TileName(ENTRIES, index // WIDTH, min(WIDTH, size - first)))
        hashes = tuple(tree.inclusion(index, head_size))
    except FormatError as error:
        raise UserError(str(error), where=log.root, to_do=_("see what `ledger verify` says")) from error
    if not bundle[index - first]:
        raise UserError(_("entry {index} was erased: only its hash is left").format(index=index), where=log.root)
    return ProofFile(bundle[index - first], TlogProof(index, hashes, data))


def open_mint(file: ProofFile, evidence: Evidence, admissions: dict[bytes, Chain], position: int | None) -> ProofFile:
    """The same proof with one line opened, or all of them when `position` is None; UserError if that cannot be."""
    lines = evidence.lines
    needed = lines if position is None else lines[position : position + 1]
    if not needed:
        raise UserError(_("this mint has {count} lines, the first is 0").format(count=len(lines)))
    for line in needed:
        if line.block_sha256 not in evidence.blocks or line.device not in admissions:
            raise UserError(_("the block or the meter of a line is not known here"), where=line.device.hex())
    opening: Opening
    if position is None:
        blocks = tuple(evidence.blocks[sha256] for sha256 in sorted({line.block_sha256 for line in lines}))
        devices = sorted({line.device for line in lines})
        opening = LongOpening(lines, blocks, tuple(admissions[device] for device in devices))
    else:
        (line,) = needed
        signed = evidence.blocks[line.block_sha256]
        opening = short(lines, position, signed, _up_to(admissions[line.device], signed))
    return ProofFile(file.entry, file.proof, opening)


def _up_to(chain: Chain, signed_block: bytes) -> Chain:
    """The admission and as many rotations as it takes to the key that signed a block; all if none of them has it."""
    kid = cose.parse1(signed_block, size_max=block.SIGNED_SIZE_MAX).kid
    for count, data in enumerate(chain, 1):
        body = _about_device(data)
        if body is not None and key_hint(body.public_key) == kid:
            return chain[:count]
    return chain


def read_evidence(database: Path | str, mint: Mint) -> Evidence:
    """What an aggregator's database holds behind a mint; UserError if it cannot be read or holds another mint.
    `database`: a file, or a URL postgresql://…"""
    is_file = "://" not in str(database)
    with _opened_file(Path(database)) if is_file else _opened_server(str(database)) as (connection, where):
        try:
            lines = stored_lines.read(connection, mint)
            blocks = _blocks(connection, lines)
        except FormatError as error:
            raise _unreadable(error, where) from error
        if len(lines) != mint.lines:
            raise UserError(_("these are not the lines of this mint"), where=where)
    return Evidence(lines, blocks)


@contextmanager
def _opened_file(path: Path) -> Iterator[tuple[Reading, object]]:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection, path
    except sqlite3.Error as error:
        raise _unreadable(error, path) from error


@contextmanager
def _opened_server(url: str) -> Iterator[tuple[Reading, object]]:
    import sqlalchemy as sa  # only here: who proves from a file needs no SQLAlchemy

    from ledger.store.engine import place_of, postgres

    place = place_of(url, "the aggregator's database cannot lie there")
    if isinstance(place, Path):
        with _opened_file(place) as opened:
            yield opened
        return
    database = postgres(place)
    try:
        with database.read_only().begin() as connection:
            yield _QuestionMarks(connection), database.where
    except sa.exc.SQLAlchemyError as error:
        raise _unreadable(getattr(error, "orig", None) or error, database.where) from error
    finally:
        database.close()


class _QuestionMarks:
    """A PostgreSQL connection that takes SQLite's marks for parameters; no text of ours has others."""

    def __init__(self, connection: "sa.Connection") -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """A cursor over the rows."""
        return self._connection.exec_driver_sql(sql.replace("?", "%s"), parameters)


def _unreadable(error: BaseException, where: object) -> UserError:
    return UserError(_("cannot read the aggregator's database: {error}").format(error=error), where=where)


def _blocks(connection: Reading, lines: Iterable[Line]) -> dict[bytes, bytes]:
    """The signed blocks that lines name, by SHA-256; each has the reading at the end of its line."""
    wanted = {line.block_sha256: line.end_s for line in lines}
    found: dict[bytes, bytes] = {}
    if wanted:
        for page in evidence_file.pages(connection, min(wanted.values()), max(wanted.values())):
            hashes = evidence_page.names(page.sha256)
            blocks = zip(hashes, page.blocks(), strict=True)
            found |= {sha256: signed for sha256, signed in blocks if sha256 in wanted and signed}
    return found


def admissions_of(entries: Iterable[bytes]) -> dict[bytes, Chain]:
    """By device, the signed entry that admitted it and those that gave it another key."""
    found: dict[bytes, Chain] = {}
    for data in entries:
        body = _about_device(data)
        if isinstance(body, AdmitDevice):
            found.setdefault(body.id, (data,))
        elif body is not None and body.id in found:
            found[body.id] = (*found[body.id], data)
    return found


def _about_device(data: bytes) -> AdmitDevice | Rotate | None:
    """What an entry says about a device's key, if anything."""
    try:
        parsed = entry.parse(data)
    except FormatError:
        return None
    body = parsed.entry.body if isinstance(parsed, SignedEntry) else None
    if isinstance(body, Rotate) and body.subject is not Subject.DEVICE:
        return None
    return body if isinstance(body, AdmitDevice | Rotate) else None


def _best_head(log: PublishedLog, index: int, newest: bytes) -> tuple[bytes, int]:
    """The cosigned head if it has the entry, else the newest."""
    size = _size_of(newest)
    try:
        cosigned = log.read(COSIGNED, size_max=note.NOTE_SIZE_MAX)
    except FormatError:
        return newest, size
    cosigned_size = _size_of(cosigned)
    return (cosigned, cosigned_size) if index < cosigned_size <= size else (newest, size)


def _size_of(signed: bytes) -> int:
    return checkpoint.parse(note.parse(signed).text).size
