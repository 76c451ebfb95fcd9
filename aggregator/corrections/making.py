"""From what a role says of a device to a signed correction, and from one that waits to one that counts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aggregator.commune.directory import CommuneDirectory
from aggregator.commune.enacted import entries_from, stated_of
from aggregator.corrections import minted
from aggregator.minting.corrections import taken_back
from aggregator.private.store import PrivateStore
from aggregator.reading import reading
from aggregator.statements import corrections, papers
from aggregator.statements.corrections import Correction
from aggregator.statements.enter import enter
from aggregator.statements.signers import Signers
from aggregator.statements.statement import NO_DIGEST, Statement
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey
from ledger.app import LOG
from ledger.book.admissions import DeviceAccount
from ledger.book.replay import replay_slots
from ledger.log.published import PublishedLog

ID_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Effect:
    """What a correction would take back of what was minted by now, before the association's share."""

    spans: int
    before_wh: int
    back_wh: int
    back_mc: int


@dataclass(frozen=True, slots=True)
class Listed:
    """Corrections of the published log: those that enough roles signed, and those that wait, with who signed."""

    agreed: tuple[Correction, ...]
    waiting: dict[Statement, tuple[str, ...]]


def listed(directory: Path) -> Listed:
    """Every correction that stands in the log."""
    log = PublishedLog(directory / LOG)
    signers = Signers(replay_slots(log.slots()))
    found = (stated_of(place, signed, signers) for place, _data, signed in entries_from(log, 0))
    stated = [item for item in found if item is not None]
    needed = signers.correcting_min
    return Listed(corrections.agreed(stated, needed), corrections.waiting(stated, needed))


def device_of(directory: Path, name: str) -> DeviceAccount:
    """The device that somebody means, by its id or its name; UserError if there is none."""
    person = PrivateStore(CommuneDirectory(directory).private_db).find("devices", name)
    wanted = name.lower() if person is None else person.id.hex()
    state = replay_slots(PublishedLog(directory / LOG).slots())
    for row in state.admissions.devices():
        if row.device.hex() == wanted:
            return row
    raise UserError(_("there is no such device"), where=name, to_do=_("see commonwatt device list"))


def effect(
    directory: Path, device: DeviceAccount, start_s: int, end_s: int, energy_wh: int, *, database_url: str = ""
) -> Effect:
    """What it would take back; UserError if that is nothing."""
    with reading(directory, database_url) as connection:
        standing = minted.standing(connection, device.device, device.account, start_s, end_s)
    back = list(taken_back(standing, energy_wh))
    before_wh = sum(row.energy_wh for row in standing)
    if not back:
        raise UserError(
            _("{wh} Wh of this device were minted in this time: there is nothing to take back").format(wh=before_wh),
            to_do=_("name the time as it was measured; what was measured too low comes with its registers"),
        )
    return Effect(len(back), before_wh, -sum(row.energy_wh for row in back), -sum(row.amount_mc for row in back))


def make(
    directory: Path,
    device: bytes,
    span_s: tuple[int, int],
    energy_wh: int,
    *,
    reason: str,
    attachments: Sequence[Path],
    keys: Sequence[SigningKey],
    steward: SigningKey,
    time_s: int,
) -> Statement:
    """Sign a correction with each key and enter it. UserError if it is none or a key may not; the papers stay."""
    if not reason.strip():
        raise UserError(_("a correction needs a reason"), to_do=_("say in a sentence what was found"))
    corrections.correction(device, *span_s, energy_wh, NO_DIGEST)
    statement = corrections.correction(device, *span_s, energy_wh, papers.keep(directory, reason, attachments))
    for key in keys:
        sign(directory, statement, key=key, steward=steward, time_s=time_s)
    return statement


def sign(directory: Path, statement: Statement, *, key: SigningKey, steward: SigningKey, time_s: int) -> int:
    """Enter a correction that somebody signs; the place of the entry. UserError if the key may not."""
    about = bytes.fromhex(CommuneDirectory(directory).load().association)
    (place,) = enter(directory, [statement], [about], key=key, steward=steward, time_s=time_s)
    return place


def name_of(digest: bytes) -> str:
    """How people name a correction: the beginning of the hash of its papers' digest."""
    return hashlib.sha256(digest).hexdigest()[:ID_DIGITS]


def find(waiting: Sequence[Statement], name: str) -> Statement:
    """The one that somebody means; UserError if none that waits is called so."""
    found = [statement for statement in waiting if name_of(statement.digest) == name.lower()]
    if len(found) != 1:
        raise UserError(
            _("no correction that waits is called {name!r}").format(name=name),
            to_do=_("copy the first column of commonwatt corrections list"),
        )
    return found[0]
