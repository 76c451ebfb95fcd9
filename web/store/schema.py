"""The tables of web.db. Times are Unix seconds of the pages' civil clock; secrets are kept as SHA-256 only."""

import sqlalchemy as sa

from commonwatt.revisions import Revisions

SCHEMA_VERSION = 1
"""The number of the last revision below migrations/versions."""

metadata = sa.MetaData()

meta = sa.Table("meta", metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text))

login = sa.Table(
    "login",
    metadata,
    sa.Column("id", sa.LargeBinary, primary_key=True),
    # An account of the ledger, or the id of a role's key. What it may do is asked of the ledger each time.
    sa.Column("subject", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text),
    sa.Column("language", sa.Text, nullable=False, server_default=""),
    sa.Column("created_s", sa.BigInteger, nullable=False),
    comment="who may sign in: one row for each account or role key that has taken up an invitation",
)

session = sa.Table(
    "session",
    metadata,
    sa.Column("token_sha256", sa.LargeBinary, primary_key=True),
    sa.Column("login", sa.LargeBinary, nullable=False, index=True),
    sa.Column("created_s", sa.BigInteger, nullable=False),
    sa.Column("seen_s", sa.BigInteger, nullable=False),
    sa.Column("expires_s", sa.BigInteger, nullable=False),
    sa.Column("browser", sa.Text, nullable=False, server_default=""),  # "Firefox, Android"
    comment="browsers that are signed in",
)

