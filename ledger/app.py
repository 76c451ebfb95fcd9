"""Builds a ledger from a commune's directory:

DIR/commune.toml   origin, genesis_sha256, log_vkey, … (written by `commonwatt init`)
DIR/keys/log.key   the log's own key
DIR/ledger.toml    settings, if any    DIR/ledger.db   the store, unless they name another
DIR/log/           the published log   DIR/head.db     the last head signed (head.py)
DIR/ledger.state   what its state was, so that a start need not read everything (saved.py)
DIR/witnesses.policy   who cosigns (C2SP tlog-policy), if anyone does
"""

import itertools
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pydantic import ConfigDict, Field

from commonwatt import settings
from commonwatt.errors import FormatError, StorageError, UserError
from commonwatt.identity import SigningKey, load_key
from ledger import saved as saved_states
from ledger import settings as ledger_settings
from ledger import signatures
from ledger.book import batch, entry, rules
from ledger.book.batch import Batch
from ledger.book.mint import is_leaf
from ledger.book.reader import LogReader
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.head import HeadPublisher
from ledger.log import merkle, tiles
from ledger.log.checkpoint import Checkpoint
from ledger.log.note import Signer
from ledger.log.publish import Publisher
from ledger.log.tiles import WIDTH, TileTree
from ledger.saved import Saved, SavedState
from ledger.sequencer import Sequencer
from ledger.signatures import SignaturePool
from ledger.store.ids import StoredIds
from ledger.store.schema import Row
from ledger.store.sql import Store
from ledger.witness import client as witness_client
from ledger.witness import policy as tlog_policy
from ledger.witness.policy import TlogPolicy

log = logging.getLogger(__name__)

COMMUNE_FILE = "commune.toml"
LOG = "log"
HEAD = "head.db"
LOG_VKEY = "log.vkey"
LOG_KEY = "keys/log.key"

READ_TOGETHER = 2000
"""Entries that a start reads together: in columns a few thousand cost least each."""

_HEX_32 = r"^[0-9a-f]{64}$"


