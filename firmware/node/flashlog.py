"""The journal on raw flash: after any power cut it tells what was sampled, signed and acknowledged. Two rings.

    samples ring  SAMPLE   [time_s, [[quantity, wh], ...]]                   read, not yet in a signed block
                  UNDATED  [boot, ticks_ms, [[quantity, wh], ...]]           read before that start knew the time
                  DATED    [boot]                                            it learnt it: some are SAMPLEs now
    blocks ring   STATE    [next seq, link, last time or null, {reason: refused}, dropped]  first in each sector
                  BLOCK    seq (8, little-endian), time of its last reading (8), signed bytes
                  SETTLED  [seq, reason]                                     acknowledged (0) or refused for good

Samples younger than the newest block wait to be signed. A SETTLED always lies behind its block and outlives it.
When the blocks ring is full the oldest sector goes, whatever waits in it: those blocks are `dropped` and counted, the
gap shows in `seq`, and no energy is lost, because the next block's registers are cumulative.
A block that was durable and went bad leaves its seq unused for ever, so that no seq is ever signed twice; a journal
that was wiped goes on where node/horizon.py says. Undated readings of a start that never learnt the time are counted
in `undatable`: ticks mean nothing afterwards, so only the register goes on.
"""

from array import array
from hashlib import sha256

from node import cbor
from node.block import FIRST_LINK, SIGNED_SIZE_MAX
from node.port import const
from node.ring import AROUND, Ring

_STATE = const(1)
_SAMPLE = const(2)
_BLOCK = const(3)
_SETTLED = const(4)
_UNDATED = const(5)
_DATED = const(6)
_SEQ = const(8)
_NUMBERS = const(16)
_TRIM = const(32)  # a month's backlog is 12 kB of addresses: do not copy it for each acknowledgement
_BLOCK_SIZE_MIN = const(160)  # of a block's record: one register, one reading, signature and COSE around it

SAMPLE_SECTORS = 8
SECTOR = 4096
ERASES_MAX = 100_000  # what data sheets of serial NOR flash promise for a sector (Winbond W25Q32JV, 4 MB)


