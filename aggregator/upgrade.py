"""The schemas of the aggregator's database (commonwatt/revisions.py)."""

from aggregator.schema import SCHEMA_VERSION, metadata
from commonwatt.errors import UserError
from commonwatt.revisions import Revisions

SCHEMAS = Revisions("this database", SCHEMA_VERSION, metadata, "aggregator:migrations", UserError)
