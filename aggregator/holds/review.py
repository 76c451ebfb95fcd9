"""Puts a steward's decision on a held span into the log. The aggregator carries it out with its next closing."""

from pathlib import Path

from aggregator.holds.waiting import Waiting
from aggregator.settling import reviews
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey, new_id
from ledger import door
from ledger.book.body import SetStatus
from ledger.book.entry import Entry
from ledger.book.fields import REASON_BYTES_MAX
from ledger.book.kinds import Subject
from ledger.sequencer import Refused

OVERHEAD = 50
"""Bytes of a reason that its order may take."""


def decide(
    directory: Path,
    span: Waiting,
    *,
    is_granted: bool,
    reason: str,
    steward: SigningKey,
    time_s: int,
    energy_wh: int | None = None,
) -> int:
    """The place of the entry, which is published. UserError if it was decided before or is refused. `energy_wh`: what
    a released span counts with instead of what was held."""
    if span.verdict:
        raise UserError(
            _("{hold} was reviewed already: {verdict}").format(hold=span.id, verdict=span.verdict),
            to_do=_("the aggregator carries it out when it closes its next interval"),
        )
    text = reviews.text_of(span.start_s, is_granted=is_granted, reason=reason, energy_wh=energy_wh)
    if not reason.strip() or len(text.encode()) > REASON_BYTES_MAX:
        raise UserError(
            _("a review needs a reason of at most {count} bytes").format(count=REASON_BYTES_MAX - OVERHEAD),
            to_do=_("say in a sentence what was found"),
        )
    return _enter(directory, span.device, text, steward, time_s)


def declare_wraps(
    directory: Path, device: bytes, at_wh: int, *, reason: str, steward: SigningKey, time_s: int
) -> int:
    """Say where a device's registers begin at 0 again; the place of the entry. UserError if it is refused."""
    text = reviews.text_of_wraps(at_wh, reason)
    if not reason.strip() or len(text.encode()) > REASON_BYTES_MAX:
        raise UserError(
            _("a declaration needs a reason of at most {count} bytes").format(count=REASON_BYTES_MAX - OVERHEAD),
            to_do=_("name the meter's data sheet"),
        )
    return _enter(directory, device, text, steward, time_s)


def _enter(directory: Path, device: bytes, text: str, steward: SigningKey, time_s: int) -> int:
    with door.opened(directory) as ledger:
        if device not in ledger.state.admissions.by_id:
            raise UserError(_("no device has this id: {device}").format(device=device.hex()))
        standing = ledger.state.admissions.by_id[device].status
        entry = Entry(new_id(), time_s, SetStatus(Subject.DEVICE, device, standing, text))
        (answer,) = ledger.submit([entry.sign(steward, ledger.state.genesis_sha256)])
        if isinstance(answer, Refused):
            raise UserError(
                _("the ledger refuses the review: {why}").format(why=answer.refusal.label),
                to_do=_("sign with a steward's key; of a revoked device nothing is reviewed any more"),
            )
    return answer.place
