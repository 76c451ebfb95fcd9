"""The private store's tables. Times are Unix seconds (civil)."""

import sqlalchemy as sa

from commonwatt.revisions import Revisions

SCHEMA_VERSION = 3
"""The number of the last revision below migrations/versions."""

metadata = sa.MetaData()

meta = sa.Table("meta", metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text))

subject = sa.Table(
    "subject",
    metadata,
    sa.Column("id", sa.LargeBinary, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),  # the roster's table: members, sites, feeders, ...
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("admitted", sa.Text),  # the attributes that the log's commitment covers; none: the name alone
    sa.UniqueConstraint("kind", "name"),
    comment="one row for everybody and everything that has a name, with the salt of its commitment",
)

record = sa.Table(
    "record",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("subject", sa.LargeBinary, nullable=False, index=True),
    sa.Column("at_s", sa.BigInteger, nullable=False),
    sa.Column("salt", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("attributes", sa.Text, nullable=False),  # JSON, all of them as they stood from then on
    sa.Column("place", sa.BigInteger),  # of the entry with its commitment; none: the admission's, or not in the log
    sqlite_autoincrement=True,
    comment="what was known of a subject since when; the last one counts, those before it tell the story",
)

told = sa.Table(
    "told",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("cell", sa.Text, nullable=False),
    sa.Column("start_s", sa.BigInteger, nullable=False),
    sa.Column("end_s", sa.BigInteger, nullable=False, index=True),
    sa.Column("sites", sa.LargeBinary, nullable=False),  # digest of a group
    sa.UniqueConstraint("cell", "start_s", "end_s"),
    sqlite_autoincrement=True,
    comment="whose total was told for which days: no later answer may differ from it by a few",
)

told_group = sa.Table(
    "told_group",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("sites", sa.LargeBinary, nullable=False),  # ids of 16 bytes, ascending
    comment="groups of sites that totals were told of, each once",
)

label = sa.Table(
    "label",
    metadata,
    sa.Column("device", sa.LargeBinary, primary_key=True),
    sa.Column("public_key", sa.LargeBinary, nullable=False),
    sa.Column("code_sha256", sa.LargeBinary, nullable=False),
    sa.Column("expires_s", sa.BigInteger, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("rated_power_w", sa.BigInteger, nullable=False),
    sa.Column("grade", sa.Text, nullable=False),
    comment="devices that were given away: what their labels say, hashed, and what they will be admitted with",
)

device_claim = sa.Table(
    "device_claim",
    metadata,
    sa.Column("device", sa.LargeBinary, primary_key=True),
    sa.Column("signed", sa.LargeBinary, nullable=False),
    sa.Column("gateway", sa.LargeBinary, nullable=False),
    sa.Column("received_s", sa.BigInteger, nullable=False),
    sa.Column("rejected_why", sa.Text),  # none: not rejected
    comment="the newest claim of each device, as its gateway passed it on",
)

SCHEMAS = Revisions("this private store", SCHEMA_VERSION, metadata, "aggregator:private/migrations")
