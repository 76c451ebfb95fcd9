"""What the two engines do differently: open, lock, copy, explain what failed. Everything else is one code path."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa

from commonwatt.errors import StorageError, UserError

if TYPE_CHECKING:
    from ledger.store.postgres import PostgresDatabase


class Engine(Protocol):
    """One database of one ledger. `where`: how messages name it, without a password."""

    where: object

    def connect(self, *, is_new: bool) -> sa.Connection:
        """Open the one connection; transactions begin when they are asked for. SQLAlchemyError or StorageError."""

    def close(self) -> None:
        """Give the database back."""

    def lock(self, connection: sa.Connection) -> None:
        """Keep every other process out until the connection closes; StorageError if one is in already."""

    def put_aside(self, connection: sa.Connection, name: str) -> None:
        """Keep a copy before the schema changes, where the engine can; StorageError if it cannot just now."""

    def scrub(self, connection: sa.Connection) -> None:
        """Outside transactions: overwrite or release what deleted and changed rows left in the files."""

    def explained(self, error: sa.exc.SQLAlchemyError) -> StorageError:
        """What failed, in words, and what to do."""


def engine_for(url: str, *, pages_max: int | None = None) -> Engine:
    """The engine of a URL, sqlite:///… or postgresql://…; UserError for any other.

    `pages_max` limits an SQLite file (4,096-byte pages); None: the disk is the limit.
    """
    place = place_of(url, "a ledger cannot lie there")
    if isinstance(place, Path):
        from ledger.store.sqlite import SqliteFile

        return SqliteFile(place, pages_max=pages_max)
    return postgres(place)


def place_of(url: str, refusal: str) -> Path | sa.URL:
    """Where a URL leads: an SQLite file or a PostgreSQL database. UserError for any other, in the words of `refusal`;
    no message shows a password."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise UserError("not a database URL", where=url, to_do=_TO_DO) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database:
        return Path(parsed.database)
    if backend in ("postgresql", "postgres"):
        return parsed
    raise UserError(refusal, where=parsed.render_as_string(hide_password=True), to_do=_TO_DO)


def postgres(url: sa.URL) -> "PostgresDatabase":
    """The database behind a URL; UserError where its driver is not installed."""
    try:
        from ledger.store.postgres import PostgresDatabase
    except ModuleNotFoundError as error:
        raise UserError(
            f"PostgreSQL needs the package {error.name}, which is not installed",
            to_do="pip install 'commonwatt[postgres]'",
        ) from error
    return PostgresDatabase(url)


_TO_DO = "write sqlite:///PATH or postgresql://USER@HOST/DATABASE"
