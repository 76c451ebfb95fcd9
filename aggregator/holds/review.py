"""Puts a steward's decision on a held span into the log. The aggregator carries it out when it runs again."""

from pathlib import Path

from aggregator.holds.waiting import Waiting
from aggregator.settling import reviews
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey, new_id
from ledger.app import open_ledger
from ledger.book.body import SetStatus
from ledger.book.entry import Entry
from ledger.book.fields import REASON_BYTES_MAX
from ledger.book.kinds import Subject
from ledger.sequencer import Refused


def decide(directory: Path, span: Waiting, *, is_granted: bool, reason: str, steward: SigningKey, time_s: int) -> int:
    """The place of the entry, which is published. UserError if it was decided before or is refused."""
    if span.verdict:
        raise UserError(
            _("{hold} was reviewed already: {verdict}").format(hold=span.id, verdict=span.verdict),
            to_do=_("start the aggregator; it carries the review out"),
        )
    text = reviews.text_of(span.start_s, is_granted=is_granted, reason=reason)
    if not reason.strip() or len(text.encode()) > REASON_BYTES_MAX:
        raise UserError(
            _("a review needs a reason of at most {count} bytes").format(count=REASON_BYTES_MAX - 26),
            to_do=_("say in a sentence what was found"),
        )
    with open_ledger(directory) as ledger:
        standing = ledger.state.admissions.by_id[span.device].status
        entry = Entry(new_id(), time_s, SetStatus(Subject.DEVICE, span.device, standing, text))
        (answer,) = ledger.submit([entry.sign(steward, ledger.state.genesis_sha256)])
        if isinstance(answer, Refused):
            raise UserError(
                _("the ledger refuses the review: {why}").format(why=answer.refusal.label),
                to_do=_("sign with a steward's key; of a revoked device nothing is reviewed any more"),
            )
        ledger.publish()
    return answer.place
