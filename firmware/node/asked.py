"""What the operator of the grid asks for: windows in which to use less or more. docs/spec/transport.cddl has `asked`.

The aggregator signs what a device is asked for, and the gateway hands it on as it is: it may be silent, and cannot
ask for anything itself. Times are absolute and nothing is taken back: an old message says nothing that was not said.

How it ends, and what is then true:
 1. Nothing was heard, or the power was cut: no window is known until the gateway is there again, which retains them.
 2. The time is unknown: no window runs.
 3. Too large, malformed, by another key, older than what is known, badly signed: counted, and what is known stays.
 4. Two windows at once: the peak counts, then the one that began first.
"""

from node import cbor, cose, ed25519
from node.port import const

SIZE_MAX = const(512)
ASKS_MAX = const(16)
ASK_S_MAX = const(43200)

# Why a message is not taken, in the order in which it is checked; the first that fails is the answer.
TOO_LARGE = const(1)
MALFORMED = const(2)
UNKNOWN_KEY = const(3)
OLDER = const(4)
BAD_SIGNATURE = const(5)

_VERSION = const(1)
_PEAK = const(1)
_SURPLUS = const(2)
_UINT_MAX = (1 << 63) - 1


class Asked:
    """`asks`: (start_s, end_s, is_peak) ascending. `public_key` is the aggregator's, `genesis` the commune's hash.

    `moves_relay`: whether the owner lets a relay follow: off in a peak, on in a surplus.
    """

    def __init__(self, public_key, genesis, moves_relay):
        self.asks = ()
        self.moves_relay = moves_relay
        self.refused = {}
        self._public_key = public_key
        self._aad = cose.external_aad("asked", genesis)
        self._log_size = 0
        self._taken = None

    def take(self, data):
        """Learn what is asked for; 0, or why it was not taken."""
        if data == self._taken:
            return 0  # the broker retains it, and a signature costs the chip most of a second
        reason = self._consider(data)
        if reason:
            self.refused[reason] = self.refused.get(reason, 0) + 1
        else:
            self._taken = data
        return reason

    def now(self, now_s):
        """The window that counts now, or None; `now_s` in Unix seconds, None when the time is unknown."""
        found = None
        for ask in self.asks:
            if now_s is not None and ask[0] <= now_s < ask[1] and (found is None or (ask[2] and not found[2])):
                found = ask
        return found

    def state(self, now_s):
        """What a person is told, flat."""
        now = self.now(now_s)
        coming = [ask for ask in self.asks if now_s is not None and ask[0] > now_s]
        shown = now or (coming[0] if coming else None)
        return {
            "asked": _kind(now) if now else "",
            "asked_next": [shown[0], shown[1], _kind(shown)] if shown else None,
            "asked_refused": {str(reason): count for reason, count in self.refused.items()},
        }

    def _consider(self, data):
        if len(data) > SIZE_MAX:
            return TOO_LARGE
        try:
            kid, payload, signature = cose.parse1(data)
            log_size, asks = _parse(payload)
        except ValueError:
            return MALFORMED
        if kid != cose.key_hint(self._public_key):
            return UNKNOWN_KEY
        if log_size < self._log_size:
            return OLDER
        if not ed25519.verify(self._public_key, cose.to_be_signed(payload, self._aad), signature):
            return BAD_SIGNATURE
        self._log_size, self.asks = log_size, asks
        return 0


def _kind(ask):
    return "peak" if ask[2] else "surplus"


def _parse(payload):
    """(log_size, asks); ValueError unless it is what is asked."""
    value = cbor.decode(payload)
    if not isinstance(value, list) or len(value) != 3 or not _is_uint(value[0]) or value[0] != _VERSION:
        raise ValueError("not asked")
    _version, log_size, rows = value
    if not _is_uint(log_size) or not isinstance(rows, list) or len(rows) > ASKS_MAX:
        raise ValueError("not asked")
    for row in rows:
        if not isinstance(row, list) or len(row) != 3 or not all(map(_is_uint, row)):
            raise ValueError("not a window")
        if not 0 < row[1] - row[0] <= ASK_S_MAX or row[2] not in (_PEAK, _SURPLUS):
            raise ValueError("not a window")
    for number in range(1, len(rows)):
        if rows[number - 1] >= rows[number]:
            raise ValueError("windows do not ascend")
    return log_size, tuple([(start_s, end_s, kind == _PEAK) for start_s, end_s, kind in rows])


def _is_uint(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _UINT_MAX
