"""The journal: one append-only file that tells, after any power cut, what was sampled, signed and acknowledged.

    record = length of body (2, little-endian)  kind (1)  body  CRC-32 of all before it (4)

    STATE    [next seq, link, last sample's time or null, {reason: refused blocks}]   first in a compacted file
    SAMPLE   [time_s, [[quantity, wh], ...]]       read, not yet in a signed block
    BLOCK    seq (8, little-endian), signed bytes  holds all samples before it; sent only after it is durable
    SETTLED  [seq, reason]                         acknowledged (0) or refused for good: never sent again

How it ends, and what is then true:
 1. Cut while a record is appended: its CRC fails, it never happened. Appending goes on behind it.
 2. Cut before a SETTLED is durable: the block is sent again, with the same bytes, and answered again.
 3. Cut while compacting: the old file is still whole; the half-made one is overwritten next time.
 4. Cut after the renaming: the state record was synced again under the new name, so the name is durable as well.
 5. Full or failing disk: OSError to the caller, who has taken nothing; case 1 applies to what was half written.
"""

import os
from array import array
from binascii import crc32
from hashlib import sha256

from node import cbor, port
from node.block import FIRST_LINK, SIGNED_SIZE_MAX
from node.port import const

COMPACT_AT = 16384  # bytes of settled records that make a compaction worth its writes

_STATE = const(1)
_SAMPLE = const(2)
_BLOCK = const(3)
_SETTLED = const(4)

_HEAD = const(3)
_CRC = const(4)
_AROUND = const(7)
_SEQ = const(8)
_ENOSPC = const(28)  # MicroPython's errno does not name it
_BODY_MAX = const(2048)


