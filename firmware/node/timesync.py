"""The clock of a device that learns the time: from a time server (unsigned) or from its gateway (signed).

It runs on ticks, so it never steps by itself. What is believed, and what is then true:
 1. Before anything was known: a time that is not before `floor_s`, the newest sample ever journaled (on a device that
    has none EARLIEST_S: no firmware is older). An unsigned one must not be more than `ahead_s_max` after it either,
    on a device whose gateway signs: a lie that was journaled would keep the true time out until it has caught up.
 2. Afterwards an unsigned time that differs by more than STEP_S_MAX is refused and counted: a server that lies by a
    day changes nothing. One that differs less is taken.
 3. A signed time is believed over an unsigned one, by any difference, but never before `floor_s`.
 4. A clock that was set back gives slots that were sampled already: the sampler waits until they are over.
"""

from node import cbor, cose, ed25519, port
from node.port import const

EARLIEST_S = const(1704067200)  # 2024
STEP_S_MAX = const(120)
ROUND_TRIP_MS_MAX = const(5000)
NONCE_SIZE = const(16)
AAD = cose.external_aad("time")


class LearntClock:
    """Civil time, once `learn` was told it. `refused` counts times not believed; `step_s` is the last step."""

    def __init__(self, floor_s=0, ticks_ms=port.ticks_ms, ahead_s_max=None):
        self._ahead_s_max = ahead_s_max
        self.synchronised = False
        self.refused = 0
        self.learnt = 0
        self.step_s = 0
        self._floor_s = floor_s
        self._ticks_ms = ticks_ms
        self._ticks = ticks_ms()
        self._now_ms = 0

    def now_ms(self):
        """Present civil time in milliseconds since 1970. Called at least once in six days: ticks wrap."""
        ticks = self._ticks_ms()
        self._now_ms += port.ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        return self._now_ms

    def now_s(self):
        """Present civil time in whole seconds since 1970, UTC."""
        return self.now_ms() // 1000

    def wall_ms_until(self, civil_s):
        """Milliseconds to wait until civil time is at least `civil_s`; 0 when it has come."""
        return max(0, civil_s * 1000 - self.now_ms())

    def learn(self, time_ms, is_signed):
        """Set the clock if the time is plausible; whether it was."""
        step_ms = time_ms - self.now_ms()
        is_step = self.synchronised and not is_signed and abs(step_ms) > 1000 * STEP_S_MAX
        if time_ms < 1000 * self._floor_s or is_step or (not is_signed and self._is_far_ahead(time_ms)):
            self.refused += 1
            return False
        self.step_s = step_ms // 1000 if self.synchronised else 0
        self._now_ms += step_ms
        self.synchronised = True
        self.learnt += 1
        return True

    def _is_far_ahead(self, time_ms):
        return (
            not self.synchronised
            and self._ahead_s_max is not None
            and time_ms > 1000 * (self._floor_s + self._ahead_s_max)
        )


class GatewayTime:
    """Asks the gateway for the time and believes only an answer to the last question: docs/spec/time.cddl."""

    def __init__(self, clock, public_key, urandom, ticks_ms=port.ticks_ms):
        self._clock = clock
        self._public_key = public_key
        self._urandom = urandom
        self._ticks_ms = ticks_ms
        self._nonce = None
        self._asked = 0
        self.refused = 0

    def request(self):
        """The nonce to publish; an answer to an older one is refused from now on."""
        self._nonce = self._urandom(NONCE_SIZE)
        self._asked = self._ticks_ms()
        return self._nonce

    def on_answer(self, data):
        """Set the clock by the gateway's signed answer; whether it was believed. Anything else is counted."""
        waited_ms = port.ticks_diff(self._ticks_ms(), self._asked)
        time_s = parse_answer(data, self._public_key, self._nonce)
        if time_s is None or waited_ms > ROUND_TRIP_MS_MAX:
            self.refused += 1
            return False
        self._nonce = None
        return self._clock.learn(1000 * time_s + waited_ms // 2, True)


def parse_answer(data, public_key, nonce):
    """The time in seconds of a signed answer to `nonce`, or None if it is not one."""
    try:
        _kid, payload, signature = cose.parse1(data)
        value = cbor.decode(payload)
        version, answered, time_s = value
    except (TypeError, ValueError, IndexError):
        return None
    if nonce is None or version != 1 or answered != nonce or not isinstance(time_s, int) or time_s < 0:
        return None
    if cbor.encode(value) != payload:
        return None
    return time_s if ed25519.verify(public_key, cose.to_be_signed(payload, AAD), signature) else None
