"""The one write path of a ledger: decides with the rules, commits in one transaction, then publishes.

A submit returns only when its entries are durable and have a place. Asking again is always safe: the same bytes
are answered with their first place, other bytes under a known id with a conflict.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from commonwatt.errors import FormatError, StorageError
from commonwatt.identity import SigningKey
from ledger import collector, saved
from ledger.book import batch, entry, mint_bulk, rules
from ledger.book.batch import Batch
from ledger.book.body import MintRun
from ledger.book.columns import Truths
from ledger.book.entry import Entry, SignedEntry
from ledger.book.mint import Mint
from ledger.book.mint_arrays import MintArrays
from ledger.book.refusals import REFUSAL_BY_REASON, Refusal
from ledger.book.state import State
from ledger.book.transfer_bulk import Together
from ledger.log import merkle
from ledger.log.checkpoint import Checkpoint
from ledger.log.publish import Publisher
from ledger.log.tiles import TileTree
from ledger.saved import Saved, SavedState
from ledger.signatures import ENTRIES_MIN, SignaturePool
from ledger.store import pieces
from ledger.store.ids import StoredIds
from ledger.store.pieces import Piece
from ledger.store.schema import Row
from ledger.store.sql import Store

COMMIT_ENTRIES_MAX = 2000
"""Entries of one `submit` that are committed together: more would share pages of balances, and wait longer."""

EARLY_TILES = 64
"""So many full tiles and bundles do not wait for `publish` in memory: they are written while we go on."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Durable, at this place in the log. `is_repeat`: it had been there before this call.

    `warned`: accounts that it left past their soft limit.
    """

    place: int
    is_repeat: bool = False
    warned: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Not in the log and never will be as it stands. `leaf`: which mint leaf of a run, when one is to blame.

    `place`: of the entry that has the id already, for a conflict.
    """

    refusal: Refusal
    leaf: int | None = None
    place: int | None = None


@dataclass(slots=True)
class _Pending:
    """Entries decided but not yet committed."""

    rows: list[Row] = field(default_factory=list)
    by_id: dict[bytes, Row] = field(default_factory=dict)

    def add(self, rows: Iterable[Row]) -> None:
        """Further ones, in the order of the log."""
        start = len(self.rows)
        self.rows += rows
        self.by_id.update((row.entry_id, row) for row in self.rows[start:] if row.entry_id is not None)


