"""Reads a commune's directory for the public pages: the totals that may be told, and what the log says.

Anybody may look as often as they like: what was read a moment ago is shown again.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from aggregator import reading
from aggregator.observe import witnesses
from aggregator.observe.witnesses import Witnesses
from aggregator.privacy import public
from aggregator.privacy.public import PublicTotal
from commonwatt.clock import CivilClock, Protocolar
from commonwatt.registry import Status
from ledger.app import load_witnesses
from ledger.book.body import AdmitAccount
from ledger.book.kinds import Subject
from ledger.book.state import State
from ledger.book.units import ISSUANCE
from ledger.proof import trust
from ledger.proof.trust import Change, TrustFile
from ledger.witness import policy as tlog_policy
from web.book.books import Books
from web.facts import Facts
from web.month import Month
from web.public import figures

FRESH_S = 5.0
"""How long an answer is good for."""


@dataclass(frozen=True, slots=True)
class Money:
    """Energy credits in circulation, milli-credits, and who takes part."""

    outstanding_mc: int
    members: int
    merchants: int


@dataclass(frozen=True, slots=True)
class Head:
    """The newest published head; `witnesses` is None where nobody is asked to witness."""

    size: int
    root: str
    witnesses: Witnesses | None


@dataclass(frozen=True, slots=True)
class Town:
    """What the public pages show at one moment."""

    totals: list[PublicTotal]
    money: Money
    head: Head
    constitution: TrustFile
    """What verifiers pin beforehand."""


class Pinned:
    """What verifiers pin of a log: its first entry, and what became of roles' keys. Looks at each entry once."""

    def __init__(self) -> None:
        self.genesis = b""
        self.changes: list[Change] = []

    def __call__(self, first: int, entries: Sequence[bytes]) -> None:
        """See entries from the place `first` on."""
        self.genesis = self.genesis or entries[0]
        self.changes += trust.changes_of(entries, first)


class TownReader:
    """A commune's directory, read again when what was read is no longer fresh. May be asked from many threads.

    Of the log it reads what is published, and no key: who breaks in here can neither sign nor find out names.
    """

    def __init__(
        self,
        directory: Path,
        facts: Facts,
        books: Books,
        pinned: Pinned,
        *,
        zone: ZoneInfo,
        clock: Protocolar,
        wall: CivilClock,
        database_url: str = "",
    ) -> None:
        self.zone = zone
        self._directory, self._clock, self._wall = directory, clock, wall
        self._facts, self._books, self._pinned = facts, books, pinned
        self._database_url = database_url
        self._lock = threading.Lock()
        self._seen: tuple[float, Town] | None = None

    def look(self) -> Town:
        """The commune now. StorageError or UserError if its log or database cannot be read."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            if self._seen is None or now_s - self._seen[0] >= FRESH_S:
                self._seen = now_s, self._read()
            return self._seen[1]

    def totals(self, start_s: int, end_s: int) -> list[PublicTotal]:
        """The public totals of the closed intervals in `[start_s, end_s)`."""
        with self._reading() as connection:
            return list(public.between(connection, start_s, end_s)) if connection is not None else []

    def months(self) -> list[Month]:
        """Of which something is told, the newest first."""
        with self._reading() as connection:
            last_s = public.last_end_s(connection) if connection is not None else None
            if connection is None or last_s is None:
                return []
            first_s = public.first_end_s(connection) or last_s
            months = Month.of(first_s - 1).until(Month.of(last_s - 1))
            return [month for month in reversed(months) if _has_any(connection, month)]

    def _read(self) -> Town:
        with self._books.now() as book:
            money, checkpoint = _money(book.state), book.checkpoint
            genesis, changes = self._pinned.genesis, tuple(self._pinned.changes)
        head = Head(
            size=checkpoint.size,
            root=checkpoint.root.hex(),
            witnesses=witnesses.look(self._directory, wall_s=self._wall.now_s()),
        )
        return Town(self._last_week(), money, head, self._constitution(genesis, changes))

    def _constitution(self, genesis: bytes, changes: tuple[Change, ...]) -> TrustFile:
        policy = load_witnesses(self._directory)
        text = (self._directory / tlog_policy.FILE).read_text(encoding="utf-8") if policy else ""
        return TrustFile(log_vkey=self._facts.vkey, genesis=genesis.hex(), witnesses=text, changes=changes)

    def _last_week(self) -> list[PublicTotal]:
        with self._reading() as connection:
            last_s = public.last_end_s(connection) if connection is not None else None
            if connection is None or last_s is None:
                return []
            return list(public.between(connection, figures.first_s(last_s - 1, self.zone), last_s))

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection | None]:
        """The aggregator's database at one moment; None before anything was measured."""
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(reading.reading(self._directory, self._database_url))
            except reading.NothingMeasuredError:
                connection = None
            yield connection


def _has_any(connection: sa.Connection, month: Month) -> bool:
    """Whether an interval of this month was closed."""
    return bool(public.since(connection, month.start_s, until_s=month.next.start_s, limit=1))


def _money(state: State) -> Money:
    subjects = Counter(
        row.admission.subject
        for row in state.admissions.by_id.values()
        if isinstance(row.admission, AdmitAccount) and row.status is Status.ACTIVE
    )
    return Money(-state.book.balance_mc(ISSUANCE), subjects[Subject.MEMBER], subjects[Subject.MERCHANT])
