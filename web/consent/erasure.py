"""Erasing a member, from their wish to the last file: what was asked, how far it is, and what is signed for it.

    asked → the account is closed → everything is settled → two offices sign the carry-forward → the files are erased

Each step is decided by the ledger and the database as they are; web.db keeps the wish alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import sqlalchemy as sa

from aggregator.evidence import deletion
from aggregator.reading import NothingMeasuredError, reading
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import ID_SIZE, new_id
from commonwatt.registry import Status
from ledger.app import LOG
from ledger.book import erased
from ledger.book.body import AdmitSite, Body, SetStatus
from ledger.book.entry import Entry
from ledger.book.kinds import Subject
from ledger.book.replay import replay_slots
from ledger.book.state import State
from ledger.log.published import PublishedLog
from web.drafts import desk
from web.drafts.desk import Draft
from web.store.schema import draft as draft_table
from web.store.schema import erasure

PURPOSE = "erasure"
REASON = "asked for"
"""In the log: nothing that says who."""


class Stage(Enum):
    """How far it is."""

    ASKED = "asked"
    CLOSED = "closed"
    DRAWN_UP = "drawn-up"
    SIGNED = "signed"


@dataclass(frozen=True, slots=True)
class Erasure:
    """A wish. `things`: the account's sites and devices; `place`: of the carry-forward, once it is in the log."""

    account: bytes
    asked_s: int
    things: tuple[bytes, ...]
    stage: Stage
    place: int | None = None


def ask(connection: sa.Connection, state: State, account: bytes, *, now_s: int) -> None:
    """Somebody wishes it; a second time changes nothing."""
    if connection.execute(sa.select(erasure).where(erasure.c.account == account)).one_or_none() is None:
        row = {"account": account, "asked_s": now_s, "things": b"".join(things_of(state, account))}
        connection.execute(sa.insert(erasure).values(row))


def take_back(connection: sa.Connection, account: bytes) -> None:
    """Somebody no longer wishes it."""
    connection.execute(sa.delete(erasure).where(erasure.c.account == account))


def asked_s(connection: sa.Connection, account: bytes) -> int | None:
    """When somebody asked; None: they did not."""
    found: int | None = connection.scalar(sa.select(erasure.c.asked_s).where(erasure.c.account == account))
    return found


def wishes(connection: sa.Connection, state: State) -> list[Erasure]:
    """All that are not carried out, the oldest first."""
    rows = connection.execute(sa.select(erasure).order_by(erasure.c.asked_s, erasure.c.account)).all()
    return [_erasure(connection, state, row.account, row.asked_s, row.things) for row in rows]


def things_of(state: State, account: bytes) -> list[bytes]:
    """Ids of the sites and devices of an account."""
    sites = [
        site
        for site, row in state.admissions.by_id.items()
        if isinstance(row.admission, AdmitSite) and row.admission.member == account
    ]
    return [*sites, *devices_of(state, account)]


def devices_of(state: State, account: bytes) -> list[bytes]:
    """Its devices."""
    return [row.device for row in state.admissions.devices() if row.account == account]


def to_close(state: State, account: bytes) -> list[Body]:
    """What closes an account and its devices, as far as they are not."""
    bodies: list[Body] = [
        SetStatus(Subject.DEVICE, row.device, Status.REVOKED, REASON)
        for row in state.admissions.devices()
        if row.account == account and row.status is not Status.REVOKED
    ]
    found = state.admissions.account(account)
    if found is not None and found[1] is not Status.REVOKED:
        bodies.append(SetStatus(found[0].subject, account, Status.REVOKED, REASON))
    return bodies


def why_not_settled(directory: Path, devices: Sequence[bytes], database_url: str) -> str:
    """What still needs somebody's readings, in words; empty if nothing does."""
    try:
        with reading(directory, database_url) as connection:
            deletion.check_needed(connection, devices)
    except NothingMeasuredError:
        return ""
    except UserError as error:
        return f"{error.what}: {error.to_do or ''}"
    return ""


def draw_up(directory: Path, account: bytes, *, time_s: int) -> Entry:
    """What the offices sign. UserError if it is more than one entry can name."""
    slots = list(PublishedLog(directory / LOG).slots())
    body = erased.compose(account, slots, replay_slots(iter(slots)), REASON)
    if body is None or not body.erased:
        raise UserError(
            _("This member cannot be erased by one entry."), to_do=_("See docs/operating/erasing.md for its limits.")
        )
    return Entry(new_id(), time_s, body)


def put_aside(connection: sa.Connection, account: bytes) -> None:
    """Nobody is asked to sign an earlier carry-forward of an account any more."""
    for waiting in _drafts(connection, account):
        if waiting.ended is None:
            desk.end(connection, waiting.entry.id, "withdrawn")


def note_things(connection: sa.Connection, state: State, account: bytes) -> None:
    """Keep which sites and devices are theirs: once their entries are gone the log does not say it."""
    found = things_of(state, account)
    if found:
        row = erasure.c
        connection.execute(sa.update(erasure).where(row.account == account).values(things=b"".join(found)))


def _erasure(connection: sa.Connection, state: State, account: bytes, asked: int, things: bytes) -> Erasure:
    parts = tuple(things[at : at + ID_SIZE] for at in range(0, len(things), ID_SIZE))
    drafts = _drafts(connection, account)
    ends = [row.ended for row in drafts if row.ended is not None]
    placed = [int(end.removeprefix("placed ")) for end in ends if end.startswith("placed ")]
    if placed:
        return Erasure(account, asked, parts, Stage.SIGNED, max(placed))
    if len(ends) < len(drafts):
        return Erasure(account, asked, parts, Stage.DRAWN_UP)
    is_closed = not to_close(state, account)
    return Erasure(account, asked, parts, Stage.CLOSED if is_closed else Stage.ASKED)


def _drafts(connection: sa.Connection, account: bytes) -> list[Draft]:
    this = sa.and_(draft_table.c.purpose == PURPOSE, draft_table.c.about == account)
    found = connection.execute(sa.select(draft_table.c.id).where(this)).scalars().all()
    return [row for identifier in found if (row := desk.find(connection, identifier)) is not None]