class Commune(settings.Settings):
    """What the ledger needs of commune.toml; the other parts read their own keys from it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(description="the commune's slug, as in the genesis entry")
    origin: str = Field(description="the log's name in its checkpoints")
    genesis_sha256: str = Field(pattern=_HEX_32, description="what every signature is bound to: this very ledger")
    log_vkey: str = Field(description="the log's public key, so that everyone checks the same log")
    trial: bool = Field(description="whether this is a rehearsal; a trial and a real ledger never mix")
    association: str = Field(pattern=r"^[0-9a-f]{32}$", description="the association's account")


def load_commune(directory: Path) -> Commune:
    """Read DIR/commune.toml; UserError names the mistake."""
    return settings.load(Commune, directory / COMMUNE_FILE)


def create_ledger(directory: Path, genesis: bytes, log_key: SigningKey) -> Sequencer:
    """Begin a ledger with this signed genesis entry: the store, the published log and its vkey file.

    UserError if the entry is refused; StorageError if a ledger is there already.
    """
    state = rules.apply(State(), genesis, 0)
    if isinstance(state, Refusal):
        raise UserError(f"the genesis entry is refused: {state.label}", where=directory)
    origin = state.founded.genesis.origin
    parsed = entry.parse(genesis)
    assert isinstance(parsed, entry.SignedEntry)
    directory.mkdir(parents=True, exist_ok=True)
    signer = Signer(origin, log_key)
    (directory / LOG_VKEY).write_text(f"{signer.verifier}\n")
    row = Row(0, parsed.entry.id, genesis, merkle.leaf_hash(genesis))
    Store.create(ledger_settings.load(directory).engine(directory), [[row]], dict).close()
    return open_parts(directory, signer)


def open_ledger(directory: Path, *, log_key: SigningKey | None = None, pages_max: int | None = None) -> Sequencer:
    """Open a commune's ledger for writing, exclusively: replay what came after the saved state, compare, repair the
    published files from there on, publish.

    `log_key` is read from DIR/keys/log.key unless given. StorageError when the store is locked, does not replay,
    differs from its balances, is not the ledger of commune.toml, or is older than what was published.
    """
    commune = load_commune(directory)
    signer = Signer(commune.origin, log_key or load_key(directory / LOG_KEY))
    if str(signer.verifier) != commune.log_vkey:
        raise UserError("the log key is not the one of commune.toml", where=directory / LOG_KEY)
    sequencer = open_parts(directory, signer, pages_max=pages_max)
    if sequencer.state.genesis_sha256.hex() != commune.genesis_sha256:
        sequencer.close()
        raise StorageError(
            "the genesis entry is not the one of commune.toml",
            where=directory,
            to_do="put the ledger and its commune.toml together again",
        )
    return sequencer


def open_parts(directory: Path, signer: Signer, *, pages_max: int | None = None) -> Sequencer:
    """`open_ledger` without commune.toml."""
    engine = ledger_settings.load(directory).engine(directory, pages_max=pages_max)
    store = Store(engine)
    try:
        publisher = HeadPublisher(directory / LOG, signer, head=directory / HEAD)
        saved = SavedState(directory / saved_states.FILE, signer.key)
        state, tree, signed = _rebuild(store, publisher, saved)
        policy = load_witnesses(directory)
        if policy is not None:
            witness_client.check_none_is_ahead(policy, signer.verifier, tree.size, store.where)
        _compare_balances(store, state)
        publisher.publish(tree)
    except BaseException:
        store.close()
        raise
    return Sequencer(
        store=store,
        state=state,
        tree=tree,
        publisher=publisher,
        signatures=SignaturePool(),
        saved=saved,
        signed=signed,
    )


def load_witnesses(directory: Path) -> TlogPolicy | None:
    """DIR/witnesses.policy, None if there is none; UserError names the line of a mistake."""
    path = directory / tlog_policy.FILE
    try:
        return tlog_policy.parse(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, UnicodeDecodeError, FormatError) as error:
        raise UserError(f"not a tlog policy: {error}", where=path) from error


def _rebuild(store: Store, publisher: Publisher, saved: SavedState) -> tuple[State, TileTree, int]:
    """Replay the store from the saved state on; check what is published against it on the way; write full tiles that
    are missing. The state, the tree, and how many entries are signed ones."""
    published = publisher.last_checkpoint()
    if published is not None and published.size > store.size():
        raise _rolled_back(store.where, published, store.size())
    before = _saved_before(store, published, saved)
    saved.size = before.tree.size
    ids = StoredIds(store)
    ids.go_on(before.state.ids)
    before.state.ids = ids
    reader, tree, signed = LogReader(before.state), before.tree, before.signed
    with closing(signatures.pool_for(store.size() - tree.size)) as pool:
        for group, read in pool.ahead(reader.state, _groups(store, tree.size)):
            hashes = [leaf_hash for part in group for leaf_hash in part.hashes]
            if not reader.read(read.entries, hashes, read):
                break
            for part in group:
                _grow(tree, part.entries, part.hashes, published, store)
            signed += _compare_ids(ids.take_fresh(), read.entries, group[0].first, store)
            publisher.write_tiles(tree.take_finished())
    if not reader.finish():
        assert reader.refused is not None
        raise _damaged(store.where, f"entry {reader.size} is refused: {reader.refused.label}")
    if reader.state.size == 0:
        raise _damaged(store.where, "it is empty")
    if signed != store.signed():
        raise _damaged(store.where, "there are more ids than signed entries")
    ids.is_reading = False
    return reader.state, tree, signed


def _saved_before(store: Store, published: Checkpoint | None, saved: SavedState) -> Saved:
    """The saved state, if this very store and log go on from it; otherwise the one before the first entry."""
    found, nothing = saved.load(), Saved(State(), TileTree(), 0)
    if found is None:
        return nothing
    size = found.tree.size
    is_published = published is not None and (
        published.size > size or (published.size, published.root) == (size, found.tree.root())
    )
    if is_published and store.size() >= size and _ends_alike(store, found.tree):
        return found
    log.warning("the whole log is read: it does not go on from the saved state of %d entries", size)
    return nothing


def _ends_alike(store: Store, tree: TileTree) -> bool:
    """Whether the entries of the unfinished tile are the store's too."""
    first, entries, hashes = tree.size - tree.size % WIDTH, b"", b""
    if first == tree.size:
        return True
    for piece in itertools.takewhile(lambda piece: piece.first < tree.size, store.pieces(first)):
        entries += piece.entries
        hashes += piece.leaf_hashes
    return entries == b"".join(tree.bundle) and hashes == b"".join(tree.hashes[0])