class Journal:
    """What the file tells, kept as: samples not yet signed, next seq and link, and where each unsettled block lies.

    `samples` are (time_s, ((quantity, wh), ...)); `last_time_s` is the newest sample's ever taken, or None.
    `survived` is whether there was a journal at start; `damaged` counts runs of bytes that were skipped.
    """

    def __init__(self, path, compact_at=COMPACT_AT):
        self._path = path
        self._compact_at = compact_at
        self.samples = []
        self.next_seq = 0
        self.link = FIRST_LINK
        self.last_time_s = None
        self.refused = {}
        self.damaged = 0
        # Where the blocks from seq `_first` on lie, and their records' sizes: six bytes of memory for each.
        # Offset 0 marks a settled one: the file begins with a state record, never with a block.
        self._first = 0
        self._offsets = array("I")
        self._sizes = array("H")
        self._live_bytes = 0
        self._size = self._replay()
        self.survived = self._size > 0
        if not self.survived:
            self._append(_STATE, self._state())

    def add_sample(self, sample):
        """Take a sample; durable on return."""
        time_s, registers = sample
        self._append(_SAMPLE, cbor.encode([time_s, registers]))
        self._took_sample(time_s, registers)

    def add_block(self, signed):
        """Take the signed block of all samples, under `next_seq`; durable on return."""
        assert len(signed) <= SIGNED_SIZE_MAX
        offset = self._append(_BLOCK, self.next_seq.to_bytes(_SEQ, "little") + signed)
        self._took_block(self.next_seq, offset, signed)

    def settle(self, seq, reason):
        """Never send block `seq` again: acknowledged (reason 0) or refused. Not synced: repeating it is harmless."""
        self._append(_SETTLED, cbor.encode([seq, reason]), durably=False)
        self._took_settled(seq, reason)
        if self._size - self._live_bytes >= max(self._compact_at, self._live_bytes):
            self._compact()

    def is_unsettled(self, seq):
        """Whether block `seq` still waits for its acknowledgement."""
        place = seq - self._first
        return 0 <= place < len(self._offsets) and self._offsets[place] != 0

    def unsettled(self):
        """Seq of every block that waits for its acknowledgement, oldest first."""
        return (self._first + i for i, offset in enumerate(self._offsets) if offset)

    def backlog(self):
        """How many blocks wait for their acknowledgement."""
        return sum(1 for offset in self._offsets if offset)

    def read_block(self, seq):
        """The signed bytes of an unsettled block, as they were first written."""
        with open(self._path, "rb") as file:
            kind, body = _read_record(file, self._offsets[seq - self._first])
        assert kind == _BLOCK
        assert int.from_bytes(body[:_SEQ], "little") == seq
        return body[_SEQ:]

    def _append(self, kind, body, durably=True):
        """Write a record behind everything, also behind what a failed write left; its offset.

        The file is opened for each record: that is once in minutes, and there is no handle to lose.
        """
        with open(self._path, "ab", 0) as file:
            offset = file.seek(0, 2)
            self._size = offset + _write_record(file, kind, body)
            if durably:
                port.sync(file)
        return offset

    def _state(self):
        return cbor.encode([self.next_seq, self.link, self.last_time_s, self.refused])

    def _replay(self):
        """Read the file from its start, skipping what no record explains; its size in bytes."""
        try:
            file = open(self._path, "rb")
        except OSError:
            return 0
        with file:
            size = file.seek(0, 2)
            at = 0
            skipping = False
            while at < size:
                record = _read_record(file, at)
                if record is None:
                    self.damaged += not skipping
                    skipping = True
                    at += 1
                    continue
                skipping = False
                self._apply(record, at)
                at += _AROUND + len(record[1])
            return size

    def _apply(self, record, offset):
        kind, body = record
        if kind == _BLOCK:
            self._took_block(int.from_bytes(body[:_SEQ], "little"), offset, body[_SEQ:])
            return
        value = cbor.decode(body)
        if kind == _STATE:
            self.next_seq, self.link, self.last_time_s, self.refused = value
        elif kind == _SAMPLE:
            self._took_sample(value[0], value[1])
        elif kind == _SETTLED:
            self._took_settled(value[0], value[1])

    def _took_sample(self, time_s, registers):
        self.samples.append((time_s, tuple([tuple(register) for register in registers])))
        self.last_time_s = time_s

    def _took_block(self, seq, offset, signed):
        if not self._offsets:
            self._first = seq
        while self._first + len(self._offsets) < seq:  # settled, or its record was damaged: it is not sent
            self._offsets.append(0)
            self._sizes.append(0)
        size = _AROUND + _SEQ + len(signed)
        self._offsets.append(offset)
        self._sizes.append(size)
        self._live_bytes += size
        if seq >= self.next_seq:  # a compacted file tells older blocks after its state
            self.samples = []
            self.next_seq = seq + 1
            self.link = sha256(signed).digest()[:16]

    def _took_settled(self, seq, reason):
        if not self.is_unsettled(seq):
            return
        place = seq - self._first
        self._live_bytes -= self._sizes[place]
        self._offsets[place] = 0
        if reason:
            self.refused[reason] = self.refused.get(reason, 0) + 1
        settled = 0
        while settled < len(self._offsets) and self._offsets[settled] == 0:
            settled += 1
        self._offsets = self._offsets[settled:]
        self._sizes = self._sizes[settled:]
        self._first += settled

    def _compact(self):
        """Write what still matters into a new file and put it in the old one's place."""
        beside = self._path + ".new"
        offsets = array("I", self._offsets)
        with open(beside, "wb", 0) as file:
            size = _write_record(file, _STATE, self._state())
            for seq in self.unsettled():
                offsets[seq - self._first] = size
                body = seq.to_bytes(_SEQ, "little") + self.read_block(seq)
                size += _write_record(file, _BLOCK, body)
            for time_s, registers in self.samples:
                size += _write_record(file, _SAMPLE, cbor.encode([time_s, registers]))
            port.sync(file)
        os.rename(beside, self._path)
        self._offsets = offsets
        self._append(_STATE, self._state())


def _write_record(file, kind, body):
    """Append a record in one write; its size."""
    record = len(body).to_bytes(2, "little") + bytes([kind]) + body
    record += crc32(record).to_bytes(_CRC, "little")
    if file.write(record) != len(record):
        raise OSError(_ENOSPC)
    return len(record)


def _read_record(file, offset):
    """(kind, body) of the record at `offset`, or None if there is none."""
    file.seek(offset)
    head = file.read(_HEAD)
    size = int.from_bytes(head[:2], "little")
    if len(head) < _HEAD or size > _BODY_MAX:
        return None
    rest = file.read(size + _CRC)
    if len(rest) < size + _CRC or crc32(head + rest[:size]) != int.from_bytes(rest[size:], "little"):
        return None
    return head[2], rest[:size]
