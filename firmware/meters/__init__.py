"""Meter drivers. A driver is one file here that registers itself; only the one that is configured is imported.

A meter is any object with

    read()  -> [(quantity, wh), ...]

the registers as they stand: quantities ascending (1 import, 2 export, 3 heat), whole watt-hours, never from less than
the meter knows. OSError: it does not answer. ValueError: it answers nonsense. A meter that must be looked after
between two readings (a chip that counts, a bus that answers later) has as well

    poll()  -> milliseconds until it wants to be called again; never waits, raises nothing of the wire's making

and one that has something to tell a person, or to calibrate by, has

    state() -> a flat dict of whole numbers and words: counts of what was refused, and the last values

`hardware` is what a board hands in (firmware/boards/hardware.py): uart(), pulses(), switch(), i2c(), store().
"""

from node.port import sleep_ms

_makers = {}


def driver(name):
    """Decorator: make meters of type `name` by this function of (config, clock, hardware)."""

    def register(maker):
        _makers[name] = maker
        return maker

    return register


def make(config, clock, hardware=None):
    """The meter that the configuration's `meter` names by its `type`."""
    name = config["type"]
    if name not in _makers:
        __import__("meters." + name)
    return _makers[name](config, clock, hardware)


async def serve(meter):
    """Call the meter's poll() when it wants it, for ever; returns at once for a meter without."""
    while hasattr(meter, "poll"):
        await sleep_ms(meter.poll())
