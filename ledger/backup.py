"""Backup and restore of one ledger, whatever engine it lies in: the entries are the truth, and the log holds them.

A backup is a copy of the published files up to one checkpoint, checked against it, with what says which ledger it is.
These files never change, so a copy is whole at every moment, also while the ledger is written; keys are not in it.
Restoring audits the copy in full and builds the store anew, in one transaction.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from commonwatt import files
from commonwatt.errors import FormatError, StorageError, UserError
from commonwatt.i18n import _
from ledger import app
from ledger import settings as ledger_settings
from ledger.audit import verify
from ledger.audit.mirror import mirror
from ledger.audit.verify import Mode, Report
from ledger.book import entry
from ledger.book.entry import SignedEntry
from ledger.book.state import State
from ledger.log import note, tiles
from ledger.log.checkpoint import Checkpoint
from ledger.log.published import PublishedLog
from ledger.log.tiles import CHECKPOINT, ENTRIES, WIDTH, TileName
from ledger.settings import LedgerSettings
from ledger.store.schema import Row
from ledger.store.sql import Store
from ledger.witness import policy as tlog_policy

KEPT = (app.COMMUNE_FILE, app.LOG_VKEY, tlog_policy.FILE)
"""What goes along: which ledger it is and who cosigns. All of it is public."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a backup holds now, and how many entries and files this run added."""

    head: Checkpoint
    entries: int
    files: int


def back_up(directory: Path, target: Path) -> Kept:
    """Bring the backup in `target` to what a commune's ledger has published; also while it is written.

    Repeated, it adds what is new, and never replaces what it holds by another history. UserError, StorageError.
    """
    with _told(target):
        return _back_up(directory, target)


def _back_up(directory: Path, target: Path) -> Kept:
    key = _log_key(directory)
    source = PublishedLog(directory / app.LOG)
    try:
        done = mirror(source, target / app.LOG, key)
    except FormatError as error:
        raise UserError(
            _("cannot be backed up: {error}").format(error=error),
            where=source.root,
            to_do=_("run commonwatt ledger verify --mode audit; the backup stays as it was"),
        ) from error
    if not (target / app.LOG / TileName(ENTRIES, 0, min(WIDTH, done.head.size)).path).exists():
        raise UserError(
            _("the entries are not published here"), where=source.root, to_do=_("back up the ledger itself")
        )
    _carry_erasures(source, target / app.LOG, done.head.size, key)
    for name in KEPT:
        if (directory / name).exists():
            _copy(directory / name, target / name)
    return Kept(done.head, done.head.size - done.before, done.files)


def _carry_erasures(source: PublishedLog, target: Path, size: int, key: note.Verifier) -> None:
    """Empty in the backup what was erased in the log; an audit must know of it, or nothing is taken out."""
    held = PublishedLog(target)
    current = {name.path: name for name in tiles.names(size) if name.level == ENTRIES}
    emptied = {}
    for path, name in current.items():
        entries = source.bundle(name)
        if b"" in entries and entries != held.bundle(name):
            emptied[path] = tiles.encode_bundle(entries)
    if not emptied:
        return
    _audit(source, key)
    for path, data in emptied.items():
        _put(target / path, data)
    for path in list(held.paths()):  # bundles of earlier sizes, which nobody needs who has these
        if path.startswith("tile/entries/") and path not in current:
            (target / path).unlink()


def restore(backup: Path, directory: Path, *, store: str = "") -> Checkpoint:
    """Build the ledger of `directory` from a backup, or from its own published log. UserError, StorageError.

    `store`: the database URL it is to lie in from now on; "": what DIR/ledger.toml says. A ledger that is there
    already is left alone, and so is a published log that has more entries than the backup.
    """
    with _told(directory):
        return _restore(backup, directory, store)


