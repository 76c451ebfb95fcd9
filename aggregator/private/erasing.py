"""Erases people from the private store: their names, what was known of them, their labels and claims. The groups that
totals were told of keep ids, which nothing explains any more."""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from aggregator.private import schema
from aggregator.private.file import opened
from aggregator.private.store import PrivateStore


def erase(private_db: Path, identifiers: Sequence[bytes]) -> int:
    """Delete them for good, whoever or whatever they are; how many had names. Repeating changes nothing."""
    with opened(private_db) as connection:
        connection.execute(sa.text("PRAGMA secure_delete = ON"))
        names = connection.execute(sa.delete(schema.subject).where(schema.subject.c.id.in_(identifiers))).rowcount
        for table, column in ((schema.record, "subject"), (schema.label, "device"), (schema.device_claim, "device")):
            connection.execute(sa.delete(table).where(table.c[column].in_(identifiers)))
    PrivateStore(private_db).save()  # names.toml is written anew
    return names
