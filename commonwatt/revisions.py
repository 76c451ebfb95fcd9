"""Brings a database to the schema of this version: all revisions in one transaction, or none.

A table `meta` says which schema a database has: every version reads it, and refuses one of the future. Alembic's own
table says the same to alembic, which is imported only when there is something to do.
"""

import logging
from dataclasses import dataclass

import sqlalchemy as sa

from commonwatt.errors import StorageError, UserError

log = logging.getLogger(__name__)

_stamps = sa.MetaData()
_stamp = sa.Table(
    "alembic_version",
    _stamps,
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


@dataclass(frozen=True, slots=True)
class Revisions:
    """The schemas of one kind of database, 1 to `newest`.

    `what`: as people call it ("this ledger"). `metadata`: the tables of the newest schema, `meta` (columns `name` and
    `value`) among them. `scripts`: alembic's folder, as "package:folder"; revision "0002" leads to schema 2. `error`:
    what a database that we do not read is answered with.
    """

    what: str
    newest: int
    metadata: sa.MetaData
    scripts: str
    error: type[StorageError] | type[UserError] = StorageError

    @property
    def _meta(self) -> sa.Table:
        return self.metadata.tables["meta"]

    def create(self, connection: sa.Connection) -> None:
        """Make the tables of this version in an empty database."""
        self.metadata.create_all(connection)
        connection.execute(sa.insert(self._meta).values(name="schema", value=str(self.newest)))
        _stamp_as(connection, self.newest)

    def version_of(self, connection: sa.Connection, where: object) -> int:
        """Which schema a database has; `error` if it is none, or one that only a later version reads."""
        meta = self._meta.c
        found = connection.scalar(sa.select(meta.value).where(meta.name == "schema"))
        if found is None or not found.isdecimal() or not 1 <= int(found) <= self.newest:
            raise self.error(
                f"{self.what} has schema {found}, we read {self.newest}",
                where=where,
                to_do="install the version of commonwatt that wrote it",
            )
        return int(found)

    def is_empty(self, connection: sa.Connection) -> bool:
        """Whether nothing was made in a database yet."""
        return not sa.inspect(connection).has_table(self._meta.name)

    def upgrade(self, connection: sa.Connection, found: int) -> None:
        """Run the revisions after schema `found`, inside the connection's transaction."""
        if not sa.inspect(connection).has_table(_stamp.name):
            _stamp_as(connection, found)  # the first version knew nothing of alembic
        if found == self.newest:
            return
        from alembic import command
        from alembic.config import Config

        log.warning("%s: upgrading the database from schema %d to %d", self.what, found, self.newest)
        config = Config()
        config.set_main_option("script_location", self.scripts)
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision(self.newest))
        connection.execute(sa.update(self._meta).where(self._meta.c.name == "schema").values(value=str(self.newest)))


def revision(schema: int) -> str:
    """How alembic names the revision that leads to a schema."""
    return f"{schema:04d}"


def _stamp_as(connection: sa.Connection, schema: int) -> None:
    _stamps.create_all(connection)
    connection.execute(sa.insert(_stamp).values(version_num=revision(schema)))
