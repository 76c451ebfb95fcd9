"""Brings a database to the schema of this version: all revisions in one transaction, or none.

`meta.schema` says which schema a database has (every version reads it and refuses one of the future);
`alembic_version` says the same to alembic, which is imported only when there is something to do.
"""

import logging

import sqlalchemy as sa

from commonwatt.errors import StorageError
from ledger.store.schema import SCHEMA, meta, metadata

log = logging.getLogger(__name__)

_stamps = sa.MetaData()
_stamp = sa.Table(
    "alembic_version",
    _stamps,
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def create(connection: sa.Connection) -> None:
    """Make the tables of this version in an empty database."""
    metadata.create_all(connection)
    connection.execute(sa.insert(meta).values(name="schema", value=str(SCHEMA)))
    _stamp_as(connection, SCHEMA)


def version_of(connection: sa.Connection, where: object) -> int:
    """Which schema a database has; StorageError if it is none, or one that only a later version reads."""
    found = connection.execute(sa.select(meta.c.value).where(meta.c.name == "schema")).scalar()
    if found is None or not found.isdecimal() or not 1 <= int(found) <= SCHEMA:
        raise StorageError(
            f"this ledger has schema {found}, we read {SCHEMA}",
            where=where,
            to_do="install the version of commonwatt that wrote it",
        )
    return int(found)


def upgrade(connection: sa.Connection, found: int) -> None:
    """Run the revisions after schema `found`, inside the connection's transaction."""
    # The first version knew nothing of alembic.
    if not sa.inspect(connection).has_table(_stamp.name):
        _stamp_as(connection, found)
    if found == SCHEMA:
        return
    from alembic import command
    from alembic.config import Config

    log.warning("upgrading the ledger's database from schema %d to %d", found, SCHEMA)
    config = Config()
    config.set_main_option("script_location", "ledger.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision(SCHEMA))
    connection.execute(sa.update(meta).where(meta.c.name == "schema").values(value=str(SCHEMA)))


def revision(schema: int) -> str:
    """How alembic names the revision that leads to a schema."""
    return f"{schema:04d}"


def _stamp_as(connection: sa.Connection, schema: int) -> None:
    _stamps.create_all(connection)
    connection.execute(sa.insert(_stamp).values(version_num=revision(schema)))
