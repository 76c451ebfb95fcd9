"""A ledger in an SQLite file, held exclusively through one connection that writes and checkpoints alone."""

from pathlib import Path

import sqlalchemy as sa

from commonwatt import sqlite
from commonwatt.errors import StorageError

IN_USE = "the ledger is open in another process", "stop the aggregator first, or wait for it"


class SqliteFile(sqlite.SqliteFile):
    """The file; whoever can write it can spoil the ledger, but not without the log and its witnesses showing it."""

    def __init__(self, path: Path, *, pages_max: int | None = None) -> None:
        # busy_s 0: a second process must be told at once, not after it has waited for the first to end.
        super().__init__(path, in_use=IN_USE, busy_s=0, is_exclusive=True, pages_max=pages_max)

    def connect(self, *, is_new: bool) -> sa.Connection:
        """Open the file; an old one must be there, so that a wrong path makes none."""
        if not is_new and not self.path.exists():
            raise StorageError("there is no ledger here", where=self.path, to_do="name the right directory")
        return self.open()

    def lock(self, connection: sa.Connection) -> None:
        """Nothing to do: in exclusive mode the first transaction takes the lock and keeps it."""
