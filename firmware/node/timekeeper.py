"""Asks for the time until it is known, and then now and again: the gateway first, because it signs what it says.

    time   {"gateway": its public key in hex, "server": host, "port": 123, "every_s": 3600}      each may be missing

How it ends, and what is then true:
 1. The gateway answers, signed and to our question: believed (node/timesync.py), and the server is not asked.
 2. It does not answer in time, or is away, or none is named: the server is asked, and timesync.py judges its answer.
 3. Nobody answers, or nothing is believed: asked again after a pause that doubles up to a minute, with jitter, or
    `every_s` once the time is known. Meanwhile readings are undated, or the clock runs on as it is.
"""

from node.port import const, sleep_ms, ticks_diff, ticks_ms
from node.timesync import ROUND_TRIP_MS_MAX, GatewayTime

_EVERY_S = const(3600)
_PAUSE_MS = const(1000)
_PAUSE_MS_MAX = const(60000)
_LOOK_MS = const(20)
_PORT = const(123)


class Timekeeper:
    """Sets `clock`, a LearntClock. `settings` is the configuration's `time`; ValueError: its key is none.

    `gateway` is the GatewayTime, None if none is named.
    """

    def __init__(self, settings, clock, device, board, ticks=ticks_ms):
        self._settings = settings
        self._clock = clock
        self._topic = "cw/" + device + "/time"
        self._board = board
        self._ticks = ticks
        self.gateway = None
        self.topics = []
        self.unanswered = 0
        if "gateway" in settings:
            public_key = bytes.fromhex(settings["gateway"])
            if len(public_key) != 32:
                raise ValueError("a key has 32 bytes")
            self.gateway = GatewayTime(clock, public_key, board.urandom, ticks)
            self.topics = [self._topic + "/answer"]

    def on_message(self, topic, payload):
        """Whether it was an answer for us."""
        if topic not in self.topics:
            return False
        self.gateway.on_answer(payload)
        return True

    async def run(self, link):
        """Ask for ever."""
        pause_ms = _PAUSE_MS
        while True:
            if await self._ask_gateway(link) or await self._ask_server():
                pause_ms = 1000 * self._settings.get("every_s", _EVERY_S)
            else:
                self.unanswered += 1
                pause_ms = min(2 * pause_ms, _PAUSE_MS_MAX)
            await sleep_ms(int(pause_ms * (0.75 + self._board.random() / 4)))

    def state(self):
        """What a person is told, flat."""
        clock = self._clock
        return {
            "time_known": clock.synchronised,
            "time_learnt": clock.learnt,
            "time_refused": clock.refused + (self.gateway.refused if self.gateway else 0),
            "time_unanswered": self.unanswered,
            "time_step_s": clock.step_s,
        }

    async def _ask_gateway(self, link):
        """Whether the gateway told the time."""
        learnt = self._clock.learnt
        if self.gateway is None or not await link.publish(self._topic, self.gateway.request()):
            return False
        begun = self._ticks()
        while self._clock.learnt == learnt and ticks_diff(self._ticks(), begun) < ROUND_TRIP_MS_MAX:
            await sleep_ms(_LOOK_MS)
        return self._clock.learnt != learnt

    async def _ask_server(self):
        """Whether a server told the time, and was believed."""
        if "server" not in self._settings:
            return False
        from node import sntp

        try:
            server, port = self._settings["server"], self._settings.get("port", _PORT)
            time_ms = await sntp.ask(server, port, self._board.urandom(8), ROUND_TRIP_MS_MAX)
        except (OSError, ValueError):
            return False
        return self._clock.learn(time_ms, False)
