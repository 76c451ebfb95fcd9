"""Verifies wallets' signatures in other processes, ahead of the one that applies entries in order.

Whose key should have signed is looked up in the state as it is; when the entry's turn comes the rules ask for the key
as it is then, and what was proven counts only if it is the same one. What was not proven the rules verify themselves,
so a pool that is slow, broken or absent changes no answer.
"""

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from typing import Generic, NamedTuple, TypeVar

from commonwatt import cose
from commonwatt.identity import is_signed_by, key_hint
from ledger.book.body import Transfer
from ledger.book.entry import SignedEntry
from ledger.book.state import State
from ledger.book.units import holder_of

T = TypeVar("T")

PROCESSES = 2
JOB_SIGNATURES = 128
"""Signatures that one process verifies at a time: the way there and back costs a few."""

BATCHES_AHEAD = 8
ENTRIES_MIN = 256
"""Fewer are verified where they are applied: starting processes costs more than they save."""

Claim = tuple[bytes, bytes, bytes]
"""A public key, a signature and what it should sign."""


class _Begun(NamedTuple, Generic[T]):
    item: T
    entries: list[SignedEntry]
    keys: list[bytes]
    jobs: list[Future[list[bool]]]


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

    def ahead(self, state: State, batches: Iterable[tuple[T, Sequence[SignedEntry]]]) -> Iterator[T]:
        """Each batch's first part, in order, as soon as the signatures of its entries are verified.

        Batches are taken before the ones in front of them are given back, `BATCHES_AHEAD` at most.
        """
        waiting: deque[_Begun[T]] = deque()
        for item, entries in batches:
            waiting.append(self._begin(state, item, entries))
            if len(waiting) > BATCHES_AHEAD:
                yield _finish(state, waiting.popleft())
        while waiting:
            yield _finish(state, waiting.popleft())

    def _begin(self, state: State, item: T, entries: Sequence[SignedEntry]) -> _Begun[T]:
        begun = _Begun[T](item, [], [], [])
        claims: list[Claim] = []
        aad = cose.external_aad(Transfer.kind.label, state.genesis_sha256) if state.size else b""
        for signed in entries if self._processes else ():
            body = signed.entry.body
            holder = state.admissions.account(holder_of(body.payer)) if isinstance(body, Transfer) else None
            if holder is not None and signed.message.kid == key_hint(holder[0].wallet):
                message = signed.message
                claims.append((holder[0].wallet, message.signature, cose.to_be_signed(message.payload, aad)))
                begun.entries.append(signed)
                begun.keys.append(holder[0].wallet)
        try:
            for start in range(0, len(claims), JOB_SIGNATURES):
                begun.jobs.append(self._started().submit(_verify, claims[start : start + JOB_SIGNATURES]))
        except BrokenExecutor:
            self.close()
        return begun

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # "spawn": a copy of this process would have copies of its threads' locks.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, mp_context=context)
        return self._pool


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
            if is_good:
                begun.entries[at].proven_by.append((begun.keys[at], genesis))
    return begun.item


def _verify(claims: list[Claim]) -> list[bool]:
    return [is_signed_by(public_key, signature, message) for public_key, signature, message in claims]
