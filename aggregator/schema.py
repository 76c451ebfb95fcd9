"""The aggregator's tables. `evidence_page`, `conflict`, `closing`, `claim_page`, `held`, `line_page` and `number` are
read by judges and auditors: their columns keep their meaning. Times are Unix seconds (civil), energies whole Wh,
amounts milli-credits.
"""

import sqlalchemy as sa

SCHEMA_VERSION = 10
"""The number of the last revision below migrations/versions."""

metadata = sa.MetaData()

# SQLite gives numbers by itself to an INTEGER PRIMARY KEY only.
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _time(name: str, *, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(name, _ID, primary_key=primary_key, nullable=False, autoincrement=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _bytes(name: str, *, primary_key: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, primary_key=primary_key, nullable=False)


meta = sa.Table("meta", metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text))

evidence_page = sa.Table(
    "evidence_page",
    metadata,
    sa.Column("page", _ID, primary_key=True, autoincrement=True),
    sa.Column("day", sa.BigInteger),  # civil days (UTC) since 1970; none: not laid by day yet
    _number("level"),
    _bytes("first_device"),
    _bytes("last_device"),
    _number("start_s_min"),
    _number("start_s_max"),
    _number("end_s_max"),
    _number("id_min"),
    _number("id_max"),
    _number("blocks"),
    _bytes("places"),
    _bytes("sha256"),
    sa.Column("signed", sa.LargeBinary),  # none: every block of it was deleted
    sa.Index("evidence_page_by_start", "start_s_min", "start_s_max", "first_device", "last_device"),
    sa.Index("evidence_page_by_id", "id_max", "id_min"),
    sa.Index("evidence_page_by_level", "day", "level"),
    sqlite_autoincrement=True,
    comment="accepted blocks exactly as received, many a row (docs/spec/evidence.md)",
)

conflict = sa.Table(
    "conflict",
    metadata,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    _bytes("device"),
    _number("seq"),
    _bytes("sha256"),
    _number("received_s"),
    _bytes("signed"),
    sa.Column("evidence_id", sa.BigInteger),  # the block it contradicts; none: its own beginning
    sa.UniqueConstraint("device", "sha256"),
    sqlite_autoincrement=True,
    comment="blocks that tell a second history; from then on the device is frozen",
)

head_page = sa.Table(
    "head_page",
    metadata,
    _time("page", primary_key=True),
    _number("id_max"),
    _bytes("device"),
    _bytes("seq"),
    _bytes("link"),
    _bytes("latest_s"),
    comment="how far chains were at a block's id, 1,024 devices a row; evidence after it says the rest",
)

gap = sa.Table(
    "gap",
    metadata,
    _bytes("device", primary_key=True),
    _time("first_seq", primary_key=True),
    _number("last_seq"),
    sqlite_with_rowid=False,
    comment="blocks that are missing from the chains of devices, below their highest",
)

number = sa.Table(
    "number",
    metadata,
    _time("number", primary_key=True),
    _bytes("id"),
    sa.UniqueConstraint("id"),
    comment="short numbers of devices and accounts, from 0, as pages name them (docs/spec/pages.md)",
)

reading_page = sa.Table(
    "reading_page",
    metadata,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    _number("time_s"),
    _bytes("columns"),
    sa.Index("reading_page_by_time", "time_s"),
    sqlite_autoincrement=True,
    comment="readings of one time that wait for their interval to close, one page a commit",
)

past_page = sa.Table(
    "past_page",
    metadata,
    _time("time_s", primary_key=True),
    _time("chunk", primary_key=True),  # of devices: number // DEVICES_PER_CHUNK
    _time("closing_s", primary_key=True),
    _bytes("columns"),
    comment="readings of one time that a closing has taken; a view of the evidence",
)

settled_page = sa.Table(
    "settled_page",
    metadata,
    _time("chunk", primary_key=True),
    _bytes("columns"),
    comment="how far each device is settled, and where its account of energy began",
)

closing = sa.Table(
    "closing",
    metadata,
    _time("end_s", primary_key=True),
    _number("evidence_id_max"),
    _number("conflict_id_max"),
    _number("supply_wh"),
    _number("demand_wh"),
    _number("matched_wh"),
    _number("unallocated_wh"),
    sa.Column("log_size", sa.BigInteger, nullable=False, server_default="0"),  # how much of the log was known
    comment="one row per closed interval, as it was when it closed",
)

pool = sa.Table(
    "pool",
    metadata,
    _time("end_s", primary_key=True),
    _number("left_wh"),
    _number("sites"),
    sa.Column("largest_supply_wh", sa.BigInteger),  # of one site; none: not recorded
    sa.Column("largest_demand_wh", sa.BigInteger),
    sa.Column("second_supply_wh", sa.BigInteger),  # of another one; none: not recorded
    sa.Column("second_demand_wh", sa.BigInteger),
    comment="what gaps and late blocks may still take from a closed interval; how many sites stood behind it",
)

claim_page = sa.Table(
    "claim_page",
    metadata,
    _time("closing_s", primary_key=True),
    _time("part", primary_key=True),
    _bytes("columns"),
    comment="what accounts earned from devices in spans by sources; amounts at the sources' plain rates",
)

held = sa.Table(
    "held",
    metadata,
    _bytes("device", primary_key=True),
    _time("start_s", primary_key=True),
    _number("end_s"),
    _number("reason"),  # commonwatt.refusal.Hold
    _number("energy_wh"),
    _number("closing_s"),
    sa.Column("evidence_id", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("review_place", sa.BigInteger),  # of the review in the log; none: it still waits
    sa.Column("is_released", sa.BigInteger),
    comment="spans that wait for a steward, and what was decided",
)

declared = sa.Table(
    "declared",
    metadata,
    _bytes("site", primary_key=True),
    _time("from_s", primary_key=True),
    sa.Column("installed_wp", sa.BigInteger),
    sa.Column("contracted_va", sa.BigInteger),
    sa.Column("latitude", sa.Float),
    sa.Column("longitude", sa.Float),
    sa.Column("tilt_deg", sa.Float),
    sa.Column("azimuth_deg", sa.Float),
    sa.Column("storage_wh", sa.BigInteger),
    sa.Column("pvlib", sa.Text),  # the version that computes its sky
    comment="what a site declared, and from when it counts: for windows that end after from_s; none: not declared",
)

logged = sa.Table(
    "logged",
    metadata,
    _time("place", primary_key=True),
    _bytes("entry"),
    comment="entries of the log that settling needs to know: policies, and reviews of held spans",
)

run = sa.Table(
    "run",
    metadata,
    _bytes("id", primary_key=True),
    _number("window_start_s"),
    _number("window_end_s"),
    _bytes("policy_sha256"),
    _number("time_s"),
    sa.Column("place", sa.BigInteger),  # in the log; none: not yet answered by the ledger
    comment="mint-runs prepared for the ledger: a durable outbox",
)

run_page = sa.Table(
    "run_page",
    metadata,
    _bytes("run_id", primary_key=True),
    _time("part", primary_key=True),
    _bytes("columns"),
    comment="the leaves of a prepared run, nonces included, so that asking again asks for the same",
)

line_page = sa.Table(
    "line_page",
    metadata,
    _time("window_start_s", primary_key=True),
    _bytes("first_account", primary_key=True),
    _bytes("columns"),
    _bytes("block_sha256s"),  # one after another, as the column `block` counts them
    comment="the lines behind each mint, in the order of their Merkle trees, by the first account of each page",
)

correction = sa.Table(
    "correction",
    metadata,
    _time("place", primary_key=True),  # of the entry in the log that completed it
    _bytes("device"),
    _number("start_s"),
    _number("end_s"),
    _number("energy_wh"),  # that are true
    _number("before_wh"),  # that had been settled
    _number("closing_s"),
    _bytes("digest"),
    comment="corrections of what was settled, carried out with the window that ends at closing_s",
)

corrected = sa.Table(
    "corrected",
    metadata,
    _bytes("device", primary_key=True),
    _time("start_s", primary_key=True),
    _time("source", primary_key=True),
    _time("revision", primary_key=True),
    _number("end_s"),
    _bytes("account"),
    _number("energy_wh"),  # less than nothing, as the amount
    _number("amount_mc"),
    _number("place"),
    comment="the revision of each span that a correction changed: what it takes back",
)

owed_page = sa.Table(
    "owed_page",
    metadata,
    _time("page", primary_key=True),
    _bytes("columns"),
    comment="claims of accounts and sources from which more was taken back than came since: not minted yet",
)

cap_used = sa.Table(
    "cap_used",
    metadata,
    _bytes("account", primary_key=True),
    sa.Column("what", sa.Text, primary_key=True),  # the source's number, or "declared." and a kind
    sa.Column("span", sa.Text, primary_key=True),  # "day" or "month"
    _time("begins_s", primary_key=True),  # local midnight, as if the local clock were UTC's
    _number("amount_mc"),
    comment="what accounts earned under caps by day and month; of spans that are over nothing is kept",
)

earned = sa.Table(
    "earned",
    metadata,
    _time("source", primary_key=True),
    _bytes("thing", primary_key=True),  # a device; of what no device measured the first 16 bytes of `proof`
    _time("start_s", primary_key=True),
    _time("revision", primary_key=True),
    _number("end_s"),
    _bytes("account"),
    _number("energy_wh"),
    _number("amount_mc"),
    _bytes("proof"),
    _number("closing_s"),
    comment="what accounts earned beside production and matching, as it was minted",
)

told = sa.Table(
    "told",
    metadata,
    _time("source", primary_key=True),
    _bytes("site", primary_key=True),
    _time("start_s", primary_key=True),
    _time("revision", primary_key=True),  # 1: a true-up of savings
    _number("end_s"),
    _number("reason"),  # why nothing can be told, by the source's own numbers; 0: it could
    _number("expected_wh"),
    _number("used_wh"),
    _number("credited_wh"),
    _number("held_wh"),
    _number("closing_s"),
    comment="what homes are told of their savings and of what they shifted",
)

weather = sa.Table(
    "weather",
    metadata,
    sa.Column("station", sa.Text, primary_key=True),
    _time("day", primary_key=True),  # local, counted from 0001-01-01, which is 1
    _number("mean_dc"),
    comment="mean temperatures of days in tenths of a degree; what is known stays",
)

looked = sa.Table(
    "looked",
    metadata,
    _time("source", primary_key=True),
    _bytes("subject", primary_key=True),
    _number("until_s"),
    comment="until when a source was worked out for a device or site",
)

counter = sa.Table(
    "counter",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    _number("value"),
    comment="what was counted since the commune began, in the same transaction as what it counts",
)
