"""Updates: a signed manifest, an image into the slot that does not run, a trial, and the way back.

The machine's boot loader does the last step of each: it starts a new image once, on trial, and goes back to the old
one at the next start unless the image was confirmed. `slots` is that machine (board.py; node/slots.py on Unix):

    size                the bytes a slot holds
    is_trial            whether what runs now was not yet confirmed
    write(offset, data) into the slot that does not run; offsets ascend without gaps; flush() ends it
    read(offset, size)  from that slot
    try_other()         start that slot next time, on trial
    confirm()           what runs now is good

How it ends, and what is then true:
 1. Cut while downloading: nothing was asked to start it; the next download begins anew.
 2. Cut before `try_other` is durable: the old image runs; the try is counted and the update comes again.
 3. The new image does not start, or is cut on trial: the boot loader starts the old one. Counted as rolled back.
 4. The new image runs but does not reach its gateway and its meter in time: it restarts, which is case 3.
 5. Cut between `confirm` and our own note: noted at the next boot, for the image that runs is the candidate.
 6. An update that was tried three times in vain is refused from then on (FAILED_HERE): no loop of trials.
"""

from hashlib import sha256

from node import cbor, cose, ed25519
from node.port import const, sleep_ms, ticks_diff, ticks_ms

MANIFEST_SIZE_MAX = const(256)
TRIES_MAX = const(3)

# Why an update is refused, in the order in which it is checked (docs/spec/command.cddl); the first that fails counts.
TOO_LARGE = const(1)
MALFORMED = const(2)
UNKNOWN_KEY = const(3)
WRONG_BOARD = const(4)
NOT_NEWER = const(5)
FAILED_HERE = const(6)
NO_ROOM = const(7)
BAD_SIGNATURE = const(8)
WRONG_SIZE = const(9)
WRONG_HASH = const(10)
UNWRITTEN = const(11)

_VERSION = const(1)
_BOARD_MAX = const(32)
_CHUNK = const(1024)
_LOOK_MS = const(1000)


class Update:
    """`cell` keeps what was tried, `board` and `number` (the version) say what runs now; `aad` needs the genesis."""

    def __init__(self, cell, slots, board, number, public_key, genesis):
        self._cell = cell
        self._slots = slots
        self.board = board
        self._public_key = public_key
        self._aad = cose.external_aad("update", genesis)
        self.wanted = None  # (number, size, SHA-256) of the image that comes now
        self._got = 0
        self.number = number
        self.refused = {}
        self.unfetched = 0  # how often the server, or the way to it, failed
        self._floor, self._candidate, self._tries, self._is_pending, self.rollbacks = self._restore()
        self._take_stock()

    @property
    def is_trial(self):
        """Whether this image still has to prove itself."""
        return self._slots.is_trial

    def begin(self, manifest):
        """Consider a signed manifest; 0 if its image is wanted: then `feed` it and `finish`."""
        self.wanted = None
        reason, wanted = self._consider(manifest)
        if reason:
            return self._refuse(reason)
        self.wanted = wanted
        self._got = 0
        return 0

    def feed(self, data):
        """Take the next bytes of the image; 0, or why the update ends here."""
        if self.wanted is None or self._got + len(data) > self.wanted[1]:
            return self._refuse(WRONG_SIZE)
        try:
            self._slots.write(self._got, data)
        except OSError:
            return self._refuse(UNWRITTEN)
        self._got += len(data)
        return 0

    def finish(self):
        """The image is complete: read it back, check it, ask the boot loader to try it. 0: restart now."""
        if self.wanted is None or self._got != self.wanted[1]:
            return self._refuse(WRONG_SIZE)
        number, size, digest = self.wanted
        try:
            self._slots.flush()
            if self._hash(size) != digest:
                return self._refuse(WRONG_HASH)
            self._note(number, self._tries + 1 if number == self._candidate else 1, True)
            self._slots.try_other()
        except OSError:
            return self._refuse(UNWRITTEN)
        self.wanted = None
        return 0

    def confirm(self):
        """This image reached its gateway and its meter: it stays. OSError: asked again later."""
        self._slots.confirm()
        self._floor = max(self._floor, self.number)
        self._note(0, 0, False)

    def _consider(self, manifest):
        """(reason, (number, size, SHA-256)): the cheap checks first, the signature last."""
        if len(manifest) > MANIFEST_SIZE_MAX:
            return TOO_LARGE, None
        try:
            kid, payload, signature = cose.parse1(manifest)
            board, number, size, digest = _parse(payload)
        except ValueError:
            return MALFORMED, None
        if kid != cose.key_hint(self._public_key):
            return UNKNOWN_KEY, None
        if board != self.board:
            return WRONG_BOARD, None
        if number <= max(self.number, self._floor):
            return NOT_NEWER, None
        if number == self._candidate and self._tries >= TRIES_MAX:
            return FAILED_HERE, None
        if size > self._slots.size:
            return NO_ROOM, None
        if not ed25519.verify(self._public_key, cose.to_be_signed(payload, self._aad), signature):
            return BAD_SIGNATURE, None
        return 0, (number, size, digest)

    def _refuse(self, reason):
        self.wanted = None
        self.refused[reason] = self.refused.get(reason, 0) + 1
        return reason

    def _hash(self, size):
        """SHA-256 of what the slot really holds now."""
        digest = sha256()
        for at in range(0, size, _CHUNK):
            digest.update(self._slots.read(at, min(_CHUNK, size - at)))
        return digest.digest()

    def _restore(self):
        return (0, 0, 0, False, 0) if self._cell.value is None else cbor.decode(self._cell.value)

    def _take_stock(self):
        """What became of the last try: cases 3 and 5. A failing flash is no reason not to run."""
        try:
            if self.number == self._candidate and not self._slots.is_trial:
                self._floor = max(self._floor, self.number)
                self._note(0, 0, False)
            elif self._is_pending and self.number != self._candidate:
                self.rollbacks += 1
                self._note(self._candidate, self._tries, False)
        except OSError:
            self._refuse(UNWRITTEN)

    def _note(self, candidate, tries, is_pending):
        self._candidate, self._tries, self._is_pending = candidate, tries, is_pending
        self._cell.write(cbor.encode([self._floor, candidate, tries, is_pending, self.rollbacks]))


async def prove(update, is_well, minutes, restart):
    """On trial: confirm when `is_well()`, or `restart()` after so many minutes; nothing if this is no trial."""
    begun = ticks_ms()
    while update.is_trial:
        if is_well():
            try:
                update.confirm()
                return
            except OSError:
                pass  # again in a second; if flash stays like this, the old image is the better one
        if ticks_diff(ticks_ms(), begun) >= minutes * 60000:
            restart()
            return
        await sleep_ms(_LOOK_MS)


def _parse(payload):
    """(board, number, size, SHA-256) of a manifest; ValueError unless it is one."""
    value = cbor.decode(payload)
    if not isinstance(value, list) or len(value) != 5 or value[0] != _VERSION or isinstance(value[0], bool):
        raise ValueError("not a manifest")
    _version, board, number, size, digest = value
    if not isinstance(board, str) or not 0 < len(board) <= _BOARD_MAX:
        raise ValueError("not a board")
    for count in (number, size):
        if not isinstance(count, int) or isinstance(count, bool) or not 0 < count < 1 << 32:
            raise ValueError("not a version or a size")
    if not isinstance(digest, bytes) or len(digest) != 32:
        raise ValueError("not a hash")
    return board, number, size, digest
