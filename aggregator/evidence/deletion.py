"""Deletes the blocks of a member's devices, and their readings that are kept to look back. Who, when and the hash of
each block stay: the log, its mints and the proofs of others verify as before."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema, settings
from aggregator.commune.directory import CommuneDirectory
from aggregator.evidence import pages
from aggregator.evidence.days import DAY_S
from aggregator.evidence.pages import table
from aggregator.private.store import PrivateStore
from aggregator.settling.open_readings import DEVICES_PER_CHUNK
from aggregator.sql import Database
from commonwatt import page
from commonwatt.errors import UserError
from commonwatt.evidence_page import Octets, octets
from commonwatt.i18n import _
from ledger.app import open_ledger
from ledger.book.state import State


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many devices the member has, how many of their blocks were deleted now, and how many had been before."""

    devices: int
    blocks: int
    before: int


def delete_of_member(directory: Path, member: str, *, database_url: str = "") -> Deleted:
    """Delete every block of a member's devices, durably; repeating changes nothing.

    `member`: a name in the private store, or an id in hex. UserError if there is no such member, if the aggregator
    runs, or if an open window or a span that waits for a steward still needs a block; then nothing was deleted.
    """
    account = _member(directory, member)
    url = settings.database_url(directory, database_url)
    with open_ledger(directory) as ledger, Database(url) as database:
        devices = [device.device for device in ledger.state.admissions.devices() if device.account == account]
        _check_known(ledger.state, account, member)
        with database.transaction() as connection:
            check_needed(connection, devices)
            answer = delete(connection, devices)
        database.forget_what_was_deleted()
    return answer


def delete(connection: sa.Connection, devices: Sequence[bytes]) -> Deleted:
    """Delete the blocks of devices, those of conflicts too; whether they are needed was asked before."""
    if not devices:
        return Deleted(0, 0, 0)
    wanted = octets(sorted(devices))
    reaches = sa.and_(table.first_device <= wanted[-1].tobytes(), table.last_device >= wanted[0].tobytes())
    blocks, before = 0, 0
    for number in connection.execute(sa.select(table.page).where(reaches)).scalars().all():
        found = pages.read_one(connection, number)
        rows = found.rows_of(wanted)
        has_block = found.size[rows] > 0
        blocks += int(has_block.sum())
        before += int((~has_block).sum())
        if has_block.any():
            kept = found.without_blocks(rows)
            values = kept.encode() if kept.size.any() else {"signed": None}
            connection.execute(sa.update(schema.evidence_page).where(table.page == number).values(values))
    conflict = schema.conflict
    for device in devices:
        connection.execute(sa.update(conflict).where(conflict.c.device == device).values(signed=b""))
    _delete_past(connection, wanted)
    return Deleted(len(devices), blocks, before)


def _delete_past(connection: sa.Connection, devices: Octets) -> None:
    """Delete the devices' readings from the view of the evidence that looks back (aggregator/settling/history.py)."""
    its_numbers = numbers.of(connection).find(devices)
    past = schema.past_page.c
    chunks = np.unique(its_numbers[its_numbers != numbers.NONE] // DEVICES_PER_CHUNK).tolist()
    places = connection.execute(
        sa.select(past.time_s, past.chunk, past.closing_s).where(past.chunk.in_(chunks))
    ).all()
    for place in places:
        is_it = sa.and_(past.time_s == place.time_s, past.chunk == place.chunk, past.closing_s == place.closing_s)
        columns = page.decode(connection.execute(sa.select(past.columns).where(is_it)).scalar_one())
        is_others = ~np.isin(columns["device"], its_numbers)
        if not is_others.any():
            connection.execute(sa.delete(schema.past_page).where(is_it))
        elif not is_others.all():
            others = page.encode({name: column[is_others] for name, column in columns.items()})
            connection.execute(sa.update(schema.past_page).where(is_it).values(columns=others))


def check_needed(connection: sa.Connection, devices: Sequence[bytes]) -> None:
    """UserError unless all that the devices measured is minted and nothing of it waits: a window is a day at most."""
    held, closing = schema.held.c, schema.closing.c
    is_waiting = sa.and_(held.review_place.is_(None), held.device.in_(devices))
    if connection.scalar(sa.select(sa.func.count()).where(is_waiting)):
        raise UserError(
            _("spans of this member's devices wait for a steward"),
            to_do=_("release or reject them first (commonwatt holds list)"),
        )
    closed_s = connection.scalar(sa.select(sa.func.max(closing.end_s))) or 0
    minted_s = closed_s - DAY_S
    pending_s = connection.scalar(
        sa.select(sa.func.min(schema.run.c.window_start_s)).where(schema.run.c.place.is_(None))
    )
    if pending_s is not None:
        minted_s = min(minted_s, pending_s)
    known = connection.scalar(sa.select(sa.func.max(closing.evidence_id_max)).where(closing.end_s <= minted_s)) or 0
    if any(_is_needed(connection, device, minted_s, known) for device in devices):
        raise UserError(
            _("blocks of this member's devices are not settled and minted yet"),
            to_do=_("revoke the devices, let the aggregator close one more day, and repeat"),
        )


def _is_needed(connection: sa.Connection, device: bytes, minted_s: int, known: int) -> bool:
    """Whether a device has a block that ends after the last window that is surely minted, or came after it."""
    is_young = sa.or_(table.end_s_max > minted_s, table.id_max > known)
    reaches = sa.and_(is_young, table.first_device <= device, table.last_device >= device)
    for found in pages.read(connection, reaches, with_blocks=False):
        rows = found.rows_of(octets([device]))
        if bool(np.any((found.end_s[rows] > minted_s) | (found.id[rows] > known))):
            return True
    return False


def _member(directory: Path, member: str) -> bytes:
    person = PrivateStore(CommuneDirectory(directory).private_db).find("members", member)
    if person is not None:
        return person.id
    try:
        return bytes.fromhex(member)
    except ValueError:
        return b""


def _check_known(state: State, account: bytes, member: str) -> None:
    if state.admissions.account(account) is None:
        raise UserError(
            _("no member is called {name!r}").format(name=member),
            to_do=_("give the name of the roster, or the id that commonwatt admit printed"),
        )
