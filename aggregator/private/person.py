"""Whoever or whatever has a name, what is known of it, and the commitments that the log holds instead. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from commonwatt import cbor

SALT_SIZE = 32

Attributes = Mapping[str, Any]
"""What is known of somebody, as JSON has it: texts, numbers, and one level of them below a name."""


@dataclass(frozen=True, slots=True)
class Person:
    """One name of one table ("members", "sites", …) with its id and the salt of its commitment.

    `admitted`: the attributes that the commitment covers, as JSON; none: it covers the name alone.
    """

    table: str
    name: str
    id: bytes
    salt: bytes
    admitted: str | None = None

    @property
    def commitment(self) -> bytes:
        """What the log holds: SHA-256 over the salt and CBOR of [table, name] or [table, name, attributes]."""
        return _commitment(self, self.salt, self.admitted)


@dataclass(frozen=True, slots=True)
class Record:
    """The attributes of a subject since a civil second, with the salt of their own commitment. `place`: of the log's
    entry with that commitment; none: the admission has it, or no entry does."""

    subject: bytes
    at_s: int
    salt: bytes
    attributes: str
    place: int | None = None

    def commitment(self, person: Person) -> bytes:
        """What the log holds of this change: SHA-256 over the salt and CBOR of [table, name, attributes]."""
        return _commitment(person, self.salt, self.attributes)

    def read(self) -> dict[str, Any]:
        """The attributes."""
        value: dict[str, Any] = json.loads(self.attributes)
        return value


def spell(attributes: Attributes) -> str:
    """The one JSON spelling of attributes, which commitments are made over."""
    return json.dumps(attributes, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _commitment(person: Person, salt: bytes, attributes: str | None) -> bytes:
    content = [person.table, person.name, *([] if attributes is None else [attributes])]
    return hashlib.sha256(salt + cbor.encode(content)).digest()
