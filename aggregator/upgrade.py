"""Brings a database to the schema of this version: all revisions in one transaction, or none.

`meta.schema` says which schema a database has; alembic's own table says the same to alembic, which is imported only
when there is something to do. Before it changes a file is copied to `aggregator.db.schema-N`.
"""

import logging

import sqlalchemy as sa

from aggregator.schema import SCHEMA_VERSION, meta, metadata
from commonwatt.errors import UserError

log = logging.getLogger(__name__)

_stamps = sa.MetaData()
_stamp = sa.Table(
    "alembic_version",
    _stamps,
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def version_of(connection: sa.Connection, where: object) -> int | None:
    """Which schema a database has, None if it is empty; UserError if only a later version reads it."""
    if not sa.inspect(connection).has_table(meta.name):
        return None
    found = connection.scalar(sa.select(meta.c.value).where(meta.c.name == "schema"))
    if found is None or not found.isdecimal() or not 1 <= int(found) <= SCHEMA_VERSION:
        raise UserError(
            f"this database has schema {found}, we read {SCHEMA_VERSION}",
            where=where,
            to_do="install the version of commonwatt that wrote it",
        )
    return int(found)


def create(connection: sa.Connection) -> None:
    """Make the tables of this version in an empty database."""
    metadata.create_all(connection)
    connection.execute(sa.insert(meta).values(name="schema", value=str(SCHEMA_VERSION)))
    _stamp_as(connection, SCHEMA_VERSION)


def upgrade(connection: sa.Connection, found: int) -> None:
    """Run the revisions after schema `found`, inside the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    if not sa.inspect(connection).has_table(_stamp.name):
        _stamp_as(connection, found)  # the first version knew nothing of alembic
    log.warning("upgrading the aggregator's database from schema %d to %d", found, SCHEMA_VERSION)
    config = Config()
    config.set_main_option("script_location", "aggregator:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision(SCHEMA_VERSION))
    connection.execute(sa.update(meta).where(meta.c.name == "schema").values(value=str(SCHEMA_VERSION)))


def revision(schema: int) -> str:
    """How alembic names the revision that leads to a schema."""
    return f"{schema:04d}"


def _stamp_as(connection: sa.Connection, schema: int) -> None:
    _stamps.create_all(connection)
    connection.execute(sa.insert(_stamp).values(version_num=revision(schema)))
