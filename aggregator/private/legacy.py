"""private.toml, which kept names and salts before there was a database: read once, kept beside it, never written."""

from collections.abc import Iterator
from pathlib import Path

from aggregator.private.person import SALT_SIZE, Person
from commonwatt.errors import UserError
from commonwatt.identity import ID_SIZE
from commonwatt.settings import read_toml

FILE = "private.toml"


def read(path: Path) -> Iterator[Person]:
    """Everybody in the file; UserError names a damaged row."""
    for table, rows in read_toml(path).items():
        for row in rows:
            yield _person(path, table, row)


def _person(path: Path, table: str, row: dict[str, str]) -> Person:
    try:
        person = Person(table, row["name"], bytes.fromhex(row["id"]), bytes.fromhex(row["salt"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"a row of {table} is damaged: {error}", where=path) from error
    if len(person.id) != ID_SIZE or len(person.salt) != SALT_SIZE:
        raise UserError(f"{person.name!r}: an id has 16 bytes, a salt 32", where=path)
    return person
