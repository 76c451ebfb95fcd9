"""Plain transfers: what rules.py decides about one, without a look at what few accounts have.

This way only ever says yes. A transfer that it would not allow, or whose accounts are special in any way, goes
through rules.py, which names the refusal: so there is one set of rules, and a test holds this way to their answers.
"""

from commonwatt.registry import Status
from commonwatt.units import INT64_MAX
from ledger.book import entry, rules
from ledger.book.accounts import Posting
from ledger.book.body import AdmitAccount
from ledger.book.entry import SignedEntry
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.book.transfer_shape import PlainTransfer

Reading = PlainTransfer | SignedEntry
"""A signed entry as far as it can be read without a state."""


def apply_reading(state: State, reading: Reading, data: bytes, position: int) -> State | Refusal:
    """`rules.apply` for a signed entry that was read from `data` already, a transfer perhaps at one glance."""
    if isinstance(reading, SignedEntry):
        return rules.apply_parsed(state, reading, data, position)
    if _pay(state, reading):
        return state
    signed = entry.parse(data)
    assert isinstance(signed, SignedEntry)
    if reading.proven_by is not None:
        signed.proven_by.append((reading.proven_by, state.genesis_sha256))
    return rules.apply_parsed(state, signed, data, position)


def _pay(state: State, transfer: PlainTransfer) -> bool:
    """Make the transfer; False, and nothing changed, unless it is plain and rules.py would make it."""
    payer, payee, amount_mc = transfer.payer, transfer.payee, transfer.amount_mc
    if transfer.proven_by is None or not _may_pay(state, payer, payee, transfer.proven_by):
        return False
    book = state.book
    is_special = book.is_blurred or state.stage is not None or payer in book.pending_mc
    source, sink = book.accounts.get(payer), book.accounts.get(payee)
    if is_special or source is None or sink is None or source is sink or amount_mc == 0:
        return False
    # What stays above zero is within every limit, soft or hard.
    is_covered = amount_mc <= source.credits_mc - source.debits_mc
    debits_mc, credits_mc = source.debits_mc + amount_mc, sink.credits_mc + amount_mc
    if not is_covered or debits_mc > INT64_MAX or credits_mc > INT64_MAX or transfer.id in state.ids:
        return False
    source.debits_mc, sink.credits_mc = debits_mc, credits_mc
    book.touched.add(payer)
    book.touched.add(payee)
    state.warned = ()
    state.remember_paid((Posting(payer, -amount_mc), Posting(payee, amount_mc)), transfer.id)
    state.ids.add(transfer.id)
    state.size += 1
    return True


def _may_pay(state: State, payer: bytes, payee: bytes, wallet: bytes) -> bool:
    """Whether both have an account in good standing, and this is the payer's key today."""
    by_id = state.admissions.by_id
    source, sink = by_id.get(payer), by_id.get(payee)
    return (
        source is not None
        and sink is not None
        and source.status is Status.ACTIVE
        and sink.status is not Status.REVOKED
        and isinstance(source.admission, AdmitAccount)
        and isinstance(sink.admission, AdmitAccount)
        and source.admission.wallet == wallet
    )
