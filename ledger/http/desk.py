"""The one thread that owns an open ledger while it is served: requests queue for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from commonwatt.errors import StorageError
from ledger.http.index import PartyIndex
from ledger.sequencer import Placed, Refused, Sequencer

T = TypeVar("T")


class Desk:
    """`open_ledger` is called in the desk's own thread. `on_failure` is told that the store failed: we must end."""

    def __init__(
        self, *, open_ledger: Callable[[], Sequencer], index: Path, on_failure: Callable[[StorageError], None]
    ) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._on_failure = on_failure
        self._index_path = index
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

    async def submit(self, data: bytes) -> tuple[Placed | Refused, int]:
        """Place one entry: the answer, durable, and the size of the log. Publishing follows, out of its way."""
        answer = await self.ask(lambda ledger, _index: (ledger.submit([data])[0], ledger.size))
        self._thread.submit(self._publish)
        return answer

    def _open(self, open_ledger: Callable[[], Sequencer]) -> tuple[Sequencer, PartyIndex]:
        ledger = open_ledger()
        return ledger, PartyIndex(self._index_path, ledger)

    def _answer(self, question: Callable[[Sequencer, PartyIndex], T]) -> T:
        return question(self._ledger, self._index)

    def _publish(self) -> None:
        try:
            self._ledger.publish()
        except StorageError as error:
            self._on_failure(error)
