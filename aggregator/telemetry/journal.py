"""telemetry.db: points that are on their way, in the order in which they were made, with the cursors behind them.

A point that is in here is not lost: it goes when the server has taken it. Everything in this file follows from the
books or describes a moment, so that it can be deleted at any time; the points of the books are then written again,
over themselves.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from aggregator.sql import conflict_insert
from commonwatt import sqlite
from commonwatt.errors import StorageError
from commonwatt.i18n import _

FILE = "telemetry.db"
BUSY_S = 5.0
"""How long a command may hold the file before we give up: it holds it for milliseconds."""
SCHEMA_VERSION = 1

_metadata = sa.MetaData()
_point = sa.Table(
    "point",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("line", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
_aside = sa.Table(
    "aside",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at_s", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("says", sa.Text, nullable=False),
    sa.Column("line", sa.Text, nullable=False),
)
_mark = sa.Table(
    "mark", _metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Integer, nullable=False)
)
_total = sa.Table(
    "total",
    _metadata,
    sa.Column("start_s", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("cell", sa.Text, primary_key=True),
    sa.Column("figures", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A line that waits for the server."""

    id: int
    line: str


@dataclass(frozen=True, slots=True)
class Aside:
    """A line that the server does not take. `at_s`: civil time; `says`: the server's words."""

    id: int
    at_s: int
    reason: str
    says: str
    line: str


@dataclass(frozen=True, slots=True)
class Transaction:
    """What may be done to the journal at once: all of it or nothing is durable afterwards."""

    _connection: sa.Connection

    def marks(self) -> dict[str, int]:
        """Cursors and counters by name."""
        return {row.name: row.value for row in self._connection.execute(sa.select(_mark))}

    def set_marks(self, marks: Mapping[str, int]) -> None:
        """Put cursors forward."""
        statement = conflict_insert(_mark)
        fresh = statement.on_conflict_do_update(
            index_elements=[_mark.c.name], set_={"value": statement.excluded.value}
        )
        self._many(fresh, [{"name": name, "value": value} for name, value in marks.items()])

    def count(self, increments: Mapping[str, int]) -> None:
        """Add to counters."""
        statement = conflict_insert(_mark)
        adding = statement.on_conflict_do_update(
            index_elements=[_mark.c.name], set_={"value": _mark.c.value + statement.excluded.value}
        )
        self._many(adding, [{"name": name, "value": value} for name, value in increments.items() if value])

    def add(self, lines: Iterable[str]) -> None:
        """Lines to be written after all that are here."""
        self._many(sa.insert(_point), [{"line": line} for line in lines])

    def next(self, count: int) -> list[Waiting]:
        """The lines that wait longest."""
        rows = self._connection.execute(sa.select(_point).order_by(_point.c.id).limit(count))
        return [Waiting(row.id, row.line) for row in rows]

    def waiting(self) -> int:
        """How many lines wait."""
        return self._connection.scalar(sa.select(sa.func.count()).select_from(_point)) or 0

    def remove(self, rows: Sequence[Waiting]) -> None:
        """Lines that need not be written any more."""
        self._many(sa.delete(_point).where(_point.c.id == sa.bindparam("row")), [{"row": row.id} for row in rows])

    def set_aside(self, row: Waiting, reason: str, says: str, at_s: int) -> None:
        """A line that the server will never take."""
        self._connection.execute(sa.insert(_aside), {"at_s": at_s, "reason": reason, "says": says, "line": row.line})
        self.remove([row])

    def aside(self) -> list[Aside]:
        """What was set aside, the oldest first."""
        rows = self._connection.execute(sa.select(_aside).order_by(_aside.c.id))
        return [Aside(row.id, row.at_s, row.reason, row.says, row.line) for row in rows]

    def aside_by_reason(self) -> dict[str, int]:
        """How many lines are set aside now."""
        count = sa.select(_aside.c.reason, sa.func.count()).group_by(_aside.c.reason)
        return dict(self._connection.execute(count).all())

    def put_back(self) -> int:
        """Let everything that was set aside be tried again; how many lines."""
        lines = [row.line for row in self.aside()]
        self.add(lines)
        self._connection.execute(sa.delete(_aside))
        return len(lines)

    def keep_total(self, start_s: int, cell: str, figures: Mapping[str, int]) -> None:
        """What was told of a cell's interval, until its day is summed up."""
        row = {"start_s": start_s, "cell": cell, "figures": json.dumps(figures)}
        statement = conflict_insert(_total)
        self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=[_total.c.start_s, _total.c.cell], set_={"figures": statement.excluded.figures}
            ),
            row,
        )

    def totals(self, start_s: int, end_s: int) -> dict[str, dict[int, dict[str, int]]]:
        """By cell the figures of the intervals of `[start_s, end_s)`, by when they begin, in order."""
        is_it = sa.and_(_total.c.start_s >= start_s, _total.c.start_s < end_s)
        found: dict[str, dict[int, dict[str, int]]] = {}
        for row in self._connection.execute(sa.select(_total).where(is_it).order_by(_total.c.start_s)):
            found.setdefault(row.cell, {})[row.start_s] = json.loads(row.figures)
        return found

    def forget_totals(self, end_s: int) -> None:
        """Days before this are summed up."""
        self._connection.execute(sa.delete(_total).where(_total.c.start_s < end_s))

    def _many(self, statement: sa.Executable, rows: Sequence[Mapping[str, object]]) -> None:
        if rows:
            self._connection.execute(statement, rows)


class Journal:
    """The open file, for `with`; used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # A rollback journal: commands write here while the aggregator runs, and SQLite's WAL wants one writer.
        self._engine = sqlite.engine(
            f"sqlite:///{path}", busy_s=BUSY_S, is_exclusive=False, pages_max=None, journal_mode="DELETE"
        )
        with self._explained(), self._engine.begin() as connection:
            found = connection.exec_driver_sql("PRAGMA user_version").scalar()
            if found not in (0, SCHEMA_VERSION):
                raise StorageError(
                    _("this journal of telemetry is of another version ({found})").format(found=found),
                    where=path,
                    to_do=_("delete it: what follows from the books is written again"),
                )
            _metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All or nothing, durable when the block has ended. StorageError if the file fails."""
        with self._explained(), self._engine.begin() as connection:
            yield Transaction(connection)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise StorageError(
                _("the journal of telemetry failed: {cause}").format(cause=getattr(error, "orig", None) or error),
                where=self._path,
                to_do=_("make room on the disk; the books are not concerned"),
            ) from error
