"""The private store: names, salts and attributes behind the ids and commitments of the log. private.db, mode 0600.

Whoever reads it knows who is who; whoever loses it can no longer open the commitments. names.toml beside it has the
names alone, for `commonwatt ledger show`.
"""

import json
import secrets
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from aggregator.private import legacy, schema
from aggregator.private.file import opened
from aggregator.private.person import SALT_SIZE, Attributes, Person, Record, spell
from commonwatt import files
from commonwatt.errors import StorageError, UserError
from commonwatt.i18n import _
from commonwatt.identity import new_id

FILE = "private.db"


class PrivateStore:
    """Everybody by table and name, with what is known of them now.

    Changes are made in memory; `save` makes them durable, all or none, before anything is admitted under an id that
    only this file explains.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._people: dict[tuple[str, str], Person] = {}
        self._by_id: dict[bytes, Person] = {}
        self._records: dict[bytes, list[Record]] = {}
        self._new_people: list[Person] = []
        self._new_records: list[Record] = []
        before = path.with_name(legacy.FILE)
        if path.exists() and path.stat().st_size:
            self._read()
        elif before.exists():
            for person in legacy.read(before):
                self._add(person)

    def find(self, table: str, name: str) -> Person | None:
        """Who bears a name."""
        return self._people.get((table, name))

    def person(self, identifier: bytes) -> Person | None:
        """Who has an id."""
        return self._by_id.get(identifier)

    def people(self, table: str) -> list[Person]:
        """Everybody of a table, by name."""
        return sorted((row for row in self._people.values() if row.table == table), key=lambda row: row.name)

    def name_of(self, identifier: bytes) -> str:
        """The name behind an id, or the beginning of the id."""
        person = self._by_id.get(identifier)
        return identifier.hex()[:8] if person is None else person.name

    def attributes(self, identifier: bytes) -> dict[str, Any]:
        """What is known of somebody now."""
        records = self._records.get(identifier)
        return records[-1].read() if records else {}

    def records(self, identifier: bytes) -> list[Record]:
        """What was known of somebody since when, the oldest first."""
        return list(self._records.get(identifier, ()))

    def unlogged(self) -> list[tuple[Person, Record]]:
        """Records whose commitment is in no entry of the log, by subject and in their order."""
        return [
            (person, record)
            for person in self._people.values()
            for record in self._records.get(person.id, ())
            if record.place is None and record.salt != person.salt
        ]

    def enrol(
        self, table: str, name: str, identifier: bytes | None, attributes: Attributes | None = None, at_s: int = 0
    ) -> Person:
        """The row of a name. The first time it is made with a fresh salt (and a fresh id unless given), and its
        commitment covers the attributes; later ones go through `amend`."""
        known = self.find(table, name)
        if known is None:
            text = spell(attributes) if attributes else None
            known = Person(table, name, identifier or new_id(), secrets.token_bytes(SALT_SIZE), text)
            self._add(known)
            if text is not None:
                self._record(Record(known.id, at_s, known.salt, text))
        elif identifier not in (None, known.id):
            raise UserError(
                f"{name!r} of {table} was admitted with the id {known.id.hex()}",
                where=self._path,
                to_do="leave the id away, or give the newcomer another name",
            )
        return known

    def amend(self, person: Person, changes: Attributes, *, at_s: int) -> Record | None:
        """Know something else of somebody from now on: what is not named stays, None forgets. None: nothing new."""
        before = self.attributes(person.id)
        after = {key: value for key, value in {**before, **changes}.items() if value is not None}
        if after == before:
            return None
        record = Record(person.id, at_s, secrets.token_bytes(SALT_SIZE), spell(after))
        self._record(record)
        return record

    def note(self, record: Record, place: int) -> None:
        """Remember where the log has the commitment of a record; durable."""
        with opened(self._path) as connection:
            this = schema.record.c.salt == record.salt
            connection.execute(sa.update(schema.record).where(this).values(place=place))
        records = self._records[record.subject]
        records[records.index(record)] = replace(record, place=place)

    def save(self) -> None:
        """Write what is new, and names.toml; durable, readable by their owner only."""
        with opened(self._path) as connection:
            try:
                _insert(connection, schema.subject, [_subject_row(person) for person in self._new_people])
                _insert(connection, schema.record, [asdict(record) for record in self._new_records])
            except sa.exc.IntegrityError as error:
                raise UserError(
                    _("somebody else has just enrolled one of these names or ids"),
                    where=self._path,
                    to_do=_("repeat the command"),
                ) from error
        self._new_people, self._new_records = [], []
        rows = sorted(self._people.values(), key=lambda row: (row.table, row.name))
        _replace(self._path.with_name("names.toml"), "".join(f"{row.id.hex()} = {_text(row.name)}\n" for row in rows))

    def _read(self) -> None:
        with opened(self._path) as connection:
            for row in connection.execute(sa.select(schema.subject)):
                self._index(Person(row.kind, row.name, row.id, row.salt, row.admitted))
            for row in connection.execute(sa.select(schema.record).order_by(schema.record.c.number)):
                record = Record(row.subject, row.at_s, row.salt, row.attributes, row.place)
                self._records.setdefault(record.subject, []).append(record)

    def _add(self, person: Person) -> None:
        self._index(person)
        self._new_people.append(person)

    def _index(self, person: Person) -> None:
        self._people[person.table, person.name] = person
        self._by_id[person.id] = person

    def _record(self, record: Record) -> None:
        self._records.setdefault(record.subject, []).append(record)
        self._new_records.append(record)


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(table), rows)


def _subject_row(person: Person) -> dict[str, Any]:
    row = asdict(person)
    return {"kind": row.pop("table"), **row}


def _text(text: str) -> str:
    """A TOML basic string; JSON's escapes are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _replace(path: Path, text: str) -> None:
    """Put a whole new file in place of the old one."""
    try:
        files.replace(path, text.encode(), mode=0o600)
    except OSError as error:
        raise StorageError(f"cannot be written: {error.strerror}", where=path, to_do="make room") from error