passkey = sa.Table(
    "passkey",
    metadata,
    sa.Column("credential", sa.LargeBinary, primary_key=True),
    sa.Column("login", sa.LargeBinary, nullable=False, index=True),
    sa.Column("public_key", sa.LargeBinary, nullable=False),
    sa.Column("sign_count", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_s", sa.BigInteger, nullable=False),
    sa.Column("used_s", sa.BigInteger),
    comment="WebAuthn credentials",
)

guard_key = sa.Table(
    "guard_key",
    metadata,
    sa.Column("public_key", sa.LargeBinary, primary_key=True),
    sa.Column("login", sa.LargeBinary, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),  # code: derived from a printed one; device: made in a second browser
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_s", sa.BigInteger, nullable=False),
    comment="public keys that may recover an account once its holder has named them in the ledger (entry kind 9)",
)

challenge = sa.Table(
    "challenge",
    metadata,
    sa.Column("challenge", sa.LargeBinary, primary_key=True),
    sa.Column("login", sa.LargeBinary),  # who registers a passkey; none: somebody signs in
    sa.Column("expires_s", sa.BigInteger, nullable=False),
    comment="what authenticators were asked to sign, once",
)

link = sa.Table(
    "link",
    metadata,
    sa.Column("token_sha256", sa.LargeBinary, primary_key=True),
    sa.Column("purpose", sa.Text, nullable=False),  # web/identity/links.py: Purpose
    sa.Column("login", sa.LargeBinary),  # none: whoever has the address signs in with it
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("expires_s", sa.BigInteger, nullable=False),
    comment="links that were handed out and not used yet",
)

wish = sa.Table(
    "wish",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("email", sa.Text, nullable=False, index=True),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("asked_s", sa.BigInteger, nullable=False),
    sa.Column("is_done", sa.Boolean, nullable=False),
    comment="addresses that were typed to sign in, known here or not; kept for a day to count them",
)

letter = sa.Table(
    "letter",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("unsubscribe_url", sa.Text, nullable=False, server_default=""),
    sa.Column("created_s", sa.BigInteger, nullable=False),
    sa.Column("expires_s", sa.BigInteger, nullable=False),
    sa.Column("next_s", sa.BigInteger, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    comment="e-mails that wait to be sent; a row goes when the SMTP server has taken it",
)

invitation = sa.Table(
    "invitation",
    metadata,
    sa.Column("token_sha256", sa.LargeBinary, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),  # account: a key for an account that is there; role: a role key
    sa.Column("subject", sa.LargeBinary),  # the account; none: whoever is invited gets one when admitted
    sa.Column("role", sa.Text, nullable=False, server_default=""),  # of kind role: steward, townhall, …
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text),
    sa.Column("expires_s", sa.BigInteger, nullable=False),
    sa.Column("login", sa.LargeBinary),  # who took it up; none: nobody yet
    comment="one-use links by which a browser takes up an account or a role",
)

newcomer = sa.Table(
    "newcomer",
    metadata,
    sa.Column("login", sa.LargeBinary, primary_key=True),
    sa.Column("wallet", sa.LargeBinary, nullable=False),  # the public key that their browser made
    sa.Column("is_merchant", sa.Boolean, nullable=False),
    comment="who took up an invitation and waits to be admitted by a steward",
)

closing = sa.Table(
    "closing",
    metadata,
    sa.Column("account", sa.LargeBinary, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("day", sa.Text, nullable=False),  # local, as 2024-07-16
    sa.Column("ticket", sa.LargeBinary, nullable=False),  # web/accounting/ticket.py
    sa.Column("seal", sa.LargeBinary, nullable=False),  # SHA-256 of it
    sa.UniqueConstraint("account", "day"),
    comment="daily closings of tills; never changed: the seal of each is in the one after it",
)

books_of = sa.Table(
    "books_of",
    metadata,
    sa.Column("account", sa.LargeBinary, primary_key=True),
    sa.Column("plan", sa.Text, nullable=False),  # JSON: web/accounting/plan.py
    comment="what shops tell their accountants' programs: SIREN, numbers of accounts, where euros are sent",
)

voucher = sa.Table(
    "voucher",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("sheet", sa.LargeBinary, nullable=False, index=True),  # the id of the entry that pays for it
    sa.Column("member", sa.LargeBinary, nullable=False, index=True),
    sa.Column("amount_mc", sa.BigInteger, nullable=False),
    sa.Column("drafted_s", sa.BigInteger, nullable=False),
    sa.Column("public_key", sa.LargeBinary),  # none: not printed yet
    sa.Column("payee", sa.LargeBinary),  # the shop that took it first
    sa.Column("claim", sa.LargeBinary),  # what it signed with the voucher's key
    sa.Column("claimed_s", sa.BigInteger),
    sqlite_autoincrement=True,
    comment="vouchers on paper, without their secrets; whether one was paid is asked of the ledger",
)

payout = sa.Table(
    "payout",
    metadata,
    sa.Column("entry", sa.LargeBinary, primary_key=True),  # the id of a redemption
    sa.Column("sent_s", sa.BigInteger, nullable=False),
    sa.Column("sent_by", sa.LargeBinary, nullable=False),  # a subject
    comment="redemptions whose euros the association has sent from its bank",
)

draft = sa.Table(
    "draft",
    metadata,
    sa.Column("id", sa.LargeBinary, primary_key=True),  # of the entry
    sa.Column("statement", sa.LargeBinary, nullable=False),  # CBOR [1, kind, id, time_s, body]
    sa.Column("purpose", sa.Text, nullable=False),  # "takeover", "reverse", …: which sentence people read
    sa.Column("about", sa.LargeBinary),  # the account or subject it is about
    sa.Column("proposed_by", sa.LargeBinary),  # a login
    sa.Column("proposed_s", sa.BigInteger, nullable=False),
    sa.Column("ended", sa.Text),  # none: it waits; "placed 812", "refused bad-signature", "withdrawn"
    comment="entries that need the signatures of several people, until they have them",
)

approval = sa.Table(
    "approval",
    metadata,
    sa.Column("draft", sa.LargeBinary, primary_key=True),
    sa.Column("hint", sa.LargeBinary, primary_key=True),  # of the key
    sa.Column("signed", sa.LargeBinary, nullable=False),
    comment="the signatures that a draft has so far",
)

code = sa.Table(
    "code",
    metadata,
    sa.Column("text", sa.Text, primary_key=True),
    sa.Column("account", sa.LargeBinary, nullable=False, index=True),  # to be paid, in its unit
    sa.Column("amount_mc", sa.BigInteger),  # none: who pays says how much
    sa.Column("memo", sa.Text, nullable=False),
    sa.Column("payment", sa.LargeBinary),  # the id of the entry that pays it; none: it may be paid many times
    sa.Column("made_s", sa.BigInteger, nullable=False),
    sa.Column("expires_s", sa.BigInteger),
    sa.Column("is_ended", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("shown_s", sa.BigInteger),  # when a member first saw what it asks for
    sa.Column("is_short", sa.Boolean, nullable=False, server_default=sa.false()),  # who saw it has too little for it
    comment="codes by which people ask to be paid; whether one was paid is asked of the ledger",
)

favourite = sa.Table(
    "favourite",
    metadata,
    sa.Column("owner", sa.LargeBinary, primary_key=True),  # an account
    sa.Column("holder", sa.LargeBinary, primary_key=True),  # another
    sa.Column("name", sa.Text, nullable=False),  # what the owner calls them
    comment="whom people pay again",
)

findable = sa.Table(
    "findable",
    metadata,
    sa.Column("holder", sa.LargeBinary, primary_key=True),
    sa.Column("agreed_s", sa.BigInteger, nullable=False),
    comment="members who agreed to be found by name by who wants to pay them",
)

policy_trial = sa.Table(
    "policy_trial",
    metadata,
    sa.Column("sha256", sa.LargeBinary, primary_key=True),  # of the text
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("tried_by", sa.LargeBinary, nullable=False),  # a login
    sa.Column("tried_s", sa.BigInteger, nullable=False),
    sa.Column("before", sa.LargeBinary, nullable=False, server_default=sa.text("x''")),  # what it was compared with
    sa.Column("outcome", sa.Text),  # JSON; none: not replayed yet
    comment="rules that somebody proposes, and what they would have paid",
)

stated = sa.Table(
    "stated",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("reason", sa.Text, nullable=False, unique=True),  # of the entry that is to hold it
    sa.Column("about", sa.LargeBinary, nullable=False),
    sa.Column("stated_s", sa.BigInteger, nullable=False),
    sqlite_autoincrement=True,
    comment="signed statements that a steward has to bring into the log",
)

erasure = sa.Table(
    "erasure",
    metadata,
    sa.Column("account", sa.LargeBinary, primary_key=True),
    sa.Column("asked_s", sa.BigInteger, nullable=False),
    sa.Column("things", sa.LargeBinary, nullable=False),  # ids of 16 bytes: the sites and devices of the account
    comment="members who asked to be erased, until they are",
)

notice_off = sa.Table(
    "notice_off",
    metadata,
    sa.Column("login", sa.LargeBinary, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    comment="notices that somebody has switched off; all others are on",
)

push_device = sa.Table(
    "push_device",
    metadata,
    sa.Column("endpoint", sa.Text, primary_key=True),
    sa.Column("login", sa.LargeBinary, nullable=False, index=True),
    sa.Column("p256dh", sa.Text, nullable=False),
    sa.Column("auth", sa.Text, nullable=False),
    sa.Column("created_s", sa.BigInteger, nullable=False),
    comment="browsers that are told at once (Web Push)",
)

push = sa.Table(
    "push",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("expires_s", sa.BigInteger, nullable=False),
    sa.Column("next_s", sa.BigInteger, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sqlite_autoincrement=True,
    comment="notices that wait to be taken by a push service",
)

told = sa.Table(
    "told",
    metadata,
    sa.Column("what", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
    comment="how far notices have come: the log's entries, the day whose earnings, the month whose digests were told",
)

unsubscription = sa.Table(
    "unsubscription",
    metadata,
    sa.Column("login", sa.LargeBinary, primary_key=True),
    sa.Column("token", sa.Text, nullable=False, unique=True),
    comment="what stands in the link by which a letter's reader gets no more of them",
)

SCHEMAS = Revisions("this store of the pages", SCHEMA_VERSION, metadata, "web:store/migrations")
"""The store of the pages."""
