"""Wi-Fi as a state: joined again whenever it ends, with a back-off that doubles, and jitter.

How it ends, and what is then true:
 1. The network is not there, or the password is wrong: tried again for ever; metering and the relay go on.
 2. The network goes: the link fails by itself; when the network is back `on_up` nudges it.
The set-up network is never opened because of this: only the button opens it, so a jammer cannot.
"""

from node.port import const, sleep_ms

_LOOK_MS = const(500)
_JOIN_LOOKS = const(40)
_BACKOFF_MS = const(2000)
_BACKOFF_MS_MAX = const(300000)


class Wifi:
    """`station` has join(ssid, password), is_up(), leave() and level_dbm(), 0 if nobody knows how well it hears the
    network; `on_up()` is called when the network came."""

    def __init__(self, station, owner, on_up, random, look_ms=_LOOK_MS, backoff_ms=_BACKOFF_MS):
        self._station = station
        self._owner = owner
        self._on_up = on_up
        self._random = random
        self._look_ms = look_ms
        self._first_ms = backoff_ms
        self.is_up = False
        self.joins = 0
        self.failures = 0
        self.losses = 0

    def state(self):
        """What a person is told, flat: counts since this start."""
        return {
            "wifi_joins": self.joins,
            "wifi_failures": self.failures,
            "wifi_losses": self.losses,
            "wifi_rssi_dbm": self._station.level_dbm() if self.is_up else 0,
        }

    async def run(self):
        """Stay joined, for ever."""
        backoff_ms = self._first_ms
        while True:
            if await joins(self._station, self._owner, self._look_ms):
                backoff_ms = self._first_ms
                self.is_up = True
                self.joins += 1
                self._on_up()
                while self._station.is_up():
                    await sleep_ms(self._look_ms)
                self.is_up = False
                self.losses += 1
            else:
                self.failures += 1
            self._station.leave()
            await sleep_ms(int(backoff_ms * (0.5 + self._random() / 2)))
            backoff_ms = min(2 * backoff_ms, _BACKOFF_MS_MAX)


async def joins(station, owner, look_ms):
    """Whether the network of `owner` ({"ssid", "password"}) takes us, within 40 looks."""
    try:
        station.join(owner["ssid"], owner["password"])
    except OSError:
        return False
    for _ in range(_JOIN_LOOKS):
        if station.is_up():
            return True
        await sleep_ms(look_ms)
    return False
