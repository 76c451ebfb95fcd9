"""Usual transfers, many at once: what rules.py decides one by one, over columns.

This way only ever says yes. A transfer that it would not allow whatever becomes of its neighbours, or whose accounts
are special in any way, goes through rules.py, which names the refusal: so there is one set of rules, and a test holds
this way to their answers. One bad transfer costs those around it little.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonwatt.identity import KEY_SIZE
from commonwatt.units import INT64_MAX
from ledger.book.account_columns import MAY_BE_PAID, MAY_PAY, octets, view
from ledger.book.accounts import Posting
from ledger.book.batch import Batch
from ledger.book.columns import Integers, Truths
from ledger.book.state import Moved, State
from ledger.book.transfer_arrays import TransferArrays

STRETCH_MIN = 8
"""Fewer neighbours are decided one by one at the same cost."""


class Together:
    """The transfers of one batch. The caller goes through its rows in order and applies those that are not taken."""

    def __init__(self, state: State, batch: Batch) -> None:
        self._state = state
        self._batch = batch
        self._size = state.size
        self._judged = _judge(state, batch.transfers, batch)
        self._stretches = deque(_stretches(batch.transfers.rows, self._judged.is_good))

    def take(self, row: int) -> list[bytes]:
        """Make the transfers from this row on that may be made together; their ids."""
        rows, stretches = self._batch.transfers.rows, self._stretches
        while stretches and rows[stretches[0][0]] < row:
            stretches.popleft()
        if not stretches or rows[stretches[0][0]] != row:
            return []
        start, end = stretches.popleft()
        if self._state.size == self._size:
            _make(self._state, self._batch.transfers, self._judged, start, end)
            self._size = self._state.size
        elif not self._take_anew(self._batch.transfers.part(start, end)):
            return []
        return self._batch.transfers.ids[start:end]

    def _take_anew(self, transfers: TransferArrays) -> bool:
        """The caller has applied something since all were judged: these once more, which all may be made, or none."""
        judged = _judge(self._state, transfers, self._batch)
        if judged.is_good.all():
            _make(self._state, transfers, judged, 0, len(transfers))
        return bool(judged.is_good.all())


@dataclass(frozen=True, slots=True)
class _Judged:
    """Which transfers may be made together, all or any. `payers` and `payees`: the numbers of their accounts."""

    is_good: Truths
    payers: Integers
    payees: Integers


def _judge(state: State, transfers: TransferArrays, batch: Batch) -> _Judged:
    """What rules.py would say to each, if it is yes whatever becomes of the others."""
    accounts, amount_mc = state.book.accounts, transfers.amount_mc
    payers, payees = accounts.numbers(transfers.payers), accounts.numbers(transfers.payees)
    is_good = (payers != payees) & (payers >= 0) & (payees >= 0)
    # Sums of so small amounts stay within 63 bits.
    is_good &= (amount_mc > 0) & (amount_mc <= INT64_MAX // max(len(transfers), 1))
    is_good &= _are_allowed(state, payers, payees) & _are_theirs(state, transfers, payers, batch)
    is_good &= ~_are_taken(state, transfers.ids)
    if state.book.is_blurred or state.stage is not None:
        is_good[:] = False
    good = np.flatnonzero(is_good)
    spenders, at, spent_mc = _sums(payers[good], amount_mc[good])
    debits_mc, credits_mc = view(accounts.debits_mc)[spenders], view(accounts.credits_mc)[spenders]
    # What stays above zero without what the others pay is within every limit, soft or hard.
    can_pay = (spent_mc <= credits_mc - debits_mc) & (debits_mc <= INT64_MAX - spent_mc)
    receivers, to, received_mc = _sums(payees[good], amount_mc[good])
    can_hold = view(accounts.credits_mc)[receivers] <= INT64_MAX - received_mc
    is_good[good] = can_pay[at] & can_hold[to]
    return _Judged(is_good, payers, payees)


def _are_allowed(state: State, payers: Integers, payees: Integers) -> Truths:
    """Where both have an account in good standing; of an account that was never opened it means nothing."""
    standings = octets(state.book.accounts.standings, 1)[:, 0]
    allowed: Truths = (standings[payers] & MAY_PAY != 0) & (standings[payees] & MAY_BE_PAID != 0)
    return allowed


def _are_theirs(state: State, transfers: TransferArrays, payers: Integers, batch: Batch) -> Truths:
    """Where the payer's key of today has signed, and the payer has promised nothing to anyone."""
    wallets = octets(state.book.accounts.wallets, KEY_SIZE)[payers]
    theirs: Truths = batch.is_proven[transfers.rows] & (wallets == batch.keys[transfers.rows]).all(axis=1)
    pending_mc = state.book.pending_mc
    if pending_mc:
        theirs &= np.fromiter((payer not in pending_mc for payer in transfers.payers), np.bool_, len(transfers))
    return theirs


def _are_taken(state: State, ids: Sequence[bytes]) -> Truths:
    """Which ids an entry has already, or more than one of these; nearly always none."""
    times = Counter(ids) if len(set(ids)) < len(ids) else {}
    is_taken = (entry_id in state.ids or times.get(entry_id, 1) > 1 for entry_id in ids)
    return np.fromiter(is_taken, dtype=np.bool_, count=len(ids))


def _sums(numbers: Integers, amount_mc: Integers) -> tuple[Integers, Integers, Integers]:
    """The distinct accounts, where each number stands among them, and the sum of each one's amounts."""
    accounts, at = np.unique(numbers, return_inverse=True)
    sums_mc = np.zeros(len(accounts), dtype=np.int64)
    np.add.at(sums_mc, at, amount_mc)
    return accounts, at, sums_mc


def _stretches(rows: Integers, is_good: Truths) -> list[tuple[int, int]]:
    """Where neighbours begin and end that all may be made, as places among the transfers."""
    good = np.flatnonzero(is_good)
    breaks = np.flatnonzero((np.diff(good) != 1) | (np.diff(rows[good]) != 1)) + 1
    parts = np.split(good, breaks) if len(good) else []
    return [(int(part[0]), int(part[-1]) + 1) for part in parts if len(part) >= STRETCH_MIN]


def _make(state: State, transfers: TransferArrays, judged: _Judged, start: int, end: int) -> None:
    """Make the transfers from `start` up to `end`, which all may be made."""
    cut = slice(start, end)
    accounts, amount_mc, ids = state.book.accounts, transfers.amount_mc[cut], transfers.ids[cut]
    for numbers, column in ((judged.payers[cut], accounts.debits_mc), (judged.payees[cut], accounts.credits_mc)):
        np.add.at(view(column), numbers, amount_mc)
        state.book.touched.update(numbers.tolist())
    state.warned = ()
    paid = map(Posting, transfers.payers[cut], (-amount_mc).tolist())
    received = map(Posting, transfers.payees[cut], amount_mc.tolist())
    state.remember_paid(ids, list(map(Moved, zip(paid, received, strict=True), amount_mc.tolist())))
    state.ids.add_many(ids)
    state.size += end - start
