"""ADE7953 over I2C (address 0x38): registers of 32 bits, most significant byte first; reading energy resets it.

Source: esphome/components/ade7953_base (set-up, registers, P/154 V/26000 I/100000). Energy flows both ways here, so
there are two registers. Its weight depends on the board's shunt and divider: 2.5 counts per watt-second is only where
`commonwatt device calibrate` begins (not verified on hardware).
"""

from node.port import const, ticks_diff, ticks_ms

import meters
from meters.chip import SAVE_WH, is_stale, scaled
from meters.counting import Register, gain

_ADDRESS = const(0x38)
_POLL_MS = const(1000)
_WAKE_MS = const(100)
_RESTART_MS = const(30000)
_ENERGY = const(0x31E)
_POWER = const(0x312)
_CURRENT = const(0x31A)
_VOLTAGE = const(0x31C)
_DENOMINATOR = const(9000)


@meters.driver("ade7953")
def make(config, _clock, hardware):
    """The meter of {"type": "ade7953", "channel": 0 or 1}."""
    return Ade7953(config, hardware, hardware.i2c())


class Ade7953:
    """Import and export. Reading energy clears it in the chip: a lost answer is lost energy, and counted."""

    def __init__(self, config, hardware, i2c, ticks=ticks_ms):
        self._i2c = i2c
        self._ticks = ticks
        self._channel = config.get("channel", 0)
        self._energy = gain(config, "energy")
        self._gains = [gain(config, name) for name in ("voltage", "current", "power")]
        self._limit = 2 * config.get("power_max_w", 4000) * _DENOMINATOR // 3600
        denominator = _DENOMINATOR * self._energy[1]
        self._registers = [Register(hardware.store(name), denominator) for name in ("energy", "energy2")]
        self._save_wh = config.get("save_wh", SAVE_WH)
        self._is_awake = False
        self._seen_ms = None
        self._counted_ms = ticks()
        self.pulses = 0
        self.failures = 0
        self.jumps = 0
        self.values = {}

    def poll(self):
        """Fetch what was counted since the last time."""
        now_ms = self._ticks()
        try:
            if not self._is_awake:
                return self._wake()
            counted = self._read(_ENERGY)
            self._took(counted, now_ms)
            self._show()
        except OSError:
            self.failures += 1
            self._is_awake = False  # it may have lost its power, and its set-up with it
        return _POLL_MS

    def read(self):
        """[(1, wh), (2, wh)]; OSError while the chip was not heard for 10 s."""
        if is_stale(self._seen_ms, self._ticks()):
            self._seen_ms = None
            raise OSError("the chip does not answer")
        return [(index + 1, register.read()) for index, register in enumerate(self._registers)]

    def state(self):
        """Counts and last values; `jumps` are counts that no load within the rating makes."""
        state = {
            "uptime_ms": self._counted_ms,  # the time of `pulses`
            "pulses": self.pulses,
            "wh_per_pulse": [1, _DENOMINATOR],
            "unsaved": sum(register.unsaved for register in self._registers),
            "register_damaged": sum(register.damaged for register in self._registers),
            "bus_failures": self.failures,
            "counter_jumps": self.jumps,
        }
        state.update(self.values)
        return state

    def _wake(self):
        self._i2c.writeto_mem(_ADDRESS, 0xFE, b"\xad", addrsize=16)
        self._i2c.writeto_mem(_ADDRESS, 0x120, b"\x00\x30", addrsize=16)
        self._is_awake = True
        return _WAKE_MS

    def _took(self, counted, now_ms):
        # Before our first look the chip may have counted on while we restarted.
        elapsed_ms = _RESTART_MS if self._seen_ms is None else ticks_diff(now_ms, self._seen_ms)
        self._seen_ms = self._counted_ms = now_ms
        if abs(counted) > self._limit * (elapsed_ms + _POLL_MS) // 1000:
            self.jumps += 1
            return
        self.pulses += abs(counted)
        register = self._registers[counted < 0]
        register.add(abs(counted), self._energy[0])
        register.keep(self._save_wh)

    def _show(self):
        voltage, current, power = self._gains
        self.values["voltage_mv"] = scaled(self._read(_VOLTAGE), 1, 26, voltage)
        self.values["current_ma"] = scaled(self._read(_CURRENT + self._channel), 1, 100, current)
        self.values["power_mw"] = scaled(self._read(_POWER + self._channel), 1000, 154, power)

    def _read(self, register):
        if register == _ENERGY:
            register += self._channel
        data = self._i2c.readfrom_mem(_ADDRESS, register, 4, addrsize=16)
        value = int.from_bytes(data, "big")
        return value - (1 << 32) if value >> 31 else value
