"""The private store: names and salts behind the ids and commitments of the log. One TOML file, mode 0600.

Whoever reads it knows who is who; whoever loses it can no longer open the commitments. names.toml beside it has the
names alone, for `commonwatt ledger show`.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from commonwatt import cbor, files
from commonwatt.errors import StorageError, UserError
from commonwatt.identity import ID_SIZE, new_id
from commonwatt.settings import read_toml

SALT_SIZE = 32


@dataclass(frozen=True, slots=True)
class Person:
    """One name of one table ("members", "sites", …) with its id and the salt of its commitment."""

    table: str
    name: str
    id: bytes
    salt: bytes

    @property
    def commitment(self) -> bytes:
        """What the log holds: SHA-256 over the salt and CBOR of [table, name]."""
        return hashlib.sha256(self.salt + cbor.encode([self.table, self.name])).digest()


class PrivateStore:
    """Names by table. `save` is durable before anything is admitted under an id that only this file explains."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[tuple[str, str], Person] = {}
        if path.exists():
            for table, rows in read_toml(path).items():
                for row in rows:
                    self._remember(table, row)

    def find(self, table: str, name: str) -> Person | None:
        """Who bears a name."""
        return self._rows.get((table, name))

    def name_of(self, identifier: bytes) -> str:
        """The name behind an id, or the beginning of the id."""
        names = {row.id: row.name for row in self._rows.values()}
        return names.get(identifier, identifier.hex()[:8])

    def enrol(self, table: str, name: str, identifier: bytes | None) -> Person:
        """The row of a name, made with a fresh salt (and a fresh id unless given) the first time."""
        known = self.find(table, name)
        if known is None:
            known = Person(table, name, identifier or new_id(), secrets.token_bytes(SALT_SIZE))
            self._rows[table, name] = known
        elif identifier not in (None, known.id):
            raise UserError(
                f"{name!r} of {table} was admitted with the id {known.id.hex()}",
                where=self._path,
                to_do="leave the id away, or give the newcomer another name",
            )
        return known

    def save(self) -> None:
        """Write both files, durable, readable by their owner only."""
        rows = sorted(self._rows.values(), key=lambda row: (row.table, row.name))
        private = [
            f'[[{row.table}]]\nname = {_text(row.name)}\nid = "{row.id.hex()}"\nsalt = "{row.salt.hex()}"\n'
            for row in rows
        ]
        _replace(self._path, "# Names and salts. Keep this file private, and keep a copy.\n\n" + "\n".join(private))
        names = [f"{row.id.hex()} = {_text(row.name)}\n" for row in rows]
        _replace(self._path.with_name("names.toml"), "".join(names))

    def _remember(self, table: str, row: dict[str, str]) -> None:
        try:
            person = Person(table, row["name"], bytes.fromhex(row["id"]), bytes.fromhex(row["salt"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"a row of {table} is damaged: {error}", where=self._path) from error
        if len(person.id) != ID_SIZE or len(person.salt) != SALT_SIZE:
            raise UserError(f"{person.name!r}: an id has 16 bytes, a salt 32", where=self._path)
        self._rows[table, person.name] = person


def _text(text: str) -> str:
    """A TOML basic string; JSON's escapes are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _replace(path: Path, text: str) -> None:
    """Put a whole new file in place of the old one."""
    try:
        files.replace(path, text.encode(), mode=0o600)
    except OSError as error:
        raise StorageError(f"cannot be written: {error.strerror}", where=path, to_do="make room") from error
