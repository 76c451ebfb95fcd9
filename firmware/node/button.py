"""One button: a short press toggles the relay, five seconds open the set-up, ten seconds forget the owner.

A button that is down when the device starts counts only after it was let go: a stuck one resets nothing. What is
meant is decided when the button is let go, except that nothing more happens after a minute: somebody leans on it.
"""

from node.port import const, sleep_ms, ticks_diff, ticks_ms

NOTHING = const(0)
TOGGLE = const(1)
SET_UP = const(2)
RESET = const(3)

_BOUNCE_MS = const(40)
_SET_UP_MS = const(5000)
_RESET_MS = const(10000)
_LEANING_MS = const(60000)
_LOOK_MS = const(20)


class Button:
    """Feed it with what the pin says; at least every 20 ms while it is down."""

    def __init__(self, is_down, ticks):
        self._is_down = is_down
        self._since = ticks
        self._is_armed = not is_down

    def step(self, is_down, ticks):
        """What the person wants now, as a rule NOTHING."""
        if is_down == self._is_down:
            return NOTHING
        held_ms = ticks_diff(ticks, self._since)
        self._is_down, self._since = is_down, ticks
        if is_down:
            return NOTHING
        if not self._is_armed:
            self._is_armed = True
            return NOTHING
        if held_ms < _BOUNCE_MS or held_ms >= _LEANING_MS:
            return NOTHING
        return RESET if held_ms >= _RESET_MS else SET_UP if held_ms >= _SET_UP_MS else TOGGLE


async def until_held(is_down, toggle):
    """Call `toggle()` for each short press; SET_UP or RESET once a person holds the button for it."""
    button = Button(is_down(), ticks_ms())
    while True:
        wish = button.step(is_down(), ticks_ms())
        if wish == TOGGLE:
            toggle()
        elif wish != NOTHING:
            return wish
        await sleep_ms(_LOOK_MS)
