"""What the device tells whoever looks: a status for people beside it, and a shorter one for its gateway.

status.json (on a chip: the serial console)   everything, when something changed
cw/<device>/state                             retained, JSON: {"state": "online"} and what is not zero, once a
                                              minute, on every connection, after every command, when the relay
                                              moves or the operator asks; "offline" is the last will.
"""

import json

from node.port import const, sleep_ms, ticks_diff, ticks_ms

TOLD_SIZE_MAX = const(1024)  # a gateway reads no more
_FIRST = ("command", "faults", "safe_mode", "backlog")
_NEWS = ("command", "relay_on", "asked")
_LOOK_MS = const(1000)
_TELL_MS = const(60000)


class Reporter:
    """`describe()` gives the state as a flat dict; `write(state)` shows it beside the device; OSError: not now.

    It is shown every `every_ms` at most.
    """

    def __init__(self, describe, write, link, topic, every_ms=_LOOK_MS):
        self._describe = describe
        self._write = write
        self._link = link
        self._topic = topic
        self._every_ms = every_ms
        self._written = None
        self._written_at = 0
        self._told = None
        self._told_at = 0
        self._connection = 0

    async def run(self):
        """Report for ever."""
        while True:
            await self.step()
            await sleep_ms(_LOOK_MS)

    async def step(self):
        """Report what changed."""
        state = self._describe()
        if state != self._written and (self._written is None or _is_over(self._written_at, self._every_ms)):
            try:
                self._write(state)
                self._written, self._written_at = state, ticks_ms()
            except OSError:
                pass  # a full disk must not stop anything; the next change tries again
        is_new = self._connection != self._link.connects
        if self._link.is_up and (is_new or self._is_news(state)):
            connection = self._link.connects
            if await self._link.tell(self._topic, told(state)):
                self._told, self._told_at, self._connection = state, ticks_ms(), connection

    def _is_news(self, state):
        """Whether something happened that somebody waits to hear, or a minute has passed."""
        if self._told is None or any(state.get(name) != self._told.get(name) for name in _NEWS):
            return True
        return state != self._told and _is_over(self._told_at, _TELL_MS)


def _is_over(since, wait_ms):
    return ticks_diff(ticks_ms(), since) >= wait_ms


def told(state):
    """The state as others are told it: JSON of what is not zero; of too much, what comes last is left out."""
    parts = ['{"state": "online"']
    size = len(parts[0]) + 1
    for name, value in sorted(state.items(), key=_rank):
        if value:
            part = json.dumps(name) + ": " + json.dumps(value)
            size += 2 + len(part.encode())
            if size > TOLD_SIZE_MAX:
                break
            parts.append(part)
    return (", ".join(parts) + "}").encode()


def _rank(item):
    """What decides something comes first, what a meter tells last."""
    name = item[0]
    return (name not in _FIRST, name == "meter", name)
