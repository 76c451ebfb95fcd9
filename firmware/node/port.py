"""What MicroPython and CPython spell differently, in one place and under one signature."""

import asyncio
import time

try:
    from micropython import const
except ImportError:

    def const(value):
        """CPython has no compile-time constants: the value itself."""
        return value


try:
    from time import ticks_add, ticks_diff, ticks_ms
except ImportError:
    # CPython: the monotonic clock never wraps, so plain arithmetic is right.
    def ticks_ms():
        """Milliseconds of a clock that never steps."""
        return time.monotonic_ns() // 1000000

    def ticks_add(ticks, delta_ms):
        """`ticks` moved by `delta_ms`."""
        return ticks + delta_ms

    def ticks_diff(later, earlier):
        """Milliseconds from `earlier` to `later`, negative if it is the other way round."""
        return later - earlier


try:
    from asyncio import sleep_ms, wait_for_ms
except ImportError:

    async def sleep_ms(delay_ms):
        """Let others run for `delay_ms`."""
        await asyncio.sleep(delay_ms / 1000)

    async def wait_for_ms(awaitable, timeout_ms):
        """The result of `awaitable`, or asyncio.TimeoutError after `timeout_ms`."""
        return await asyncio.wait_for(awaitable, timeout_ms / 1000)


def wall_ms():
    """The wall clock in whole milliseconds since 1970: integers, because the ESP32's floats have 24 bits."""
    return time.time_ns() // 1000000 + _EPOCH_MS


# MicroPython on a chip counts from 2000, on Unix (and CPython) from 1970.
_EPOCH_MS = 946684800000 if time.gmtime(0)[0] == 2000 else 0


def sync(file):
    """Make what was written to `file` durable. MicroPython's flush() is an fsync (VfsPosix) or a sync (littlefs)."""
    file.flush()
    if _fsync:
        _fsync(file.fileno())


try:
    from os import fsync as _fsync
except ImportError:
    _fsync = None


async def wait_event_ms(event, timeout_ms):
    """Wait until `event` is set, at most `timeout_ms` (None: without limit); the event is cleared on the way out."""
    if timeout_ms is None:
        await event.wait()
    elif timeout_ms > 0:
        try:
            await wait_for_ms(event.wait(), timeout_ms)
        except asyncio.TimeoutError:
            pass
    event.clear()
