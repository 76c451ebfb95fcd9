"""Erases a person from a commune's ledger, in two steps with a pause between them.

First the roles sign a carry-forward, which anybody who audits the log can still check. Then the entries that it names
are emptied, in the store and in the published files, newest first; their hashes stay, and the log goes on verifying.
What others have copied they erase themselves: a mirror, a backup, a witness who keeps entries.
"""

from collections.abc import Sequence
from pathlib import Path

from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey, load_key, new_id
from ledger import app, saved
from ledger import settings as ledger_settings
from ledger.book import entry, erased
from ledger.book.body import CarryForward
from ledger.book.entry import SIZE_MAX, Entry, SignedEntry
from ledger.book.reader import LogReader
from ledger.log.note import Signer
from ledger.log.publish import Publisher
from ledger.log.published import PublishedLog
from ledger.saved import SavedState
from ledger.sequencer import Refused
from ledger.store.sql import Store

INDEX = "parties.db"
"""Which entries concern whom (ledger/http/index.py): made anew by the next start."""


def announce(directory: Path, holder: bytes, reason: str, keys: Sequence[SigningKey], *, time_s: int) -> int:
    """Place the carry-forward of a holder, signed by these role keys; where it stands. UserError, StorageError."""
    with app.open_ledger(directory) as ledger:
        slots = list(PublishedLog(directory / app.LOG).slots())
        body = erased.compose(holder, slots, ledger.state, reason)
        genesis = ledger.state.genesis_sha256
        if body is None or not body.erased:
            why = (
                _("nothing in the log is theirs") if body is not None else _("more is theirs than one entry can name")
            )
            raise UserError(why, where=holder.hex())
        statement = Entry(new_id(), time_s, body)
        signed = statement.with_approvals(*(statement.approve(key, genesis) for key in keys[1:]))
        if len(signed.encode()) > SIZE_MAX - 1024:
            raise UserError(_("more is theirs than one entry can name"), where=holder.hex())
        (answer,) = ledger.submit([signed.sign(keys[0], genesis)])
        if isinstance(answer, Refused):
            raise UserError(
                _("the carry-forward is refused: {why}").format(why=answer.refusal.label), where=holder.hex()
            )
        ledger.publish()
        return answer.place


def carry_out(directory: Path, place: int) -> int:
    """Empty the entries that the carry-forward at a place names; how many. Repeated, it finishes what was begun.

    The ledger is opened before and after: what is erased has verified, and what is left does.
    """
    app.open_ledger(directory).close()
    commune = app.load_commune(directory)
    signer = Signer(commune.origin, load_key(directory / app.LOG_KEY))
    with Store(ledger_settings.load(directory).engine(directory)) as store:
        places = _named_by(store, place)
        _check_rest(store, set(places))
        SavedState(directory / saved.FILE, signer.key).forget()
        store.erase(places)
        publisher = Publisher(directory / app.LOG, signer)
        try:
            publisher.erase(set(places))
        finally:
            publisher.close()
    (directory / INDEX).unlink(missing_ok=True)
    app.open_ledger(directory).close()
    return len(places)


def _check_rest(store: Store, places: set[int]) -> None:
    """Read the log as it will be: what came after the carry-forward may still need what it names."""
    reader = LogReader()
    for piece in store.pieces():
        entries, hashes = store.open_piece(piece)
        kept = [b"" if place in places else data for place, data in enumerate(entries, piece.first)]
        if not reader.read(kept, hashes):
            break
    if not reader.finish():
        raise UserError(
            _("entry {index} still needs what would be erased; nothing was").format(index=reader.size),
            where=store.where,
            to_do=_("sign another carry-forward, which takes it along, and carry that one out"),
        )


def _named_by(store: Store, place: int) -> list[int]:
    size = store.size()
    data = store.entry(place) if place < size else b""
    parsed = entry.parse(data) if data else None
    body = parsed.entry.body if isinstance(parsed, SignedEntry) else None
    if not isinstance(body, CarryForward):
        raise UserError(_("entry {index} is no carry-forward").format(index=place), where=store.where)
    return [row for first, count in body.erased for row in range(first, first + count)]