class FlashJournal:
    """What the flash tells, kept as: samples not yet signed, next seq and link, and where each unsettled block lies.

    `samples` are (time_s, ((quantity, wh), ...)); `last_time_s` is the newest sample's ever taken, or None.
    `survived` is whether there was a journal at start; `dropped` counts blocks that made room for others, `lost`
    records that were durable and went bad, `unreadable` blocks that went bad since.
    """

    def __init__(self, flash, sample_sectors=SAMPLE_SECTORS, horizon=None):
        self.samples = []
        self.next_seq = 0
        self.link = FIRST_LINK
        self.last_time_s = None
        self.refused = {}
        self.dropped = 0
        self.lost = 0
        self.unreadable = 0
        self._horizon = horizon
        self._undated = {}  # readings by start
        self._signed_s = -1  # time of the last reading in a block
        # Where the blocks from seq `_first` on lie: four bytes of memory for each, 0 for a settled one.
        self._first = 0
        self._addresses = array("I")
        self._log = Ring(flash, sample_sectors)
        self._pending = Ring(flash, 0, sample_sectors)
        is_empty = not self._log.replay(self._apply, self._lost)
        self.survived = not is_empty
        self.survived |= self._pending.replay(self._apply, lambda _size: None)
        if horizon is not None:
            self.next_seq = horizon.start(self.next_seq, is_empty)

    @property
    def undatable(self):
        """Readings of earlier starts that will never be dated."""
        return sum(self._undated.values())

    @property
    def damaged(self):
        """Runs of bytes that were skipped at start."""
        return self._log.damaged + self._pending.damaged

    @property
    def worn(self):
        """Erases of the sector that was erased most, of ERASES_MAX."""
        return max(self._log.worn, self._pending.worn)

    def add_sample(self, sample):
        """Take a sample; durable on return."""
        time_s, registers = sample
        self._append_pending(_SAMPLE, cbor.encode([time_s, registers]))
        self._took_sample(time_s, registers)

    def add_undated(self, boot, ticks, registers):
        """Keep what was read at `ticks` of start number `boot`, before the time was known; durable on return."""
        self._append_pending(_UNDATED, cbor.encode([boot, ticks, registers]))

    def note_dated(self, boot):
        """Start number `boot` has learnt the time, and its undated readings are samples where that is true."""
        self._append_pending(_DATED, cbor.encode([boot]))

    def add_block(self, signed):
        """Take the signed block of all samples, under `next_seq`; durable on return."""
        assert len(signed) <= SIGNED_SIZE_MAX
        if self._horizon is not None:
            self._horizon.pass_by(self.next_seq)
        time_s = self.samples[-1][0]
        numbers = self.next_seq.to_bytes(_SEQ, "little") + time_s.to_bytes(8, "little")
        address = self._append(_BLOCK, numbers + signed)
        self._took_block(self.next_seq, time_s, signed, address)

    def settle(self, seq, reason):
        """Never send block `seq` again: acknowledged (reason 0) or refused."""
        self._append(_SETTLED, cbor.encode([seq, reason]))
        self._took_settled(seq, reason)

    def is_unsettled(self, seq):
        """Whether block `seq` still waits for its acknowledgement."""
        place = seq - self._first
        return 0 <= place < len(self._addresses) and self._addresses[place] != 0

    def unsettled(self):
        """Seq of every block that waits for its acknowledgement, oldest first."""
        return (self._first + i for i, address in enumerate(self._addresses) if address)

    def backlog(self):
        """How many blocks wait for their acknowledgement."""
        return sum(1 for address in self._addresses if address)

    def read_block(self, seq):
        """The signed bytes of an unsettled block, as they were first written; OSError if the flash lost them."""
        kind, body = self._log.read(self._addresses[seq - self._first])
        assert kind == _BLOCK
        assert int.from_bytes(body[:_SEQ], "little") == seq
        return body[_NUMBERS:]

    def give_up(self, seq):
        """Block `seq` cannot be read: do not try again in this start. The gap shows in seq."""
        if self.is_unsettled(seq):
            self._addresses[seq - self._first] = 0
            self.unreadable += 1
            self._trim()

    def state(self):
        """What a person is told, flat."""
        return {
            "next_seq": self.next_seq,
            "backlog": self.backlog(),
            "samples_pending": len(self.samples),
            "journal_damaged": self.damaged,
            "journal_dropped": self.dropped,
            "journal_lost": self.lost,
            "journal_unreadable": self.unreadable,
            "journal_undatable": self.undatable,
            "journal_worn": self.worn,
            "journal_wiped": self._horizon is not None and self._horizon.wiped,
            "refused": {str(reason): count for reason, count in self.refused.items()},
        }

    def _append_pending(self, kind, body):
        if not self._pending.has_room(len(body)):
            self._pending.begin_sector()
        self._pending.append(kind, body)

    def _append(self, kind, body):
        if not self._log.has_room(len(body)):
            first, end = self._log.begin_sector()
            self._drop(first, end)
            state = [self.next_seq, self.link, self.last_time_s, self.refused, self.dropped]
            self._log.append(_STATE, cbor.encode(state))
        return self._log.append(kind, body)

    def _drop(self, first, end):
        """Forget the blocks of a sector whose turn to be erased is next."""
        for place, address in enumerate(self._addresses):
            if address and first <= address < end:
                self._addresses[place] = 0
                self.dropped += 1
        self._trim()

    def _apply(self, kind, body, address):
        if kind == _BLOCK:
            seq, time_s = [int.from_bytes(body[at : at + 8], "little") for at in (0, _SEQ)]
            self._took_block(seq, time_s, body[_NUMBERS:], address)
            return
        value = cbor.decode(body)
        if kind == _STATE:
            next_seq, link, self.last_time_s, self.refused, self.dropped = value
            if next_seq >= self.next_seq:
                self.next_seq, self.link = next_seq, link
        elif kind == _SAMPLE and value[0] > self._signed_s:
            self._took_sample(value[0], value[1])
        elif kind == _SETTLED:
            self._took_settled(value[0], value[1])
        elif kind == _UNDATED:
            self._undated[value[0]] = self._undated.get(value[0], 0) + 1
        elif kind == _DATED:
            self._undated.pop(value[0], None)

    def _lost(self, size):
        """A durable record went bad: if it could be a block, its seq is used up."""
        self.lost += 1
        self.next_seq += size // _BLOCK_SIZE_MIN

    def _took_sample(self, time_s, registers):
        self.samples.append((time_s, tuple([tuple(register) for register in registers])))
        self.last_time_s = time_s

    def _took_block(self, seq, time_s, signed, address):
        if not self._addresses:
            self._first = seq
        while self._first + len(self._addresses) < seq:  # went bad
            self._addresses.append(0)
        self._addresses.append(address)
        self.samples = []
        self.next_seq = seq + 1
        self.link = sha256(signed).digest()[:16]
        self._signed_s = time_s
        if self.last_time_s is None or time_s > self.last_time_s:
            self.last_time_s = time_s

    def _took_settled(self, seq, reason):
        if not self.is_unsettled(seq):
            return
        self._addresses[seq - self._first] = 0
        if reason:
            self.refused[reason] = self.refused.get(reason, 0) + 1
        self._trim()

    def _trim(self):
        settled = 0
        while settled < len(self._addresses) and self._addresses[settled] == 0:
            settled += 1
        if settled == len(self._addresses) or settled >= _TRIM:
            self._addresses = self._addresses[settled:]
            self._first += settled


def days_offline(sectors, block_size, block_s):
    """Whole days of blocks (signed bytes, seconds apart) that a blocks ring holds before it drops any."""
    per_sector = (SECTOR - 16 - 128) // (AROUND + _NUMBERS + block_size)  # marks, and a state of 128 bytes at most
    return (sectors - 2) * per_sector * block_s // 86400


def years(sectors, bytes_per_day):
    """Whole years until a ring of so many sectors has erased each of them ERASES_MAX times."""
    return ERASES_MAX * sectors * SECTOR // (bytes_per_day * 366)
