"""What a board hands to drivers, for tests: wires that remember, pins that count, stores in memory, time by hand."""

_SENT_MAX = 15


class Ticks:
    """Milliseconds that a test moves."""

    def __init__(self):
        self.now_ms = 1000

    def __call__(self):
        return self.now_ms


class Wire:
    """A UART: what is in `incoming` was received; `sent` the last few writes; `answer`, if any, answers each."""

    def __init__(self, answer=None):
        self.incoming = b""
        self.sent = []
        self.answer = answer

    def any(self):
        return len(self.incoming)

    def read(self, size):
        data, self.incoming = self.incoming[:size], self.incoming[size:]
        return data or None

    def write(self, data):
        self.sent = self.sent[-_SENT_MAX:] + [bytes(data)]
        if self.answer:
            self.incoming += self.answer(bytes(data))


class Count:
    """A pin's pulses so far."""

    def __init__(self):
        self.total = 0

    def value(self):
        return self.total


class MemoryStore:
    """Keeps the value as flash would; with `fails` set it cannot be written."""

    damaged = 0

    def __init__(self):
        self.value = None
        self.saves = 0
        self.fails = False

    def load(self):
        return self.value

    def save(self, value):
        if self.fails:
            raise OSError("flash")
        self.value = value
        self.saves += 1


class Bench:
    """A board on the bench. Made anew around the same `stores` it is the board after a power cut."""

    def __init__(self, stores=None):
        self.stores = {} if stores is None else stores
        self.wire = Wire()
        self.opened = []
        self.pins = {"cf": Count(), "cf1": Count()}
        self.switched = []

    def uart(self, baud, bits, parity, stop):
        self.opened.append((baud, bits, parity, stop))
        return self.wire

    def pulses(self, role):
        return self.pins[role]

    def switch(self, role, on):
        self.switched.append((role, bool(on)))

    def store(self, name):
        if name not in self.stores:
            self.stores[name] = MemoryStore()
        return self.stores[name]


def noise(chance, size):
    """`size` random bytes."""
    return bytes([chance.randrange(256) for _ in range(size)])
