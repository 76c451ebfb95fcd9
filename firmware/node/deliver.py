"""Sends signed blocks until the gateway says that it has them, naming their hash. A broker's PUBACK is not enough.

Oldest first, a few at a time; one that is not answered is sent again, the same bytes, after a growing pause.
An acknowledgement is [1, seq, SHA-256 of the signed block, reason]: docs/spec/transport.cddl.
A block that flash has lost is given up and counted; the others go on.
"""

from hashlib import sha256

from node import cbor
from node.port import const, ticks_add, ticks_diff, ticks_ms, wait_event_ms

WINDOW = 8  # blocks under way at a time: 8 kB at most, and a week's backlog still drains in seconds

_RESEND_MS = const(500)


class Delivery:
    """Delivers `journal`'s blocks over `link`; `wake` (asyncio.Event) is set by whoever changes something."""

    def __init__(self, journal, link, topic, wake, random, retry_ms_max, ticks=ticks_ms):
        self._journal = journal
        self._link = link
        self._topic = topic
        self._wake = wake
        self._random = random
        self._retry_ms_max = retry_ms_max
        self._ticks = ticks
        self._under_way = {}  # seq: (when to send again, next pause)
        self.sent = 0
        self.resent = 0
        self.acknowledged = 0
        self.acks_malformed = 0
        self.acks_unexpected = 0
        self.acks_wrong_hash = 0
        self.acks_unwritten = 0

    async def run(self):
        """Deliver for ever."""
        while True:
            wait_ms = await self.send_due() if self._link.is_up else None
            await wait_event_ms(self._wake, wait_ms)
            if not self._link.is_up:
                # Whatever was under way may be lost: all of it is due when the link is back.
                self._under_way = {seq: (self._ticks(), _RESEND_MS) for seq in self._under_way}

    def on_ack(self, payload):
        """Take an acknowledgement; anything but one for a waiting block with its very hash changes only a counter."""
        try:
            version, seq, digest, reason = cbor.decode(payload)
        except (TypeError, ValueError):
            version = None
        if version != 1 or not isinstance(seq, int) or not isinstance(reason, int):
            self.acks_malformed += 1
            return
        if not self._journal.is_unsettled(seq):
            self.acks_unexpected += 1  # an answer to a resend, as a rule
            return
        signed = self._read(seq)
        if signed is None or sha256(signed).digest() != digest:
            self.acks_wrong_hash += signed is not None
            return
        try:
            self._journal.settle(seq, reason)
        except OSError:
            self.acks_unwritten += 1  # the block is sent and answered again
            return
        self._under_way.pop(seq, None)
        self.acknowledged += reason == 0
        self._wake.set()

    def state(self):
        """What a person is told, flat: counts since this start."""
        return {
            "sent": self.sent,
            "resent": self.resent,
            "acknowledged": self.acknowledged,
            "acks_malformed": self.acks_malformed,
            "acks_unexpected": self.acks_unexpected,
            "acks_wrong_hash": self.acks_wrong_hash,
            "acks_unwritten": self.acks_unwritten,
        }

    async def send_due(self):
        """Send what is due; milliseconds until the next is, None when nothing is under way."""
        for seq in list(self._under_way):
            if not self._journal.is_unsettled(seq):  # made room for others, or is unreadable
                self._under_way.pop(seq)
        for seq in self._next_seqs():
            due, pause_ms = self._under_way.get(seq, (None, _RESEND_MS))
            is_waiting = due is not None and ticks_diff(due, self._ticks()) > 0
            if is_waiting or not self._journal.is_unsettled(seq):  # answered while the one before was sent
                continue
            if not await self._send(seq, pause_ms):
                return _RESEND_MS
            self.sent += 1
            self.resent += due is not None
        waits_ms = [ticks_diff(due, self._ticks()) for due, _pause in self._under_way.values()]
        return max(min(waits_ms), 1) if waits_ms else None

    async def _send(self, seq, pause_ms):
        """Hand one block to the link and note when it will be due again; whether the link took it."""
        due = ticks_add(self._ticks(), int(pause_ms * (0.75 + self._random() / 2)))
        # Noted first: the answer can be quicker than the end of `publish`, and takes the note away.
        self._under_way[seq] = (due, min(2 * pause_ms, self._retry_ms_max))
        signed = self._read(seq)
        return signed is None or await self._link.publish(self._topic, signed)

    def _read(self, seq):
        """A block's bytes; None if flash lost them: it is given up, and the journal counts it."""
        try:
            return self._journal.read_block(seq)
        except OSError:
            self._journal.give_up(seq)
            self._wake.set()
            return None

    def _next_seqs(self):
        """The oldest unsettled blocks, as many as may be under way."""
        seqs = []
        for seq in self._journal.unsettled():
            seqs.append(seq)
            if len(seqs) == WINDOW:
                break
        return seqs