class _Opened(NamedTuple):
    """A piece of the store whose leaf hashes are those of its entries."""

    first: int
    entries: list[bytes]
    hashes: list[bytes]


def _groups(store: Store, first: int) -> Iterator[tuple[tuple[list[_Opened], Batch], Batch]]:
    """The store's pieces from entry `first` on, some thousand entries at a time, and what their entries say."""
    group: list[_Opened] = []
    for piece in store.pieces(first) if first < store.size() else ():
        entries, hashes = store.open_piece(piece)
        computed = merkle.slot_hashes(entries, hashes)
        if computed != hashes:
            place = next(place for place, pair in enumerate(zip(computed, hashes, strict=True)) if pair[0] != pair[1])
            raise _damaged(store.where, f"entry {piece.first + place} has another leaf hash")
        group.append(_Opened(piece.first, entries, hashes))
        if piece.first == 0 or piece.first + len(entries) - group[0].first >= READ_TOGETHER:
            yield from _read_together(group)
            group = []
    if group:
        yield from _read_together(group)


def _read_together(group: list[_Opened]) -> Iterator[tuple[tuple[list[_Opened], Batch], Batch]]:
    read = batch.read([data for part in group for data in part.entries])
    yield (group, read), read


def _grow(
    tree: TileTree, entries: list[bytes], hashes: list[bytes], published: Checkpoint | None, store: Store
) -> None:
    """Add entries to the tree, and look at its root where it has the published size."""
    stops = {len(entries)}
    if published is not None and tree.size < published.size < tree.size + len(entries):
        stops.add(published.size - tree.size)
    start = 0
    for stop in sorted(stops):
        tree.extend(tiles.encode_bundle(entries[start:stop]), hashes[start:stop])
        if published is not None and tree.size == published.size and tree.root() != published.root:
            raise _forked(store.where, published)
        start = stop


def _compare_ids(ids: list[bytes], entries: Sequence[bytes], first: int, store: Store) -> int:
    """The store must know the id of each signed entry, and its place; how many there are."""
    places = [place for place, data in enumerate(entries, first) if data and not is_leaf(data)]
    if store.places(ids) != dict(zip(ids, places, strict=True)):
        raise _damaged(store.where, f"the ids from entry {first} on are not those of the entries")
    return len(ids)


def _compare_balances(store: Store, state: State) -> None:
    accounts = state.book.accounts
    rows = zip(accounts.names, accounts.debits_mc, accounts.credits_mc, strict=True)
    replayed = {
        account: (debits_mc, credits_mc) for account, debits_mc, credits_mc in rows if debits_mc or credits_mc
    }
    if replayed != store.balances():
        raise _damaged(store.where, "the stored balances are not those of the entries")
    state.book.forget_touched()


def _damaged(where: object, what: str) -> StorageError:
    return StorageError(
        f"the ledger was changed behind our back: {what}",
        where=where,
        to_do="restore a backup that is as new as the published log",
    )


def _rolled_back(where: object, published: Checkpoint, size: int) -> StorageError:
    return StorageError(
        f"the published checkpoint has {published.size} entries, the database {size}: it is an older copy",
        where=where,
        to_do="restore the newest database; we never sign a smaller tree than the one published",
    )


def _forked(where: object, published: Checkpoint) -> StorageError:
    return StorageError(
        f"the published checkpoint of {published.size} entries has another root than the database",
        where=where,
        to_do="restore the database that was published; we never sign a second history",
    )
