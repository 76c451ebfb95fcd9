"""What a board hands to the meter drivers, made from its description. Only a chip has the `machine` it needs.

Drivers ask for what they need by role and get objects with a few methods each, so tests hand in others:

    uart(baud, bits, parity, stop) -> any(), read(n), write(bytes)      parity None, 0 even, 1 odd
    pulses(role) -> value()                                             pulses since start, only growing
    switch(role, on)                                                    drives a pin
    i2c() -> readfrom_mem(..), writeto_mem(..)                          as machine.I2C
    store(name) -> load(), save(bytes)                                  durable, one small value
"""

from meters.store import FileStore

_RX_BUFFER = 1024  # a CSE7766 sends 230 bytes a second, a Linky 960: seconds of patience while we sign
_FILTER_NS = 10000  # BL0937's pulses last 38 us


class Hardware:
    """`machine` is the module of that name; `folder` is where stores lie."""

    def __init__(self, board, machine, folder):
        self._board = board
        self._machine = machine
        self._folder = folder
        self._uart = None
        self._counters = 0

    def uart(self, baud, bits, parity, stop):
        """The board's UART, opened or set anew."""
        wires = self._board["uart"]
        settings = {"baudrate": baud, "bits": bits, "parity": parity, "stop": stop, "rxbuf": _RX_BUFFER}
        settings.update({role: wires[role] for role in ("rx", "tx") if wires[role] is not None})
        if self._uart is None:
            # With its pins at once: opened without, it drives those that MicroPython chose (9 and 10), for a moment.
            self._uart = self._machine.UART(wires["id"], **settings)
        else:
            self._uart.init(**settings)
        if "de" in self._board["pins"]:
            return _HalfDuplex(self._uart, self)
        return self._uart

    def pulses(self, role):
        """Counts in hardware where the chip can (ESP32, S3: not C3), else in an interrupt."""
        pin = self._machine.Pin(self._board["pins"][role], self._machine.Pin.IN)
        if hasattr(self._machine, "Counter"):
            self._counters += 1
            return self._machine.Counter(self._counters - 1, pin, filter_ns=_FILTER_NS)
        return _InterruptCounter(pin, self._machine.Pin.IRQ_RISING)

    def switch(self, role, on):
        """Set a pin; an inverted one the other way."""
        pin = self._machine.Pin(self._board["pins"][role], self._machine.Pin.OUT)
        pin.value(bool(on) != (role in self._board["inverted"]))

    def i2c(self):
        """The board's I2C bus."""
        pins = self._board["pins"]
        return self._machine.I2C(0, scl=self._machine.Pin(pins["scl"]), sda=self._machine.Pin(pins["sda"]))

    def store(self, name):
        """A small durable value in the state folder."""
        return FileStore(self._folder + "/" + name)


class _HalfDuplex:
    """A UART behind an RS-485 transceiver: the line is driven while we talk and not a bit longer."""

    def __init__(self, uart, hardware):
        self._uart = uart
        self._hardware = hardware
        self.any = uart.any
        self.read = uart.read
        hardware.switch("de", False)

    def write(self, data):
        """Talk; returns when the last bit is out: 9 ms for a question at 9600 baud."""
        self._hardware.switch("de", True)
        try:
            written = self._uart.write(data)
            self._uart.flush()
        finally:
            self._hardware.switch("de", False)
        return written


class _InterruptCounter:
    """Counts edges in an interrupt; 2 kHz at full load is within an ESP32-C3's reach, but jitter can lose some."""

    def __init__(self, pin, edge):
        self._count = 0
        pin.irq(self._on_edge, edge)

    def value(self):
        return self._count

    def _on_edge(self, _pin):
        self._count += 1
