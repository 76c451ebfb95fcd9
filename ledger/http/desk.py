"""The one thread that owns an open ledger while it is served: requests queue for it.

Entries that come while others are committed wait, and are committed together: a commit costs a sync of the disk,
whether it holds one entry or two thousand.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from commonwatt.errors import StorageError
from ledger.http.index import PartyIndex
from ledger.sequencer import COMMIT_ENTRIES_MAX, Placed, Refused, Sequencer

T = TypeVar("T")
Answer = tuple[Placed | Refused, int]
"""What became of an entry, and the size of the log after it was committed."""


class Desk:
    """`open_ledger` is called in the desk's own thread. `on_failure` is told that the store failed: we must end."""

    def __init__(
        self, *, open_ledger: Callable[[], Sequencer], index: Path, on_failure: Callable[[StorageError], None]
    ) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._on_failure = on_failure
        self._index_path = index
        self._waiting: deque[tuple[bytes, Future[Answer]]] = deque()
        self._ledger, self._index = self._thread.submit(self._open, open_ledger).result()

    def close(self) -> None:
        """Finish what is queued and give the ledger back."""
        self._thread.submit(self._index.close)
        self._thread.submit(self._ledger.close)
        self._thread.shutdown()

    async def ask(self, question: Callable[[Sequencer, PartyIndex], T]) -> T:
        """Run a question in the desk's thread; a StorageError is reported and raised."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, question)
        except StorageError as error:
            self._on_failure(error)
            raise

    async def submit(self, data: bytes) -> Answer:
        """Place one entry, with all others that wait by then; durable. Publishing follows, out of its way."""
        answer: Future[Answer] = Future()
        self._waiting.append((data, answer))
        self._thread.submit(self._commit)
        try:
            placed = await asyncio.wrap_future(answer)
        except StorageError as error:
            self._on_failure(error)
            raise
        self._thread.submit(self._publish)
        return placed

    def _open(self, open_ledger: Callable[[], Sequencer]) -> tuple[Sequencer, PartyIndex]:
        ledger = open_ledger()
        try:
            return ledger, PartyIndex(self._index_path, ledger)
        except BaseException:
            ledger.close()
            raise

    def _answer(self, question: Callable[[Sequencer, PartyIndex], T]) -> T:
        return question(self._ledger, self._index)

    def _commit(self) -> None:
        """Commit what waits by now. Each entry has called us once, so what is left over has a call of its own."""
        taken: list[tuple[bytes, Future[Answer]]] = []
        while self._waiting and len(taken) < COMMIT_ENTRIES_MAX:
            data, answer = self._waiting.popleft()
            if answer.set_running_or_notify_cancel():  # not if its client has gone
                taken.append((data, answer))
        if not taken:
            return
        try:
            found = self._ledger.submit([data for data, _answer in taken])
        except Exception as error:  # noqa: BLE001 it is for those who wait
            for _data, answer in taken:
                answer.set_exception(error)
            return
        for (_data, answer), placed in zip(taken, found, strict=True):
            answer.set_result((placed, self._ledger.size))

    def _publish(self) -> None:
        try:
            self._ledger.publish()
        except StorageError as error:
            self._on_failure(error)