@contextmanager
def _told(where: Path) -> Iterator[None]:
    """What the disk refuses becomes a sentence."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the disk fails: {error.strerror}", where=error.filename or where, to_do="mend the disk, then run again"
        ) from error


def _restore(backup: Path, directory: Path, store: str) -> Checkpoint:
    if not (directory / app.COMMUNE_FILE).exists():
        _copy(backup / app.COMMUNE_FILE, directory / app.COMMUNE_FILE)
    key = _log_key(directory)
    log = PublishedLog(backup / app.LOG)
    report = _audit(log, key)
    assert report.checkpoint is not None
    assert report.state is not None
    if report.state.genesis_sha256.hex() != app.load_commune(directory).genesis_sha256:
        raise UserError(_("this is the backup of another ledger"), where=backup)
    _check_is_newest(directory / app.LOG, report.checkpoint, key)
    settings = _settle(directory, store)
    state = report.state

    def bring_the_rest() -> dict[bytes, tuple[int, int]]:
        """In the store's own transaction, so that the store is the last to be there: cut off, all is done again."""
        if directory.resolve() != backup.resolve():
            mirror(log, directory / app.LOG, key)
            for name in KEPT:
                if (backup / name).exists() and not (directory / name).exists():
                    _copy(backup / name, directory / name)
        return _balances(state)

    Store.create(settings.engine(directory), _rows(log, report.checkpoint.size), bring_the_rest).close()
    return report.checkpoint


def _log_key(directory: Path) -> note.Verifier:
    try:
        return note.parse_vkey(app.load_commune(directory).log_vkey)
    except FormatError as error:
        raise UserError(f"log_vkey: {error}", where=directory / app.COMMUNE_FILE) from error


def _audit(log: PublishedLog, key: note.Verifier) -> Report:
    report = verify.verify(log, key, mode=Mode.AUDIT, lenient=True)
    if not report.is_good:
        raise UserError(
            _("this backup is damaged: {problem}").format(problem=report.problems[0]),
            where=log.root,
            to_do=_("restore another one; nothing was changed"),
        )
    return report


def _check_is_newest(published: Path, head: Checkpoint, key: note.Verifier) -> None:
    """What is published here is not taken back: the entries it has more are there to be restored too."""
    if not (published / CHECKPOINT).exists():
        return
    here = PublishedLog(published).unverified_checkpoint()
    if here.size > head.size:
        raise UserError(
            _("the log published here has {here} entries, the backup {backup}").format(
                here=here.size, backup=head.size
            ),
            where=published,
            to_do=_("restore from this directory itself: commonwatt ledger restore {path} {path}").format(
                path=published.parent
            ),
        )


def _settle(directory: Path, store: str) -> LedgerSettings:
    """The settings, with `store` written into them if they did not name one."""
    settings = ledger_settings.load(directory)
    if not store or settings.store == store:
        return settings
    path = directory / ledger_settings.FILE
    if settings.store:
        raise UserError(_("names another store: {store}").format(store=settings.store), where=path)
    before = path.read_bytes() if path.exists() else b""
    _put(path, before + f'store = "{store}"\n'.encode())
    return ledger_settings.load(directory)


def _rows(log: PublishedLog, size: int) -> Iterator[list[Row]]:
    """The entries with their ids and hashes, a bundle at a time."""
    for first in range(0, size, WIDTH):
        width = min(WIDTH, size - first)
        entries = log.bundle(TileName(ENTRIES, first // WIDTH, width))
        hashes = log.tile(TileName(0, first // WIDTH, width))
        yield [
            Row(place, _id_of(data), data, leaf_hash)
            for place, (data, leaf_hash) in enumerate(zip(entries, hashes, strict=True), first)
        ]


def _id_of(data: bytes) -> bytes | None:
    if not data:  # erased
        return None
    parsed = entry.parse(data)
    return parsed.entry.id if isinstance(parsed, SignedEntry) else None


def _balances(state: State) -> dict[bytes, tuple[int, int]]:
    rows = state.book.accounts.items()
    return {name: (row.debits_mc, row.credits_mc) for name, row in rows if row.debits_mc or row.credits_mc}


def _copy(source: Path, target: Path) -> None:
    _put(target, source.read_bytes())


def _put(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    files.replace(target, data)
