"""Meter drivers. A driver is one file here that registers itself; only the one that is configured is imported.

A meter is any object with

    read() -> [(quantity, wh), ...]

the registers as they stand: quantities ascending (1 import, 2 export, 3 heat), whole watt-hours, never from less than
the meter knows. OSError: it does not answer. ValueError: it answers nonsense.
"""

_makers = {}


def driver(name):
    """Decorator: make meters of type `name` by this function of (config, clock)."""

    def register(maker):
        _makers[name] = maker
        return maker

    return register


def make(config, clock):
    """The meter that the configuration's `meter` names by its `type`."""
    name = config["type"]
    __import__("meters." + name)
    return _makers[name](config, clock)
