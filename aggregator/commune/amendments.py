"""What is said anew of somebody who is admitted: its commitment goes into the log, its words stay with us.

The ledger has no entry of its own for it. As with reviews (docs/decisions/0014), it is an entry about the standing of
a member, merchant or site, which stays as it was; the reason says what it is:

    [1, h'0b5e…', 0, "record 77a0…"]        the commitment in hexadecimal (private/person.py)
"""

from aggregator.private.person import Person, Record
from aggregator.private.store import PrivateStore
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey, new_id
from commonwatt.registry import Status
from ledger.book.body import AdmitAccount, AdmitSite, SetStatus
from ledger.book.entry import Entry
from ledger.book.state import State
from ledger.door import Door
from ledger.sequencer import Refused


def waiting(store: PrivateStore, state: State) -> list[tuple[Person, Record, SetStatus]]:
    """Records whose commitment is not in the log, each with the entry that brings it. Those of places that the log
    does not know, and of the revoked, of whom it takes nothing more, stay with us alone."""
    found = []
    for person, record in store.unlogged():
        row = state.admissions.by_id.get(person.id)
        if row is not None and isinstance(row.admission, AdmitAccount | AdmitSite) and row.status < Status.REVOKED:
            text = f"record {record.commitment(person).hex()}"
            found.append((person, record, SetStatus(row.admission.subject, person.id, row.status, text)))
    return found


def log(store: PrivateStore, ledger: Door, *, steward: SigningKey, time_s: int) -> list[Person]:
    """Bring them into the log; whose they were. UserError if the ledger refuses one."""
    amended = waiting(store, ledger.state)
    genesis = ledger.state.genesis_sha256
    answers = ledger.submit([Entry(new_id(), time_s, body).sign(steward, genesis) for _p, _r, body in amended])
    for (person, record, _body), answer in zip(amended, answers, strict=True):
        if isinstance(answer, Refused):
            raise UserError(
                _("what changed of {name!r} is refused: {why}").format(name=person.name, why=answer.refusal.label),
                to_do=_("it is kept; sign with a steward's key and repeat the command"),
            )
        store.note(record, answer.place)
    return [person for person, _record, _body in amended]