class Sequencer:
    """An open ledger. Not for two threads at once. Built by app.open_ledger; closed by `with` or `close`.

    `state` may be read freely between calls and must not be changed. After a StorageError the sequencer is of
    no more use: open the ledger again, and what was not answered is submitted again.
    """

    def __init__(
        self,
        *,
        store: Store,
        state: State,
        tree: TileTree,
        publisher: Publisher,
        signatures: SignaturePool,
        saved: SavedState,
        signed: int,
    ) -> None:
        assert state.size == tree.size == store.size()
        assert isinstance(state.ids, StoredIds)
        self.state = state
        self._ids = state.ids
        self._store = store
        self._tree = tree
        self._publisher = publisher
        self._signatures = signatures
        self._saved = saved
        self._signed = signed
        self._pending = _Pending()
        self._has_failed = False

    def __enter__(self) -> "Sequencer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Keep the state for the next start, and give the database back. Publishes nothing."""
        self.save_state()
        self._publisher.close()
        self._signatures.close()
        self._store.close()

    @property
    def size(self) -> int:
        """How many entries the log has."""
        return self._tree.size

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The last one published by this sequencer."""
        return self._publisher.published

    def submit(self, entries: Sequence[bytes]) -> list[Placed | Refused]:
        """Place signed entries, in order; one answer each. Refused ones leave the others untouched.

        Mint leaves and their run have doors of their own, `mint` and `mint_arrays`. Raises StorageError; then what
        was not yet committed is nowhere.
        """
        answers: list[Placed | Refused] = []
        with collector.paused():
            for read in self._verified(entries):
                with self._all_or_nothing():
                    self._ids.ask(read.ids())
                    answers += self._place_all(read)
                    self._commit()
        return answers

    def mint(
        self,
        run_id: bytes,
        leaves: Sequence[Mint],
        *,
        policy_sha256: bytes,
        window_start_s: int,
        window_end_s: int,
        time_s: int,
        key: SigningKey,
    ) -> Placed | Refused:
        """Place the leaves of one window and the run that the aggregator's `key` signs over them, all or nothing.

        The answer names the run's place; its leaves stand directly before it. `run_id` is the run's entry id:
        asked again with the same leaves, policy and window the first place is answered, with others CONFLICT.
        """
        for index, leaf in enumerate(leaves):
            if not leaf.is_well_formed:
                return Refused(Refusal.MALFORMED, leaf=index)
        data = [leaf.encode() for leaf in leaves]
        hashes = [merkle.leaf_hash(leaf) for leaf in data]
        run = MintRun(
            first=self.size,
            count=len(leaves),
            root=merkle.root(hashes),
            energy_wh=sum(leaf.energy_wh for leaf in leaves),
            total_mc=sum(leaf.amount_mc + leaf.association_mc for leaf in leaves),
            policy_sha256=policy_sha256,
            window_start_s=window_start_s,
            window_end_s=window_end_s,
        )
        with self._all_or_nothing():
            if run_id in self.state.ids:
                return self._minted_before(run_id, run)
            answer = self._stage(leaves, data, hashes) or self._place_run(Entry(run_id, time_s, run), key)
            self._commit()
            return answer

    def mint_arrays(
        self, run_id: bytes, leaves: MintArrays, *, policy_sha256: bytes, time_s: int, key: SigningKey
    ) -> Placed | Refused:
        """`mint` for leaves in columns: the same answers and the same bytes in the log, many times faster.

        Columns of another type, or not all of one length, are MALFORMED as a whole.
        """
        if not leaves.has_its_columns:
            return Refused(Refusal.MALFORMED)
        with self._all_or_nothing():
            placed = self._mint_at_once(run_id, leaves, policy_sha256, time_s, key)
        if placed is not None:
            return placed
        return self.mint(
            run_id,
            [leaves.leaf(row) for row in range(len(leaves))],
            policy_sha256=policy_sha256,
            window_start_s=leaves.window_start_s,
            window_end_s=leaves.window_end_s,
            time_s=time_s,
            key=key,
        )

    def are_held(self, leaves: MintArrays) -> Truths:
        """Which of these leaves a hold stops now: a run that has one is refused as a whole."""
        return mint_bulk.are_held(self.state, leaves)

    def are_barred(self, leaves: MintArrays) -> Truths:
        """Which of these leaves a hold stops that was refused: they are never minted."""
        return mint_bulk.are_barred(self.state, leaves)

    def are_stranded(self, leaves: MintArrays) -> Truths:
        """Which of these leaves can never be minted as they are: of their time a released hold left only a part."""
        return mint_bulk.are_stranded(self.state, leaves)

    def publish(self) -> Checkpoint:
        """Write the tiles and the signed checkpoint of everything committed. Cheap when nothing is new."""
        with self._all_or_nothing():
            return self._publisher.publish(self._tree)

    def save_state(self) -> None:
        """Keep the state, so that the next start need not read everything, if the log has grown by much since the
        last time and is published as it is. Takes a second for half a million accounts."""
        published, grown = self._publisher.published, self.size - self._saved.size
        if self._has_failed or published is None or published.size != self.size or grown < saved.ENTRIES_MIN:
            return
        self._saved.save(Saved(self.state, self._tree, self._signed))

    def find_entry(self, entry_id: bytes) -> bytes | None:
        """The signed entry that has an id, as logged."""
        found = self._store.find(entry_id)
        return found[1] if found else None

    def entry(self, place: int) -> bytes:
        """The entry at a place below `size`, as logged."""
        assert 0 <= place < self.size
        return self._store.entry(place)

    def entries(self, first: int, end: int) -> Iterator[bytes]:
        """The entries from `first` up to `end` or the log's, as logged."""
        if first >= self.size:
            return iter(())
        return (data for data, _leaf_hash in itertools.islice(self._store.entries(first), max(end - first, 0)))

    def _verified(self, entries: Sequence[bytes]) -> Iterator[Batch]:
        """What is committed together, read; the signatures of many are verified in other processes meanwhile."""
        starts = range(0, len(entries), COMMIT_ENTRIES_MAX)
        if len(entries) < ENTRIES_MIN:
            return (batch.read_each(entries[start : start + COMMIT_ENTRIES_MAX]) for start in starts)
        batches = (batch.read(entries[start : start + COMMIT_ENTRIES_MAX]) for start in starts)
        return self._signatures.ahead(self.state, ((read, read) for read in batches))

    def _place_all(self, read: Batch) -> Iterator[Placed | Refused]:
        """Place the usual transfers together, as far as the rules would allow them; everything else one by one."""
        together = Together(self.state, read)
        row = 0
        while row < len(read.entries):
            place, ids = self.state.size, together.take(row)
            if ids:
                data = read.entries[row : row + len(ids)]
                self._pending.add(map(Row, itertools.count(place), ids, data, map(merkle.leaf_hash, data)))
                yield from map(Placed, range(place, self.state.size))
            else:
                signed = read.signed(row, self.state.genesis_sha256)
                yield self._place(signed or _parsed(read.entries[row]), read.entries[row])
            row += len(ids) or 1

    def _place(self, parsed: SignedEntry | Refused, data: bytes) -> Placed | Refused:
        if isinstance(parsed, Refused):
            return parsed
        entry_id = parsed.entry.id
        if entry_id in self.state.ids:
            place, known = self._known(entry_id)
            return Placed(place, is_repeat=True) if known == data else Refused(Refusal.CONFLICT, place=place)
        return self._apply(parsed, entry_id, data)

    def _known(self, entry_id: bytes) -> tuple[int, bytes]:
        pending = self._pending.by_id.get(entry_id)
        found = (pending.place, pending.data) if pending else self._store.find(entry_id)
        assert found is not None, "the state knows an id that the store does not"
        return found

    def _apply(self, parsed: SignedEntry, entry_id: bytes, data: bytes) -> Placed | Refused:
        place = self.state.size
        answer = rules.apply_parsed(self.state, parsed, data, place)
        if isinstance(answer, Refusal):
            return Refused(answer)
        self._pending.add([Row(place, entry_id, data, merkle.leaf_hash(data))])
        return Placed(place, warned=self.state.warned)

    def _stage(self, leaves: Sequence[Mint], data: Sequence[bytes], hashes: Sequence[bytes]) -> Refused | None:
        first = self.state.size
        for index, (leaf, leaf_hash) in enumerate(zip(leaves, hashes, strict=True)):
            refusal = rules.apply_leaf(self.state, leaf, leaf_hash)
            if refusal is not None:
                return self._withdraw(Refused(refusal, leaf=index))
        self._pending.add(map(Row, itertools.count(first), itertools.repeat(None), data, hashes))
        return None

    def _place_run(self, run: Entry, key: SigningKey) -> Placed | Refused:
        signed = run.sign(key, self.state.genesis_sha256)
        answer = self._place(_parsed(signed), signed)
        return self._withdraw(answer) if isinstance(answer, Refused) else answer

    def _mint_at_once(
        self, run_id: bytes, leaves: MintArrays, policy_sha256: bytes, time_s: int, key: SigningKey
    ) -> Placed | None:
        """Place a run in columns; None, and nothing changed, if that is not as usual."""
        credit = mint_bulk.credits_of(self.state, leaves)
        if credit is None:
            return None
        encoded = leaves.encode()
        hashes = encoded.leaf_hashes()
        run = MintRun(
            first=self.size,
            count=len(leaves),
            root=merkle.root(hashes),
            energy_wh=credit.energy_wh,
            total_mc=credit.total_mc,
            policy_sha256=policy_sha256,
            window_start_s=leaves.window_start_s,
            window_end_s=leaves.window_end_s,
        )
        data = Entry(run_id, time_s, run).sign(key, self.state.genesis_sha256)
        signed = entry.parse(data)
        assert isinstance(signed, SignedEntry)
        if not mint_bulk.apply_run(self.state, credit, signed, run):
            return None
        place = self.size + len(leaves)
        encoded.append(data)
        hashes.append(merkle.leaf_hash(data))
        cut = list(pieces.cut_framed(self.size, encoded.framed, encoded.starts, hashes))
        self._write(cut, [(run_id, place)], hashes)
        return Placed(place)

    def _withdraw(self, refused: Refused) -> Refused:
        rules.withdraw_stage(self.state)
        self._pending = _Pending()
        return refused

    def _minted_before(self, run_id: bytes, run: MintRun) -> Placed | Refused:
        place, data = self._known(run_id)
        known = entry.parse(data)
        assert isinstance(known, SignedEntry)
        body = known.entry.body
        if not isinstance(body, MintRun) or _claims(body) != _claims(run):
            return Refused(Refusal.CONFLICT, place=place)
        return Placed(place, is_repeat=True)

    def _commit(self) -> None:
        """Store what is pending."""
        pending, self._pending = self._pending, _Pending()
        if pending.rows:
            cut = list(pieces.cut(pending.rows))
            self._write(cut, pieces.ids_of(pending.rows), [row.leaf_hash for row in pending.rows])

    def _write(self, cut: Sequence[Piece], ids: Sequence[tuple[bytes, int]], leaf_hashes: Sequence[bytes]) -> None:
        """Store entries with the balances after them; only then does the tree know them."""
        self._store.append(cut, ids, self.state.book)
        self._ids.take_fresh()
        self._signed += len(ids)
        self.state.book.forget_touched()
        first = cut[0].first
        for piece in cut:
            start = piece.first - first
            self._tree.extend(piece.entries, leaf_hashes[start : start + piece.entry_count])
        if len(self._tree.finished) >= EARLY_TILES:
            self._publisher.begin(self._tree)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """What fails halfway leaves memory ahead of the disk, so nothing may follow it in this process."""
        if self._has_failed:
            raise StorageError("a commit has failed", where="ledger", to_do="start again; nothing is half done")
        self._has_failed = True
        yield
        self._has_failed = False


def _parsed(data: bytes) -> SignedEntry | Refused:
    """A signed entry from its bytes, or why they are none."""
    try:
        parsed = entry.parse(data)
    except FormatError as error:
        return Refused(REFUSAL_BY_REASON[error.reason])
    return parsed if isinstance(parsed, SignedEntry) else Refused(Refusal.MISPLACED)


def _claims(run: MintRun) -> tuple[object, ...]:
    """What a run says regardless of where it stands."""
    return run.count, run.root, run.policy_sha256, run.window_start_s, run.window_end_s
