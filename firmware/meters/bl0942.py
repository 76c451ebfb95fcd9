"""BL0942 over UART (4800 8N1): asked once a second, answers 23 bytes.

    write 58|address AA    read 55 I24 V24 Ifast24 W s24 CF24 f16 00 status.. checksum    (little-endian)
    checksum = ~(the command byte + bytes 0..21) & FF

Source: esphome/components/bl0942 (formats and default references), arendst/Tasmota#14829 (frames). The chip's CF
counter has 24 bits and begins at 0 when the chip loses power; taking each decrease for a wrap would invent 5077 kWh
(esphome#15280). It is not reset when we start: what it counts while we restart is energy too.
"""

from buses.frames import FrameReader
from node.port import const, ticks_ms

import meters
from meters.chip import ChipMeter, scaled
from meters.counting import gain

_POLL_MS = const(1000)
_ANSWER_SIZE = const(23)
_REGISTER_SIZE = const(4)
_READ = const(0x58)
_WRITE = const(0xA8)
_ALL = const(0xAA)
_MODE = const(0x19)
_UNLOCK = const(0x1D)
# CF on, CF counts in both directions (bit 7), RMS every 800 ms (bit 3), 50 Hz (bit 5 clear).
_MODE_WANTED = const(0x8F)
_MODE_MASK = const(0x3FF)
# Wh per pulse 1000/3304.61; the references are those of the usual 1 mOhm board.
_WH_NUMERATOR = const(100000)
_WH_DENOMINATOR = const(330461)


@meters.driver("bl0942")
def make(config, _clock, hardware):
    """The meter of {"type": "bl0942", "address": 0..3}."""
    return Bl0942(config, hardware, hardware.uart(4800, 8, None, 1))


def checksum(data):
    """The complement of the sum, as the chip and we end what we say."""
    return ~sum(data) & 0xFF


class Bl0942(ChipMeter):
    """Reads nothing before the chip has confirmed its mode: in another one its pulses would mean something else."""

    def __init__(self, config, hardware, uart, ticks=ticks_ms):
        ChipMeter.__init__(self, config, hardware, 24, _WH_NUMERATOR, _WH_DENOMINATOR, ticks)
        address = config.get("address", 0)
        self._uart = uart
        self._read = _READ | address
        self._write = _WRITE | address
        self._answers = FrameReader(uart, _ANSWER_SIZE, self._is_answer)
        self._settings = FrameReader(uart, _REGISTER_SIZE, self._is_mode)
        self._is_set = False
        self._is_asked = False
        self._gains = [gain(config, name) for name in ("voltage", "current", "power")]
        self.silent = 0

    def poll(self):
        """Take what was answered to the last question and ask the next."""
        if self._is_set:
            self._take_answer()
        elif self._settings.take():
            self._is_set = True
        if not self._is_set:
            self._set_mode()
        else:
            self._uart.write(bytes([self._read, _ALL]))
        self._is_asked = True
        return _POLL_MS

    def state(self):
        """As ChipMeter, and `silent`: questions without a good answer."""
        state = ChipMeter.state(self)
        state["silent"] = self.silent
        state["noise_bytes"] = self._answers.noise_bytes + self._settings.noise_bytes
        return state

    def _take_answer(self):
        frames = self._answers.take()
        self._answers.forget()
        if not frames:
            self.silent += 1
            # Three in a row may be a chip that was reset and is in another mode: begin again.
            self._is_set = self.silent % 3 != 0
            return
        self._took(_u24(frames[-1], 13))
        self._show(frames[-1])

    def _show(self, frame):
        power = _u24(frame, 10)
        if power & 0x800000:
            power -= 1 << 24
        voltage, current, watts = self._gains
        self.values["voltage_mv"] = scaled(_u24(frame, 4), 100000, 1587336, voltage)
        self.values["current_ma"] = scaled(_u24(frame, 1), 100000, 25121346, current)
        self.values["power_mw"] = scaled(power, 1000, 596, watts)
        period = frame[16] | frame[17] << 8
        if period:
            self.values["frequency_mhz"] = 1000000000 // period

    def _set_mode(self):
        if self._is_asked:
            self.silent += 1
        self._settings.forget()
        for register, value in ((_UNLOCK, 0x55), (_MODE, _MODE_WANTED), (_UNLOCK, 0)):
            command = bytes([self._write, register]) + value.to_bytes(3, "little")
            self._uart.write(command + bytes([checksum(command)]))
        self._uart.write(bytes([self._read, _MODE]))

    def _is_answer(self, frame):
        return frame[0] == 0x55 and frame[22] == checksum(bytes([self._read]) + frame[:22])

    def _is_mode(self, frame):
        value = _u24(frame, 0) & _MODE_MASK
        return value == _MODE_WANTED and frame[3] == checksum(bytes([self._read, _MODE]) + frame[:3])


def _u24(frame, at):
    return frame[at] | frame[at + 1] << 8 | frame[at + 2] << 16
