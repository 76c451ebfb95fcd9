"""The schemas of a ledger's database (commonwatt/revisions.py)."""

from commonwatt.revisions import Revisions
from ledger.store.schema import SCHEMA, metadata

SCHEMAS = Revisions("this ledger", SCHEMA, metadata, "ledger.store:migrations")
