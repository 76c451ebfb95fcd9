"""Verifies wallets' signatures in other processes, ahead of the one that applies entries in order.

Whose key should have signed is looked up in the state as it is; when the entry's turn comes the rules ask for the key
as it is then, and what was proven counts only if it is the same one. What was not proven the rules verify themselves,
so a pool that is slow, broken or absent changes no answer.
"""

import multiprocessing
from collections import ChainMap, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from commonwatt import cose
from commonwatt.identity import KEY_SIZE
from ledger import verifying
from ledger.book.account_columns import HAS_WALLET, octets
from ledger.book.batch import Batch
from ledger.book.body import AdmitAccount, Rotate, Transfer
from ledger.book.columns import Integers, Octets
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


_NO_ROWS = np.zeros(0, dtype=np.int64)
_NO_KEYS = np.zeros((0, KEY_SIZE), dtype=np.uint8)


class _Begun(NamedTuple, Generic[T]):
    """A batch whose signatures are being verified: `rows` of it, with the keys that should have signed.

    `told`: the keys that its own entries bring.
    """

    item: T
    batch: Batch | None
    told: dict[bytes, bytes]
    rows: Integers
    keys: Octets
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
        for item, batch in batches:
            waiting.append(self._begin(state, [begun.told for begun in waiting], item, batch))
            if len(waiting) > BATCHES_AHEAD or state.constitution is None:
                yield _finish(waiting.popleft())
        while waiting:
            yield _finish(waiting.popleft())

    def _begin(self, state: State, told: Sequence[dict[bytes, bytes]], item: T, batch: Batch | None) -> _Begun[T]:
        if batch is None or not self._processes or state.constitution is None:
            return _Begun(item, batch, {}, _NO_ROWS, _NO_KEYS, [])
        brought = _brought(batch)
        rows, keys = _signed(state, dict(ChainMap(brought, *reversed(told))), batch)
        begun = _Begun[T](item, batch, brought, rows, keys, [])
        entries = list(map(batch.entries.__getitem__, rows.tolist()))
        aad = cose.external_aad(Transfer.kind.label, state.genesis_sha256)
        try:
            for start in range(0, len(rows), JOB_SIGNATURES):
                part = slice(start, start + JOB_SIGNATURES)
                job = self._started().submit(verifying.verify, entries[part], keys[part].tobytes(), aad)
                begun.jobs.append(job)
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


def _brought(batch: Batch) -> dict[bytes, bytes]:
    """The wallets' keys that entries of a batch bring, by account; a state knows them when it has been applied."""
    brought: dict[bytes, bytes] = {}
    for signed in batch.others.values():
        match signed.entry.body:
            case AdmitAccount(id=account, wallet=wallet) | Rotate(id=account, public_key=wallet):
                brought[account] = wallet
    return brought


def _signed(state: State, told: Mapping[bytes, bytes], batch: Batch) -> tuple[Integers, Octets]:
    """The transfers of a batch, by row, and the keys that should have signed them.

    `told`: keys of accounts that entries before these bring, which may not have been applied yet.
    """
    rows, payers = batch.transfers.rows, batch.transfers.payers
    further = {
        row: holder_of(signed.entry.body.payer)
        for row, signed in batch.others.items()
        if isinstance(signed.entry.body, Transfer)
    }
    if further:
        rows, payers = np.concatenate([rows, np.fromiter(further, np.int64)]), [*payers, *further.values()]
    accounts = state.book.accounts
    numbers = accounts.numbers(payers)
    keys = octets(accounts.wallets, KEY_SIZE)[numbers]
    has_key = (numbers >= 0) & (octets(accounts.standings, 1)[numbers, 0] & HAS_WALLET != 0)
    for at, payer in enumerate(payers) if told else ():
        if payer in told:
            keys[at], has_key[at] = np.frombuffer(told[payer], np.uint8), True
    return rows[has_key], keys[has_key]


def _finish(begun: _Begun[T]) -> T:
    """Wait for the verdicts; what has none is left to the rules."""
    verdicts = b""
    for job in begun.jobs:
        try:
            verdicts += job.result()
        except BrokenExecutor:
            break
    if verdicts:
        assert begun.batch is not None
        good = np.flatnonzero(np.frombuffer(verdicts, np.bool_))
        begun.batch.prove(begun.rows[good], begun.keys[good])
    return begun.item
