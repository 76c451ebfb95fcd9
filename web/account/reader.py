"""Reads an account: the followed book first, briefly and alone; then the database, the names, the policies."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from aggregator.policy.rules import Policy
from commonwatt.errors import UserError
from ledger.book import entry, mint
from ledger.book.body import AdmitDevice
from ledger.book.entry import SignedEntry
from ledger.book.kinds import DeviceRole, Kind
from ledger.book.state import State
from web import units
from web.account import behind, movements
from web.account.behind import Held, Line, Plug
from web.account.movements import Movement
from web.account.sentences import Known
from web.book.books import Books
from web.book.followed import FollowedBook
from web.book.index import Row
from web.kept import Kept
from web.names import Names

LINES_KEPT, PLUGS_KEPT, POLICIES_KEPT = 4096, 1024, 64
SHORT_S = 3600
"""A window so short says well enough when something was: its lines need not be looked at in a list."""


class Lines(Enum):
    """Of which mints the lines are read: of none, of those whose window says too little, of all."""

    NONE = "none"
    OF_LONG = "long"
    ALL = "all"


Choose = Callable[[FollowedBook], Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Seen:
    """Movements of an account, and what their sentences are made from."""

    movements: list[Movement]
    known: Known


class AccountReader:
    """Of one commune. May be asked from many threads."""

    def __init__(self, directory: Path, database_url: str, books: Books, names: Names, zone: ZoneInfo) -> None:
        self.zone = zone
        self._directory, self._database_url = directory, database_url
        self._books, self._names = books, names
        self._policy = lru_cache(maxsize=POLICIES_KEPT)(_policy)
        self._lines: Kept[bytes, list[Line]] = Kept(LINES_KEPT)  # by the leaf's nonce
        self._plugs: Kept[tuple[bytes, ...], list[Plug]] = Kept(PLUGS_KEPT)

    def see(self, holder: bytes, choose: Choose, *, lines: Lines = Lines.OF_LONG) -> Seen:
        """The movements that `choose` picks, with as many lines behind mints."""
        with self._books.now() as book:
            found = movements.read(book, choose(book))
            meters = _meters(book, holder)
            texts = {row.place: _policy_text(book, row) for row in found if row.mint is not None}
            unit_names = units.names_of(book.state)
        wanted = [
            row
            for row in found
            if row.mint is not None and (lines is Lines.ALL or (lines is Lines.OF_LONG and _is_long(row.mint)))
        ]
        behind_mints = self._lines_of(wanted)
        policies = {place: self._policy(text) for place, text in texts.items()}
        return Seen(found, Known(holder, self._names, meters, unit_names, behind_mints, policies))

    def plugs(self, mints: Sequence[Movement], meters: dict[bytes, DeviceRole]) -> list[Plug]:
        """What meters behind the main meter used of what neighbours covered, in these mints."""
        by_role = {
            role: sorted(device for device, its in meters.items() if its is role)
            for role in (DeviceRole.MAIN, DeviceRole.SUB_METER)
        }
        leaves = [row.mint for row in mints if row.mint is not None and row.mint.source == mint.SOURCE_MATCHED]
        if not leaves or not by_role[DeviceRole.SUB_METER]:
            return []
        key = tuple(leaf.nonce for leaf in leaves)
        found = self._plugs.find(key)
        if found is None:
            rows = [line for lines in self._lines_of(mints).values() for line in lines]
            with behind.looking(self._directory, self._database_url) as connection:
                if connection is None:
                    return []
                found = behind.plugs(connection, by_role[DeviceRole.MAIN], by_role[DeviceRole.SUB_METER], rows)
            self._plugs.keep(key, found)
        return found

    def held(self, meters: Iterable[bytes]) -> list[Held]:
        """What of these meters waits for a steward."""
        with behind.looking(self._directory, self._database_url) as connection:
            return behind.held(connection, meters)

    def _lines_of(self, found: Iterable[Movement]) -> dict[int, list[Line]]:
        """By place, of those that are mints."""
        leaves = {row.place: row.mint for row in found if row.mint is not None}
        known = {place: self._lines.find(leaf.nonce) for place, leaf in leaves.items()}
        missing = [place for place, lines in known.items() if lines is None]
        if missing:
            with behind.looking(self._directory, self._database_url) as connection:
                for place in missing:
                    read = behind.lines(connection, leaves[place])
                    known[place] = self._lines.keep(leaves[place].nonce, read) if read else []
        return {place: lines or [] for place, lines in known.items()}


def _is_long(leaf: mint.Mint) -> bool:
    return leaf.window_end_s - leaf.window_start_s > SHORT_S


def _meters(book: FollowedBook, holder: bytes) -> dict[bytes, DeviceRole]:
    """The roles of a holder's meters: their admissions concern them."""
    found = {}
    for row in book.index.rows(holder, kinds=[Kind.ADMIT]):
        data = book.entry(row.place)
        parsed = entry.parse(data) if data else None
        if isinstance(parsed, SignedEntry) and isinstance(parsed.entry.body, AdmitDevice):
            found[parsed.entry.body.id] = parsed.entry.body.role
    return found


def _policy_text(book: FollowedBook, row: Movement) -> str:
    run = book.index.run_of(row.place)
    state: State = book.state
    return state.policy_texts.get(run.policy_sha256, "") if run is not None else ""


def _policy(text: str) -> Policy | None:
    """None for one that this version does not read, as trials of earlier ones have."""
    try:
        return Policy.parse(text, where="the log") if text else None
    except UserError:
        return None
