"""Everything that web.db has of one person, whatever table it stands in: for the copy that they may ask for, and to
be erased. A new table is in it by itself: every row counts that names their account or login; and where a row names
nobody, their address, unless others sign in with it too."""

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from web.store import schema
from web.store.schema import metadata

_SECRETS = ("token_sha256",)
"""What is not handed over: whoever has the copy could otherwise see which link was whose."""

_NAMES_SOMEBODY, _ADDRESSES = ("login", "subject"), ("email", "recipient")


def ids(connection: sa.Connection, account: bytes) -> set[bytes]:
    """The account, and the login that it signs in with."""
    login = connection.scalar(sa.select(schema.login.c.id).where(schema.login.c.subject == account))
    return {account} if login is None else {account, login}


def rows(connection: sa.Connection, account: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with its table; bytes as hexadecimal."""
    theirs, email = ids(connection, account), _email(connection, account)
    for table in metadata.sorted_tables:
        where = _is_of(table, theirs, email)
        if where is not None:
            for row in connection.execute(sa.select(table).where(where)).mappings():
                yield table.name, {key: _text(value) for key, value in row.items() if key not in _SECRETS}


def erase(connection: sa.Connection, account: bytes) -> int:
    """Delete each; how many."""
    theirs, email = ids(connection, account), _email(connection, account)
    drafts = connection.execute(sa.select(schema.draft.c.id).where(schema.draft.c.about == account)).scalars().all()
    deleted = 0
    for table in metadata.sorted_tables:
        where = _is_of(table, {*theirs, *drafts}, email)
        if where is not None:
            deleted += connection.execute(sa.delete(table).where(where)).rowcount
    return deleted


def _is_of(table: sa.Table, theirs: Iterable[bytes], email: str | None) -> sa.ColumnElement[bool] | None:
    found: list[sa.ColumnElement[bool]] = [
        column.in_(list(theirs)) for column in table.c if isinstance(column.type, sa.LargeBinary)
    ]
    if email:
        named = (column for column in table.c if isinstance(column.type, sa.LargeBinary))
        is_nobodys = [column.is_(None) for column in named if column.name in _NAMES_SOMEBODY]
        addresses = (column for column in table.c if column.name in _ADDRESSES)
        found += [sa.and_(sa.func.lower(column) == email, *is_nobodys) for column in addresses]
    return sa.or_(*found) if found else None


def _email(connection: sa.Connection, account: bytes) -> str | None:
    """Their address in small letters; None: they have none, or share it."""
    found: str | None = connection.scalar(sa.select(schema.login.c.email).where(schema.login.c.subject == account))
    is_it = sa.func.lower(schema.login.c.email) == (found or "").lower()
    sharing = connection.scalar(sa.select(sa.func.count()).select_from(schema.login).where(is_it))
    return found.lower() if found and sharing == 1 else None


def _text(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
