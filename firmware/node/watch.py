"""Feeds the watchdog, says when a start has proved itself, and ends safe mode.

The watchdog is fed by the event loop: whatever blocks that for a minute ends in a restart, which is counted by cause.
A start is well when it read its meter and reached its gateway, or simply lived for five minutes: power cuts while the
gateway is away are no boot loop. After an hour it is steady. Safe mode lasts an hour; then everything is tried again.
"""

from node.port import const, sleep_ms, ticks_diff, ticks_ms

WATCHDOG_MS = const(60000)
WELL_MS = const(300000)
STEADY_MS = const(3600000)
_LOOK_MS = const(1000)


async def watch(health, feed, is_well, restart):
    """Watch for ever; `feed()` the watchdog, `is_well()` whether the device does what it is for."""
    begun = ticks_ms()
    is_steady = False
    while True:
        feed()
        is_steady = is_steady or ticks_diff(ticks_ms(), begun) >= STEADY_MS
        if is_steady:
            health.steady()
            if health.is_safe_mode:
                restart()
                return
        elif not health.is_safe_mode and (ticks_diff(ticks_ms(), begun) >= WELL_MS or is_well()):
            health.well()
        await sleep_ms(_LOOK_MS)
