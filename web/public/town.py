"""Reads a commune's directory for the public pages: the totals that may be told, and what the log says.

Anybody may look as often as they like: what was read a moment ago is shown again.
"""

import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from aggregator import reading
from aggregator.commune.directory import CommuneDirectory
from aggregator.followed_log import FollowedLog
from aggregator.observe import witnesses
from aggregator.observe.witnesses import Witnesses
from aggregator.privacy import public
from aggregator.privacy.public import PublicTotal
from commonwatt.clock import CivilClock, Protocolar
from commonwatt.registry import Status
from commonwatt.units import INT64_MAX
from ledger.book.body import AdmitAccount
from ledger.book.kinds import Subject
from ledger.book.state import State
from ledger.book.units import ISSUANCE
from web.public import figures

FRESH_S = 5.0
"""How long an answer is good for."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What never changes while a commune is open."""

    title: str
    origin: str
    trial: bool
    genesis_sha256: str
    vkey: str


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

    facts: Facts
    totals: list[PublicTotal]
    money: Money
    head: Head


class TownReader:
    """A commune's directory, read again when what was read is no longer fresh. May be asked from many threads."""

    def __init__(self, directory: Path, *, zone: ZoneInfo, clock: Protocolar, wall: CivilClock) -> None:
        commune = CommuneDirectory(directory).load()
        self.zone = zone
        self._directory, self._clock, self._wall = directory, clock, wall
        self._facts = Facts(commune.title, commune.origin, commune.trial, commune.genesis_sha256, commune.log_vkey)
        self._log = FollowedLog(directory)
        self._lock = threading.Lock()
        self._seen: tuple[float, Town] | None = None

    def look(self) -> Town:
        """The commune now. StorageError or UserError if its log or database cannot be read."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            if self._seen is None or now_s - self._seen[0] >= FRESH_S:
                self._seen = now_s, self._read()
            return self._seen[1]

    def totals(self, start_s: int = 0, end_s: int = INT64_MAX) -> list[PublicTotal]:
        """The public totals of the closed intervals in `[start_s, end_s)`; none before anything was measured."""
        try:
            with reading.reading(self._directory) as connection:
                return list(public.between(connection, start_s, end_s))
        except reading.NothingMeasuredError:
            return []

    def _read(self) -> Town:
        self._log.step()
        state = self._log.state
        head = Head(
            size=self._log.checkpoint.size,
            root=self._log.checkpoint.root.hex(),
            witnesses=witnesses.look(self._directory, wall_s=self._wall.now_s()),
        )
        return Town(self._facts, self._last_week(), _money(state), head)

    def _last_week(self) -> list[PublicTotal]:
        try:
            with reading.reading(self._directory) as connection:
                last_s = public.last_end_s(connection)
                if last_s is None:
                    return []
                return list(public.between(connection, figures.first_s(last_s - 1, self.zone), last_s))
        except reading.NothingMeasuredError:
            return []


def _money(state: State) -> Money:
    subjects = Counter(
        row.admission.subject
        for row in state.admissions.by_id.values()
        if isinstance(row.admission, AdmitAccount) and row.status is Status.ACTIVE
    )
    return Money(-state.book.balance_mc(ISSUANCE), subjects[Subject.MEMBER], subjects[Subject.MERCHANT])
