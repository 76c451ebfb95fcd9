"""The thread that owns a served ledger: entries that wait are committed together, and a failed store ends it."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commonwatt.errors import StorageError
from ledger import app, testing
from ledger.book.refusals import Refusal
from ledger.http.desk import Answer, Desk
from ledger.log.note import Signer
from ledger.sequencer import Placed, Refused, Sequencer
from ledger.store.engine import engine_for
from ledger.store.sql import Store

SIGNER = Signer(testing.ORIGIN, testing.LOG_KEY)


@pytest.fixture
def commune(tmp_path: Path) -> Path:
    """Seven entries; ana has 10 credits."""
    with testing.village(tmp_path, "ana", "ben") as ledger:
        testing.mint(ledger, [testing.earned("ana", 10_000, 1000)])
    return tmp_path


@contextmanager
def serving(commune: Path, failures: list[StorageError], **limits: int) -> Iterator[Desk]:
    """A desk on the commune's ledger; `failures`: what it tells whoever started it."""

    def opened() -> Sequencer:
        return app.open_parts(commune, SIGNER, **limits)

    desk = Desk(open_ledger=opened, index=commune / "parties.db", on_failure=failures.append)
    try:
        yield desk
    finally:
        desk.close()


async def all_at_once(desk: Desk, entries: list[bytes]) -> list[Answer | BaseException]:
    """Submit while the desk is busy with something else, each for a client of its own."""
    may_go_on = threading.Event()
    busy = asyncio.ensure_future(desk.ask(lambda _ledger, _index: may_go_on.wait(30)))
    waiting = [asyncio.ensure_future(desk.submit(data)) for data in entries]
    await asyncio.sleep(0)  # each has queued, and waits
    waiting[-1].cancel()
    await asyncio.wait(waiting[-1:])
    may_go_on.set()
    assert await busy
    return await asyncio.gather(*waiting, return_exceptions=True)


def test_entries_when_many_wait(commune: Path) -> None:
    """One commit for all; each gets its own answer, and whose client has gone is not placed."""
    failures: list[StorageError] = []
    payments = [testing.pay("ana", "ben", 1, f"payment {number}") for number in range(20)]
    entries = [
        *payments[:9],
        testing.pay("ben", "ana", 10**9),
        payments[0],
        *payments[9:],
        testing.pay("ana", "ben", 2),
    ]
    with serving(commune, failures) as desk:
        *answers, gone = asyncio.run(all_at_once(desk, entries))
    assert isinstance(gone, asyncio.CancelledError)
    size = 27
    assert answers == [
        *((Placed(7 + number), size) for number in range(9)),
        (Refused(Refusal.INSUFFICIENT_FUNDS), size),
        (Placed(7, is_repeat=True), size),
        *((Placed(7 + number), size) for number in range(9, 20)),
    ]
    assert failures == []


def test_commit_when_many_waited(commune: Path) -> None:
    """The store has them in one piece: they were one transaction."""
    entries = [testing.pay("ana", "ben", 1, f"payment {number}") for number in range(21)]
    with serving(commune, []) as desk:
        asyncio.run(all_at_once(desk, entries))
    with Store(engine_for(f"sqlite:///{commune / 'ledger.db'}")) as store:
        assert [row.entry_count for row in store.pieces(7)] == [20]


def test_entries_when_the_store_fails(commune: Path) -> None:
    """Everyone who waited is told, the server is to end, and what was not answered is nowhere."""
    failures: list[StorageError] = []
    with sqlite3.connect(commune / "ledger.db") as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.close()
    entries = [testing.pay("ana", "ben", 1, f"{number} {'x' * 200}") for number in range(200)]
    with serving(commune, failures, pages_max=pages + 8) as desk:
        *answers, _gone = asyncio.run(all_at_once(desk, entries))
    assert all(isinstance(answer, StorageError) for answer in answers)
    assert len(failures) == len(answers)
    with app.open_parts(commune, SIGNER) as ledger:
        assert ledger.size == 7


def test_index_when_it_is_damaged(commune: Path) -> None:
    """It is derived: the message says that it may go."""
    (commune / "parties.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError, match="delete the file and start again"), serving(commune, []):
        pass
    (commune / "parties.db").unlink()
    with serving(commune, []) as desk:
        assert asyncio.run(desk.ask(lambda _ledger, index: index.places(testing.ident("ben"), after=-1, limit=9)))
