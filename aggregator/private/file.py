"""private.db as a file: one transaction at a time, readable by its owner only."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from aggregator.private import schema
from commonwatt import sqlite
from commonwatt.errors import StorageError
from commonwatt.i18n import _

BUSY_S = 5.0
"""How long another command may hold the file before we give up: each holds it for milliseconds."""


@contextmanager
def opened(path: Path) -> Iterator[sa.Connection]:
    """One transaction on the store, made first if it is not there; StorageError explains what fails."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        # A rollback journal: several short-lived commands write here, and SQLite's WAL wants one writer (sqlite.py).
        engine = sqlite.engine(
            f"sqlite:///{path}", busy_s=BUSY_S, is_exclusive=False, pages_max=None, journal_mode="DELETE"
        )
        try:
            with engine.begin() as connection:
                _make_ready(connection, path)
                yield connection
        finally:
            engine.dispose()
    except (OSError, sa.exc.DatabaseError) as error:
        cause = str(getattr(error, "orig", None) or error)
        raise StorageError(
            _("the private store failed: {cause}").format(cause=cause),
            where=path,
            to_do=_("end the other command, make room, or put the backup of this file back"),
        ) from error


def _make_ready(connection: sa.Connection, path: Path) -> None:
    if schema.SCHEMAS.is_empty(connection):
        schema.SCHEMAS.create(connection)
    found = schema.SCHEMAS.version_of(connection, path)
    if found < schema.SCHEMA_VERSION:
        schema.SCHEMAS.upgrade(connection, found)
