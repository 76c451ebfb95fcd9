"""A ledger in a PostgreSQL database: one session writes, and an advisory lock keeps every other one out.

The lock belongs to the session, so it ends with it and with nothing else. It passes no pooler: connect directly.
"""

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.pool import StaticPool

from commonwatt.errors import InUseError, StorageError

DRIVER = "postgresql+psycopg"
CONNECT_S = 10
UNANSWERED_MS_MAX = 30_000
"""How long sent bytes may stay unconfirmed by the other host before the connection counts as lost."""

LOCK_WAIT_MS = 2_000
"""How long to wait for the lock: the session of a process that was killed ends a moment after it."""
SILENCE_S = 30
"""The server asks a silent client after this time whether it still lives; a dead host's lock is free soon after."""

_LOCK = sa.text("SELECT pg_advisory_lock(:ours, hashtext(current_schema()))")
_OURS = (
    0x4357  # "CW": the first half of the lock's name; the second is the schema, so that a database can hold several
)


class PostgresDatabase:
    """The database behind a URL; a password belongs into ~/.pgpass rather than into the URL."""

    def __init__(self, url: sa.URL) -> None:
        self.where: object = url.render_as_string(hide_password=True)
        options = {"connect_timeout": CONNECT_S, "tcp_user_timeout": UNANSWERED_MS_MAX}
        # paramstyle "format": the store hands the driver rows as they are.
        self._engine = sa.create_engine(
            url.set(drivername=DRIVER), poolclass=StaticPool, paramstyle="format", connect_args=options
        )

    def connect(self, *, is_new: bool) -> sa.Connection:
        """Open the session; a server that may lose commits is refused."""
        connection = self._engine.connect()
        with connection.begin():
            for setting in ("fsync", "synchronous_commit"):
                if connection.scalar(sa.text(f"SHOW {setting}")) == "off":
                    raise StorageError(
                        f"this server runs with {setting} = off: it may lose what it has acknowledged",
                        where=self.where,
                        to_do=f"set {setting} = on in its configuration",
                    )
            connection.exec_driver_sql(f"SET tcp_keepalives_idle = {SILENCE_S}")
        return connection

    def read_only(self) -> sa.Engine:
        """For those who look while others write: sessions of their own, each transaction one moment of it all."""
        options = {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
        return self._engine.execution_options(**options)

    def close(self) -> None:
        """Give the database back."""
        self._engine.dispose()

    def lock(self, connection: sa.Connection) -> None:
        """Take the advisory lock of this schema."""
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}")
        connection.execute(_LOCK, {"ours": _OURS})
        connection.exec_driver_sql("SET LOCAL lock_timeout = DEFAULT")

    def put_aside(self, connection: sa.Connection, name: str) -> None:
        """No copy: an upgrade is one transaction, and the server's own backups are another's task (pg_dump)."""

    def scrub(self, connection: sa.Connection) -> None:
        """Write the entries anew."""
        self.write_anew(connection, "piece")

    def write_anew(self, connection: sa.Connection, *tables: str) -> None:
        """Outside transactions: leave nothing of deleted rows in the files of these tables. Needs room for copies;
        the server's own write-ahead log and backups are its administrator's."""
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        driver.autocommit = True
        try:
            for table in tables:
                driver.execute(sql.SQL("VACUUM FULL {}").format(sql.Identifier(table)))
        except psycopg.Error as error:
            raise StorageError(
                f"what was deleted may still lie in the files: {error}",
                where=self.where,
                to_do="make room for a second copy and repeat",
            ) from error
        finally:
            driver.autocommit = False

    def explained(self, error: sa.exc.SQLAlchemyError) -> StorageError:
        """By PostgreSQL's own codes."""
        cause = getattr(error, "orig", None)
        if isinstance(cause, psycopg.errors.LockNotAvailable):
            what, to_do = "the ledger is open in another process", "stop the aggregator first, or wait for it"
            return InUseError(what, where=self.where, to_do=to_do)
        if isinstance(cause, psycopg.errors.DiskFull):
            what, to_do = "the disk is full", "make room and start again; nothing is lost"
        else:
            first_line = str(cause or error).partition("\n")[0]
            what, to_do = f"the database failed: {first_line}", "mend it and start again; nothing is half done"
        return StorageError(what, where=self.where, to_do=to_do)
