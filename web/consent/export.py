"""A copy of all that a commune has of a member, as one ZIP: made beside the pages, kept for an hour, theirs alone."""

import json
import logging
import secrets
import shutil
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aggregator.impact.home_days import HomeDay
from aggregator.people import export
from aggregator.people.facts import facts
from aggregator.private.store import PrivateStore
from aggregator.reading import NothingMeasuredError, reading
from commonwatt.i18n import _
from ledger.app import LOG
from ledger.book import entry as entries
from ledger.book.entry import SignedEntry
from ledger.book.replay import replay_slots
from ledger.log.published import PublishedLog
from web.book.books import Books
from web.energy.homes import Homes
from web.looks import Looks
from web.names import Names
from web.store import of_person
from web.store.file import WebStore

log = logging.getLogger(__name__)

FOLDER = "exports"
KEPT_S = 3600
ENTRIES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that was asked for. `done`: the file's size when it is there, or what failed."""

    asked_s: int
    path: Path
    done: "Future[int]"


class Copies:
    """One copy a member at a time, made one after the other. What a process before us left is thrown away."""

    def __init__(
        self,
        directory: Path,
        books: Books,
        store: WebStore,
        names: Names,
        homes: Homes,
        looks: Looks,
        *,
        database_url: str = "",
    ) -> None:
        self._directory, self._books, self._store, self._names = directory, books, store, names
        self._homes, self._looks, self._database_url = homes, looks, database_url
        self._lock = threading.Lock()
        self._copies: dict[bytes, Copy] = {}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="copies")
        shutil.rmtree(directory / FOLDER, ignore_errors=True)

    def of(self, account: bytes, now_s: int) -> Copy | None:
        """The copy of a member, while it is kept."""
        with self._lock:
            self._forget(now_s)
            return self._copies.get(account)

    def ask(self, account: bytes, name: str, language: str, now_s: int) -> None:
        """Begin one; a second one while the first is made changes nothing."""
        with self._lock:
            self._forget(now_s)
            before = self._copies.get(account)
            if before is not None and not before.done.done():
                return
            if before is not None:
                before.path.unlink(missing_ok=True)
            path = self._directory / FOLDER / f"{secrets.token_hex(16)}.zip"
            done = self._worker.submit(self._make, path, account, name, language, now_s)
            self._copies[account] = Copy(now_s, path, done)

    def close(self) -> None:
        """Throw them away."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._directory / FOLDER, ignore_errors=True)

    def _forget(self, now_s: int) -> None:
        for account, copy in list(self._copies.items()):
            if copy.done.done() and now_s - copy.asked_s > KEPT_S:
                copy.path.unlink(missing_ok=True)
                del self._copies[account]

    def _make(self, path: Path, account: bytes, name: str, language: str, now_s: int) -> int:
        folder = path.with_suffix("")
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)  # the archive too is nobody else's while it grows
            folder.mkdir(mode=0o700)
            files = {file.name: file for file in self._files(folder, account)}
            index = folder / "index.html"
            index.write_text(self._index(account, name, language, now_s, files), encoding="utf-8")
            with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
                for file in (index, *files.values()):
                    archive.write(file, file.name)
            path.chmod(0o600)
            return path.stat().st_size
        except Exception:
            log.exception("a copy of somebody's data could not be made")
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _files(self, folder: Path, account: bytes) -> Iterator[Path]:
        names = PrivateStore(self._names.path)
        member = names.person(account)
        if member is not None:
            # A state of our own: the pages' is locked while somebody looks at it, and this takes a while.
            state = replay_slots(PublishedLog(self._directory / LOG).slots())
            try:
                with reading(self._directory, self._database_url) as connection:
                    yield from export.write_member(folder, names, member, state, connection)
            except NothingMeasuredError:
                yield from export.write_member(folder, names, member, state, None)
        yield export.write_csv(folder / "entries.csv", [_ENTRY_COLUMNS, *self._entries(account)])
        self._homes.days.catch_up(self._homes.commune())
        for home in self._homes.of(account):
            days = self._homes.days.every(home.site)
            rows = [[row.day.isoformat(), *row[1:]] for row in days.values()]
            yield export.write_csv(folder / f"days-{home.site.hex()}.csv", [HomeDay._fields, *rows])
        with self._store.transaction() as connection:
            told = [{"table": table, **row} for table, row in of_person.rows(connection, account)]
        pages = folder / "pages.json"
        pages.write_text(json.dumps(told, indent=1, ensure_ascii=False, default=str), encoding="utf-8")
        yield pages

    def _entries(self, account: bytes) -> Iterator[list[object]]:
        """The log's entries that concern the account, some at a time: others want to look too."""
        after = -1
        while True:
            with self._books.now() as book:
                places = book.index.places(account, after=after, limit=ENTRIES_AT_ONCE)
                found = [(place, book.entry(place)) for place in places]
            for place, data in found:
                if data:
                    yield [place, *_told(data)]
            if len(places) < ENTRIES_AT_ONCE:
                return
            after = places[-1]

    def _index(self, account: bytes, name: str, language: str, now_s: int, files: dict[str, Path]) -> str:
        store = self._names.now()
        member = store.person(account)
        known = facts(store, member) if member is not None else {}
        told = {file: (_explain(file), path.stat().st_size) for file, path in sorted(files.items())}
        return self._looks.page(
            "consent/copy.html",
            language,
            lambda words: {"name": name, "known": known, "files": told, "when": words.moment(now_s)},
            "/me/export",
        )


_ENTRY_COLUMNS = ["place", "time", "kind", "what"]


def _told(data: bytes) -> list[object]:
    """Time, kind and contents of an entry as text."""
    parsed = entries.parse(data)
    if isinstance(parsed, SignedEntry):
        when = datetime.fromtimestamp(parsed.entry.time_s, UTC).isoformat()
        return [when, parsed.entry.kind.label, _json(asdict(parsed.entry.body))]
    when = datetime.fromtimestamp(parsed.window_end_s, UTC).isoformat()
    return [when, "mint", _json(asdict(parsed))]


def _json(value: Any) -> str:
    return json.dumps(value, default=lambda part: part.hex() if isinstance(part, bytes) else str(part))


def _explain(file: str) -> str:
    """What a file holds, in a sentence."""
    head = file.partition("-")[0].partition(".")[0]
    return {
        "facts": _("What the association knows of you and your homes now."),
        "history": _("What it knew since when, with the numbers that open the log's commitments."),
        "devices": _("Your meters and plugs."),
        "account": _("Your account and its balance."),
        "readings": _("Every reading of one of your devices."),
        "earned": _("What you earned, claim by claim."),
        "entries": _("The entries of the log that concern you: payments, mints, admissions."),
        "days": _("What one of your homes used and earned, day by day."),
        "pages": _("What these pages keep of you: sign-ins, favourites, codes, drafts."),
    }.get(head, "")
