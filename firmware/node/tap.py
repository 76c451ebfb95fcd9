"""A meter that remembers its last reading, for whoever shows it to people."""


class Tap:
    """Stands in the place of the meter it asks; `reads` counts answers, `registers` is the last one or None.

    A device whose meter cannot be made has a tap too: nothing is connected, nobody reads it.
    """

    def __init__(self, meter=None):
        self.registers = None
        self.reads = 0
        self.connect(meter)

    def connect(self, meter):
        """Ask this meter from now on."""
        self._meter = meter
        if hasattr(meter, "poll"):
            self.poll = meter.poll
        if hasattr(meter, "state"):
            self.state = meter.state

    def read(self):
        """What the meter reads."""
        self.registers = self._meter.read()
        self.reads += 1
        return self.registers
