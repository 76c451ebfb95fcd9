"""Puts a signed statement into the log, as the reason of an entry about somebody whose standing stays as it was."""

from pathlib import Path

from aggregator.statements.signers import Signers
from aggregator.statements.statement import Statement, reason_of
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey, key_hint, new_id
from ledger import door
from ledger.book.body import SetStatus
from ledger.book.entry import Entry
from ledger.sequencer import Refused


def enter(
    directory: Path,
    statements: list[Statement],
    about: list[bytes],
    *,
    key: SigningKey,
    steward: SigningKey,
    time_s: int,
) -> list[int]:
    """The places of the entries, one a statement, published; `about`: whom each entry names.

    UserError if `key` may not state such a thing or the ledger refuses; then no statement from there on is entered.
    """
    with door.opened(directory) as ledger:
        signers = Signers(ledger.state)
        signer = signers.find(key_hint(key.public_key))
        genesis = ledger.state.genesis_sha256
        entries = []
        for statement, subject in zip(statements, about, strict=True):
            if signer is None or not signers.may_state(signer, statement.topic):
                raise UserError(
                    _("this key may not state such a thing"),
                    to_do=_(
                        "requests are signed by the operator, corrections by roles that may reverse a payment, "
                        "values by a wallet, the steward or the town hall"
                    ),
                )
            row = ledger.state.admissions.by_id[subject]
            text = reason_of(statement.sign(key, genesis))
            body = SetStatus(row.admission.subject, subject, row.status, text)
            entries.append(Entry(new_id(), time_s, body).sign(steward, genesis))
        answers = ledger.submit(entries)
    places = []
    for answer in answers:
        if isinstance(answer, Refused):
            raise UserError(
                _("the ledger refuses the statement: {why}").format(why=answer.refusal.label),
                to_do=_("sign the entry with a steward's key; of somebody who is revoked nothing is stated any more"),
            )
        places.append(answer.place)
    return places
