"""The private store for pages, read again only when somebody wrote to it: names, places and consents."""

import threading
from dataclasses import dataclass
from pathlib import Path

from aggregator.commune.directory import CommuneDirectory
from aggregator.commune.places import Places
from aggregator.private.store import PrivateStore
from commonwatt.i18n import _
from ledger.book.units import holder_of

MEMBERS, MERCHANTS = "members", "merchants"
TABLES = (MEMBERS, MERCHANTS, "associations")
"""Of the private store, those whose rows have accounts."""


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody with an account."""

    account: bytes
    name: str
    table: str

    @property
    def is_shop(self) -> bool:
        """Whether it is a merchant: they are listed, members are found if they agreed."""
        return self.table == MERCHANTS


class Names:
    """Names as they are now, for many threads. Who wants to write opens a store of their own."""

    def __init__(self, directory: Path) -> None:
        self._path = CommuneDirectory(directory).private_db
        self._lock = threading.Lock()
        self._read: tuple[tuple[int, int], PrivateStore] | None = None
        self._places: tuple[PrivateStore, Places] | None = None
        self._everybody: tuple[PrivateStore, dict[bytes, Named]] | None = None

    def now(self) -> PrivateStore:
        """The store; nobody changes it."""
        with self._lock:
            version = self._version()
            if self._read is None or self._read[0] != version:
                self._read = version, PrivateStore(self._path)
            return self._read[1]

    def places(self) -> Places:
        """Where everything lies."""
        store = self.now()
        with self._lock:
            if self._places is None or self._places[0] is not store:
                self._places = store, Places.of(store)
            return self._places[1]

    def of(self, account: bytes) -> str:
        """The name of an account's holder; of somebody who is not known here, the beginning of the id."""
        found = self.everybody().get(holder_of(account))
        return found.name if found is not None else self.unnamed(account)

    @staticmethod
    def unnamed(account: bytes) -> str:
        """Instead of a name."""
        return _("account {id}").format(id=account.hex()[:8])

    def everybody(self) -> dict[bytes, Named]:
        """Everybody with an account."""
        store = self.now()
        with self._lock:
            if self._everybody is None or self._everybody[0] is not store:
                rows = [Named(row.id, row.name, table) for table in TABLES for row in store.people(table)]
                self._everybody = store, {row.account: row for row in rows}
            return self._everybody[1]

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self._path

    def _version(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return found.st_mtime_ns, found.st_size
