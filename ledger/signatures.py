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
from commonwatt.errors import FormatError
from ledger.book import entry, transfer_shape
from ledger.book.body import Transfer
from ledger.book.entry import SignedEntry
from ledger.book.plain_transfers import Reading
from ledger.book.state import State
from ledger.book.transfer_shape import PlainTransfer
from ledger.book.units import holder_of

T = TypeVar("T")

PROCESSES = 2
JOB_SIGNATURES = 256
"""Signatures that one process verifies at a time: the way there and back costs a few."""

BATCHES_AHEAD = 4
ENTRIES_MIN = 256
"""Fewer are verified where they are applied: starting processes costs more than they save."""


class _Begun(NamedTuple, Generic[T]):
    item: T
    readings: list[Reading]
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

    def ahead(self, state: State, batches: Iterable[tuple[T, Iterable[tuple[bytes, Reading]]]]) -> Iterator[T]:
        """Each batch's first part, in order, as soon as the signatures of its entries are verified.

        The second part: what was read, and of which bytes. Batches are taken before the ones in front of them are
        given back, `BATCHES_AHEAD` at most.
        """
        waiting: deque[_Begun[T]] = deque()
        for item, entries in batches:
            waiting.append(self._begin(state, item, entries))
            if len(waiting) > BATCHES_AHEAD:
                yield _finish(state, waiting.popleft())
        while waiting:
            yield _finish(state, waiting.popleft())

    def _begin(self, state: State, item: T, entries: Iterable[tuple[bytes, Reading]]) -> _Begun[T]:
        begun = _Begun[T](item, [], [], [])
        signed: list[bytes] = []
        for data, reading in entries if self._processes else ():
            payer = _payer(reading)
            holder = state.admissions.account(payer) if payer is not None else None
            if holder is not None:
                signed.append(data)
                begun.readings.append(reading)
                begun.keys.append(holder[0].wallet)
        aad = cose.external_aad(Transfer.kind.label, state.genesis_sha256) if signed else b""
        try:
            for start in range(0, len(signed), JOB_SIGNATURES):
                end = start + JOB_SIGNATURES
                begun.jobs.append(self._started().submit(_verify, signed[start:end], begun.keys[start:end], aad))
        except BrokenExecutor:
            self.close()
        return begun

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # "spawn": a copy of this process would have copies of its threads' locks.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, mp_context=context)
        return self._pool


def read(data: bytes) -> Reading | None:
    """A signed entry, at one glance if it is the usual transfer; None if it is nothing that is signed."""
    plain = transfer_shape.read(data)
    if plain is not None:
        return plain
    try:
        signed = entry.parse(data)
    except FormatError:
        return None  # whoever applies it will say why
    return signed if isinstance(signed, SignedEntry) else None


def _payer(reading: Reading) -> bytes | None:
    """The holder whose wallet should have signed a transfer."""
    if isinstance(reading, PlainTransfer):
        return reading.payer
    body = reading.entry.body
    return holder_of(body.payer) if isinstance(body, Transfer) else None


def _finish(state: State, begun: _Begun[T]) -> T:
    """Wait for the verdicts; what has none is left to the rules."""
    genesis = state.genesis_sha256 if begun.jobs else b""
    for number, job in enumerate(begun.jobs):
        first = number * JOB_SIGNATURES
        try:
            verdicts = job.result()
        except BrokenExecutor:
            break
        for at, is_good in enumerate(verdicts, first):
            reading = begun.readings[at]
            if is_good and isinstance(reading, PlainTransfer):
                reading.proven_by = begun.keys[at]
            elif is_good and isinstance(reading, SignedEntry):
                reading.proven_by.append((begun.keys[at], genesis))
    return begun.item


def _verify(entries: list[bytes], public_keys: list[bytes], aad: bytes) -> bytes:
    """One byte for each entry: 1 if this key has signed it. Their form has been looked at already."""
    return bytes(map(cose.whole_verifier(aad), entries, public_keys))
