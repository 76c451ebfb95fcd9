"""The spool: blocks wait here until a receipt names their batch. All writes belong inside a transaction.

A block is a row; a closed batch is a row that holds its signed bytes once more. Only a few batches are closed at a
time, so a long time offline costs each block's bytes once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from commonwatt.refusal import Refusal
from gateway.database import Database

EXPIRED_AT_ONCE_MAX = 1_000
"""Blocks dropped for their age in one transaction, so that a tick stays short."""
KNOWN_AT_ONCE = 500
"""Hashes looked up in one statement."""
DELIVERED_KEPT_MAX = 20_000
"""Hashes of receipted blocks kept in memory: a device that missed its ack is answered, nothing is sent twice."""
REFUSED_KEPT_MAX = 10_000
"""Blocks that the aggregator refused, kept for people to look at; the oldest go first."""


@dataclass(frozen=True, slots=True)
class NewBlock:
    """A verified block on its way into the spool; `sha256` is over `signed`."""

    device: bytes
    seq: int
    sha256: bytes
    signed: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """A spooled block that no batch carries yet."""

    id: int
    signed: bytes


@dataclass(frozen=True, slots=True)
class ClosedBatch:
    """A signed batch that has no receipt yet."""

    seq: int
    sha256: bytes
    signed: bytes


@dataclass(frozen=True, slots=True)
class RefusedBlock:
    """A block that the aggregator refused for good, kept aside. `refused_s`: civil time of its receipt."""

    device: bytes
    seq: int
    reason: Refusal
    refused_s: int


class Spool:
    """Blocks and batches in the database; counts kept in memory follow the last transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._delivered: dict[bytes, None] = {}
        ((self.waiting_count, self.waiting_bytes),) = database.execute(
            "SELECT count(*), coalesce(sum(length(signed)), 0) FROM block WHERE batch IS NULL"
        )
        ((self.count,),) = database.execute("SELECT count(*) FROM block")
        self._refused = {Refusal(reason): n for reason, n in database.execute(_REFUSED_BY_REASON)}

    def add(self, blocks: Iterable[NewBlock], arrived_s: int, kept_s: int = 0) -> int:
        """Store blocks; returns how many were new. A block that is here, or was delivered lately, is not stored.

        `arrived_s` is civil time; `kept_s` the age clock, by which blocks grow old.
        """
        fresh = {block.sha256: block for block in blocks if block.sha256 not in self._delivered}
        for known in self._known(list(fresh)):
            del fresh[known]
        self._database.execute_many(
            _INSERT, ((b.device, b.seq, b.sha256, b.signed, arrived_s, kept_s) for b in fresh.values())
        )
        self.count += len(fresh)
        self.waiting_count += len(fresh)
        self.waiting_bytes += sum(len(block.signed) for block in fresh.values())
        return len(fresh)

    def expire(self, before_s: int) -> int:
        """Drop the oldest blocks that no batch carries and that arrived before `before_s` (age clock); how many."""
        oldest = self._database.execute(_OLDEST_WAITING)
        if not oldest or oldest[0][0] >= before_s:
            return 0
        rows = self._database.execute(_EXPIRED, (before_s, EXPIRED_AT_ONCE_MAX))
        self._database.execute_many("DELETE FROM block WHERE id = ?", ((row_id,) for row_id, _size in rows))
        self.count -= len(rows)
        self.waiting_count -= len(rows)
        self.waiting_bytes -= sum(size for _row_id, size in rows)
        return len(rows)

    def oldest_waiting(self, *, count_max: int, bytes_max: int) -> list[Waiting]:
        """The next blocks to send, in order of arrival: at most `count_max`, and at least one within `bytes_max`."""
        taken: list[Waiting] = []
        size = 0
        for row_id, signed in self._database.execute(
            "SELECT id, signed FROM block WHERE batch IS NULL ORDER BY id LIMIT ?", (count_max,)
        ):
            size += len(signed)
            if taken and size > bytes_max:
                break
            taken.append(Waiting(row_id, signed))
        return taken

    def next_batch_seq(self) -> int:
        """The number of the next batch: counts on for the life of the spool."""
        rows = self._database.execute("SELECT value FROM meta WHERE key = 'batch_seq'")
        return int(rows[0][0]) if rows else 0

    def close_batch(self, batch: ClosedBatch, blocks: list[Waiting]) -> None:
        """Store a signed batch with the blocks it carries."""
        self._database.execute(
            "INSERT INTO batch (seq, sha256, signed) VALUES (?, ?, ?)", (batch.seq, batch.sha256, batch.signed)
        )
        # The oldest waiting blocks have nothing but blocks of earlier batches between them: one range is all of them.
        self._database.execute(_CARRY, (batch.seq, blocks[0].id, blocks[-1].id))
        self._database.execute("INSERT OR REPLACE INTO meta VALUES ('batch_seq', ?)", (batch.seq + 1,))
        self.waiting_count -= len(blocks)
        self.waiting_bytes -= sum(len(block.signed) for block in blocks)

    def closed_batches(self) -> list[ClosedBatch]:
        """Every batch without a receipt, oldest first."""
        rows = self._database.execute("SELECT seq, sha256, signed FROM batch ORDER BY seq")
        return [ClosedBatch(*row) for row in rows]

    def settle(self, batch_seq: int, refused: Mapping[int, Refusal], now_s: int) -> None:
        """A receipt came: keep the refused blocks aside, forget the batch and its other blocks."""
        rows = self._database.execute(
            "SELECT device, seq, sha256, signed FROM block WHERE batch = ? ORDER BY id", (batch_seq,)
        )
        self._database.execute_many(
            "INSERT INTO refused (device, seq, signed, reason, refused_s) VALUES (?, ?, ?, ?, ?)",
            [(rows[i][0], rows[i][1], rows[i][3], int(reason), now_s) for i, reason in refused.items()],
        )
        self._database.execute(_DROP_OLDEST_REFUSED, (REFUSED_KEPT_MAX,))
        self._database.execute("DELETE FROM block WHERE batch = ?", (batch_seq,))
        self._database.execute("DELETE FROM batch WHERE seq = ?", (batch_seq,))
        self.count -= len(rows)
        for reason in refused.values():
            self._refused[reason] = self._refused.get(reason, 0) + 1
        self._remember(row[2] for row in rows)

    def block_count(self, batch_seq: int) -> int:
        """How many blocks a closed batch carries."""
        ((count,),) = self._database.execute("SELECT count(*) FROM block WHERE batch = ?", (batch_seq,))
        return int(count)

    def refused_by_reason(self) -> dict[str, int]:
        """How many blocks the aggregator refused, by the reason's label."""
        return {reason.label: count for reason, count in sorted(self._refused.items())}

    def newest_refused(self, count_max: int) -> list[RefusedBlock]:
        """The blocks that the aggregator refused last, newest first."""
        rows = self._database.execute(
            "SELECT device, seq, reason, refused_s FROM refused ORDER BY id DESC LIMIT ?", (count_max,)
        )
        return [RefusedBlock(device, seq, Refusal(reason), refused_s) for device, seq, reason, refused_s in rows]

    def oldest_arrival_s(self) -> int | None:
        """Civil time at which the oldest block without a receipt arrived."""
        rows = self._database.execute("SELECT arrived_s FROM block ORDER BY id LIMIT 1")
        return int(rows[0][0]) if rows else None

    def size_bytes(self) -> int:
        """What the spool takes on the disk, without the write-ahead log."""
        return self._database.size_bytes()

    def registry(self) -> bytes | None:
        """The signed registry snapshot kept last."""
        rows = self._database.execute("SELECT value FROM meta WHERE key = 'registry'")
        return bytes(rows[0][0]) if rows else None

    def keep_registry(self, signed: bytes) -> None:
        """Keep a snapshot, so that a restarted gateway can verify before the broker delivers it again."""
        self._database.execute("INSERT OR REPLACE INTO meta VALUES ('registry', ?)", (signed,))

    def _known(self, hashes: list[bytes]) -> Iterator[bytes]:
        """Which of these are in the spool: asked first, because a broker that redelivers sends nothing else."""
        for start in range(0, len(hashes), KNOWN_AT_ONCE):
            asked = hashes[start : start + KNOWN_AT_ONCE]
            marks = ",".join("?" * len(asked))
            for (known,) in self._database.execute(f"SELECT sha256 FROM block WHERE sha256 IN ({marks})", asked):  # noqa: S608 (question marks only)
                yield known

    def _remember(self, hashes: Iterable[bytes]) -> None:
        self._delivered.update(dict.fromkeys(hashes))
        while len(self._delivered) > DELIVERED_KEPT_MAX:
            del self._delivered[next(iter(self._delivered))]


_CARRY = "UPDATE block SET batch = ? WHERE batch IS NULL AND id BETWEEN ? AND ?"
_INSERT = "INSERT INTO block (device, seq, sha256, signed, arrived_s, kept_s) VALUES (?, ?, ?, ?, ?, ?)"
_OLDEST_WAITING = "SELECT kept_s FROM block WHERE batch IS NULL ORDER BY id LIMIT 1"
_EXPIRED = "SELECT id, length(signed) FROM block WHERE batch IS NULL AND kept_s < ? ORDER BY id LIMIT ?"
_REFUSED_BY_REASON = "SELECT reason, count(*) FROM refused GROUP BY reason"
_DROP_OLDEST_REFUSED = "DELETE FROM refused WHERE id <= (SELECT max(id) - ? FROM refused)"
