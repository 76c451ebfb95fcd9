"""Verifies wallets' signatures in other processes, ahead of the one that applies entries in order.

Whose key should have signed is looked up in the state as it is; when the entry's turn comes the rules ask for the key
as it is then, and what was proven counts only if it is the same one. What was not proven the rules verify themselves,
so a pool that is slow, broken or absent changes no answer.
"""

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from typing import Generic, NamedTuple, TypeVar

from commonwatt import cose
from ledger import verifying
from ledger.book.batch import Batch
from ledger.book.body import AdmitAccount, Rotate, Transfer
from ledger.book.state import State
from ledger.book.units import holder_of

T = TypeVar("T")

PROCESSES = 2
JOB_SIGNATURES = 512
"""Signatures that one process verifies at a time: the way there and back costs a few."""

BATCHES_AHEAD = 4
ENTRIES_MIN = 256
"""Fewer are verified where they are applied: starting processes costs more than they save."""


LOG_ENTRIES_MIN = 2000
"""A shorter log is read sooner than processes start."""


class _Begun(NamedTuple, Generic[T]):
    """A batch whose signatures are being verified: `rows` of it, with the keys that should have signed."""

    item: T
    batch: Batch | None
    rows: list[int]
    keys: list[bytes]
    jobs: list[Future[bytes]]


class SignaturePool:
    """Starts its processes when they are first needed; `close` ends them. Without any, nothing is proven ahead."""

    def __init__(self, processes: int = PROCESSES) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def ahead(self, state: State, batches: Iterable[tuple[T, Batch | None]]) -> Iterator[T]:
        """Each batch's first part, in order, as soon as the signatures of the second are verified; its `keys` tell.

        Batches are taken before the ones in front of them are given back, `BATCHES_AHEAD` at most; none before the
        state is founded, because every signature names the genesis entry.
        """
        waiting: deque[_Begun[T]] = deque()
        told: dict[bytes, bytes] = {}
        for item, batch in batches:
            waiting.append(self._begin(state, told, item, batch))
            if len(waiting) > BATCHES_AHEAD or state.constitution is None:
                yield _finish(waiting.popleft())
        while waiting:
            yield _finish(waiting.popleft())

    def _begin(self, state: State, told: dict[bytes, bytes], item: T, batch: Batch | None) -> _Begun[T]:
        if batch is None or not self._processes or state.constitution is None:
            return _Begun(item, batch, [], [], [])
        rows, keys = _signed(state, told, batch)
        begun = _Begun[T](item, batch, rows, keys, [])
        entries = list(map(batch.entries.__getitem__, rows))
        aad = cose.external_aad(Transfer.kind.label, state.genesis_sha256)
        try:
            for start in range(0, len(rows), JOB_SIGNATURES):
                part = slice(start, start + JOB_SIGNATURES)
                begun.jobs.append(self._started().submit(verifying.verify, entries[part], keys[part], aad))
        except BrokenExecutor:
            self.close()
        return begun

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # "spawn": a copy of this process would have copies of its threads' locks.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, mp_context=context)
        return self._pool


def pool_for(size: int) -> SignaturePool:
    """What reads a log of so many entries."""
    return SignaturePool(PROCESSES if size >= LOG_ENTRIES_MIN else 0)


def _signed(state: State, told: dict[bytes, bytes], batch: Batch) -> tuple[list[int], list[bytes]]:
    """The transfers of a batch, by row, and the keys that should have signed them.

    `told`: keys of accounts that entries before these bring, which may not have been applied yet; it grows.
    """
    transfers = batch.transfers
    payers = list(zip(transfers.rows.tolist(), transfers.payers, strict=True))
    for row, signed in batch.others.items():
        match signed.entry.body:
            case AdmitAccount(id=account, wallet=wallet) | Rotate(id=account, public_key=wallet):
                told[account] = wallet
            case Transfer(payer=payer):
                payers.append((row, holder_of(payer)))
    rows: list[int] = []
    keys: list[bytes] = []
    by_id = state.admissions.by_id
    for row, payer in payers:
        found = by_id.get(payer)
        key = found.admission.wallet if found is not None and isinstance(found.admission, AdmitAccount) else None
        if told:
            key = told.get(payer, key)
        if key is not None:
            rows.append(row)
            keys.append(key)
    return rows, keys


def _finish(begun: _Begun[T]) -> T:
    """Wait for the verdicts; what has none is left to the rules."""
    for number, job in enumerate(begun.jobs):
        assert begun.batch is not None
        try:
            verdicts = job.result()
        except BrokenExecutor:
            break
        for at, is_good in enumerate(verdicts, number * JOB_SIGNATURES):
            if is_good:
                begun.batch.keys[begun.rows[at]] = begun.keys[at]
    return begun.item
