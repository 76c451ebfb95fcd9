"""What was worked out before and may be asked for again: a bounded memory for many threads."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """At most `count_max` values by key; what was not asked for the longest is forgotten."""

    def __init__(self, count_max: int) -> None:
        self._count_max, self._lock = count_max, threading.Lock()
        self._values: OrderedDict[K, V] = OrderedDict()

    def find(self, key: K) -> V | None:
        """The value of a key, if it is kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def keep(self, key: K, value: V) -> V:
        """Keep a value, and give it back."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._count_max:
                self._values.popitem(last=False)
        return value

    def of(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made now if it is not kept. Two who ask at once may both make it."""
        found = self.find(key)
        return self.keep(key, make()) if found is None else found
