"""The board's hardware, on a `machine` that only remembers."""

import boards
from boards.hardware import Hardware

from neutral import folder

LEVELS = {}  # what pins were driven to, by number


class Uart:
    def __init__(self, number, **settings):
        self.number = number
        self.settings = settings
        self.said = []

    def init(self, **settings):
        self.settings = settings

    def any(self):
        return 0

    def read(self, _size):
        return None

    def write(self, data):
        self.said.append((data, LEVELS.get(4)))
        return len(data)

    def flush(self):
        self.said.append(("flushed", LEVELS.get(4)))


class Pin:
    IN, OUT, IRQ_RISING = 0, 1, 1

    def __init__(self, number, _mode=None):
        self.number = number
        self.handler = None

    def value(self, level):
        LEVELS[self.number] = level

    def irq(self, handler, _edge):
        self.handler = handler


class Counter:
    def __init__(self, unit, pin, filter_ns):
        self.unit, self.pin, self.filter_ns = unit, pin, filter_ns


class Esp32:
    """A chip that counts in hardware."""

    UART, Pin, Counter = Uart, Pin, Counter


class Esp32C3:
    """One that does not."""

    UART, Pin = Uart, Pin


def test_uart():
    """Opened on the board's wires, with room for seconds of bytes; one that only listens has no TX."""
    uart = Hardware(boards.find("esp32_tic"), Esp32, folder()).uart(1200, 7, 0, 1)
    assert uart.number == 2
    assert uart.settings == {"rxbuf": 1024, "baudrate": 1200, "bits": 7, "parity": 0, "stop": 1, "rx": 16}
    hardware = Hardware(boards.find("esp32_tic"), Esp32, folder())
    uart = hardware.uart(9600, 8, None, 1)
    assert hardware.uart(19200, 8, None, 1) is uart
    assert uart.settings["baudrate"] == 19200


def test_uart_when_the_line_is_shared():
    """RS-485: the transceiver drives the line from the first bit to the last, and listens otherwise."""
    board = boards.find("esp32_rs485")
    uart = Hardware(board, Esp32, folder()).uart(9600, 8, None, 1)
    assert board["pins"]["de"] == 4
    assert LEVELS[4] is False
    assert uart.write(b"question") == 8
    assert uart._uart.said == [(b"question", True), ("flushed", True)]
    assert LEVELS[4] is False
    assert (uart.any(), uart.read(1)) == (0, None)


def test_pulses():
    """Each role has a unit of its own in hardware; without such units an interrupt counts."""
    board = boards.find("shelly_plus_plug_s")
    hardware = Hardware(board, Esp32, folder())
    first, second = hardware.pulses("cf"), hardware.pulses("cf1")
    assert (first.unit, first.pin.number, second.unit, second.pin.number) == (0, 10, 1, 22)
    counter = Hardware(board, Esp32C3, folder()).pulses("cf")
    assert counter.value() == 0
    counter._on_edge(None)
    assert counter.value() == 1


def test_switch():
    """A pin that the board calls inverted is driven the other way."""
    hardware = Hardware(boards.find("shelly_plus_plug_s"), Esp32, folder())
    hardware.switch("sel", True)
    hardware.switch("relay", True)
    assert (LEVELS[19], LEVELS[4]) == (False, True)


def test_store():
    """What one start saved the next one finds."""
    place = folder()
    board = boards.find("shelly_plus_plug_s")
    Hardware(board, Esp32, place).store("energy").save(b"value")
    assert Hardware(board, Esp32, place).store("energy").load() == b"value"
