"""web.db as a file: readable by its owner only, one transaction at a time, from many threads and from commands."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from commonwatt import sqlite
from commonwatt.errors import StorageError
from commonwatt.i18n import _
from web.store.schema import SCHEMA_VERSION, SCHEMAS

FILE = "web.db"
BUSY_S = 5.0
"""How long a command may hold the file before a page gives up: each holds it for milliseconds."""


class WebStore:
    """The open store of a commune's directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._lock = threading.Lock()
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise self._failed(error.strerror or str(error)) from error
        # A rollback journal: commands write here beside the pages, and SQLite's WAL wants one writer (sqlite.py).
        self._engine = sqlite.engine(
            f"sqlite:///{self._path}", busy_s=BUSY_S, is_exclusive=False, pages_max=None, journal_mode="DELETE"
        )
        with self.transaction() as connection:
            if SCHEMAS.is_empty(connection):
                SCHEMAS.create(connection)
            found = SCHEMAS.version_of(connection, self._path)
            if found < SCHEMA_VERSION:
                SCHEMAS.upgrade(connection, found)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """One transaction, durable when it ends without an exception. StorageError explains what fails."""
        with self._lock:
            try:
                with self._engine.begin() as connection:
                    yield connection
            except sa.exc.IntegrityError:
                raise
            except sa.exc.DatabaseError as error:
                raise self._failed(str(error.orig)) from error

    def close(self) -> None:
        """Give the file back."""
        self._engine.dispose()

    def _failed(self, cause: str) -> StorageError:
        return StorageError(
            _("the store of the pages failed: {cause}").format(cause=cause),
            where=self._path,
            to_do=_("make room, end the other command, or put the backup of this file back"),
        )
