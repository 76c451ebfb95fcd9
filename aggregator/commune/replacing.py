"""A meter is replaced: the new one at the same site in the same role, the old one revoked. The account stays.

The old one's entry says which one came after it and from when on (Unix seconds, a quarter of an hour):

    [4, h'de71…', 2, "replaced by 9f3b… from 1721002500"]

Settlement counts nothing of the new one before that time, in which the old one may have measured the same energy.
"""

import re
from dataclasses import dataclass

from aggregator.private.store import PrivateStore
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey, new_id
from commonwatt.registry import Status
from commonwatt.units import INTERVAL_S
from ledger.book.body import AdmitDevice, SetStatus
from ledger.book.entry import Entry
from ledger.book.kinds import Subject
from ledger.door import Door
from ledger.sequencer import Refused

_TEXT = re.compile(r"replaced by (?P<device>[0-9a-f]{32}) from (?P<begins_s>0|[1-9][0-9]{0,15})")


@dataclass(frozen=True, slots=True)
class Replacement:
    """`device` came in place of another one; nothing of it counts before `begins_s`."""

    device: bytes
    begins_s: int


def text_of(device: bytes, begins_s: int) -> str:
    """The reason of the old device's entry."""
    return f"replaced by {device.hex()} from {begins_s}"


def read(status: SetStatus) -> Replacement | None:
    """The replacement that an entry about a device is, or None."""
    match = _TEXT.fullmatch(status.reason)
    if status.subject is not Subject.DEVICE or status.status is not Status.REVOKED or match is None:
        return None
    return Replacement(bytes.fromhex(match["device"]), int(match["begins_s"]))


def replace(
    ledger: Door,
    store: PrivateStore,
    *,
    old: bytes,
    device: bytes,
    public_key: bytes,
    name: str,
    steward: SigningKey,
    time_s: int,
) -> AdmitDevice:
    """Admit `device` in place of `old` and revoke that; what was admitted. Asking again goes on where it stopped.

    UserError if there is no such meter, if it is revoked already, or if the ledger refuses the new one.
    """
    row = ledger.state.admissions.by_id.get(old)
    if row is None or not isinstance(row.admission, AdmitDevice):
        raise UserError(_("there is no such device"), where=old.hex(), to_do=_("see commonwatt device list"))
    if row.status is Status.REVOKED:
        raise UserError(_("this device is revoked already"), where=old.hex(), to_do=_("see commonwatt device list"))
    before = row.admission
    body = AdmitDevice(device, before.site, public_key, before.role, before.rated_power_w, before.grade)
    store.enrol("devices", name, device)
    store.save()
    known = ledger.state.admissions.by_id.get(device)
    if known is None or known.admission != body:
        _submit(ledger, Entry(new_id(), time_s, body), steward)
    begins_s = -(-time_s // INTERVAL_S) * INTERVAL_S
    gone = SetStatus(Subject.DEVICE, old, Status.REVOKED, text_of(device, begins_s))
    _submit(ledger, Entry(new_id(), time_s, gone), steward)
    return body


def _submit(ledger: Door, entry: Entry, steward: SigningKey) -> None:
    (answer,) = ledger.submit([entry.sign(steward, ledger.state.genesis_sha256)])
    if isinstance(answer, Refused):
        raise UserError(
            _("the ledger refuses it: {why}").format(why=answer.refusal.label),
            to_do=_("take another id or key for the new device, and a steward's key to sign"),
        )
