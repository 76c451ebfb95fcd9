"""Home Assistant sees the meter by itself: MQTT discovery, retained, with totals that never decrease.

    homeassistant/sensor/<device>/<name>/config   retained: what the sensor is
    cw/<device>/energy                            retained: {"import": Wh, "export": Wh, "heat": Wh}
    cw/<device>/state                             retained: {"state": "online" or "offline", ...}, the availability

Off unless the configuration has `homeassistant`. Source: home-assistant.io/integrations/sensor.mqtt, .../mqtt.

How it ends, and what is then true:
 1. Down: nothing is sent; on every connection the configurations and the newest totals are sent again.
 2. A register runs backwards (a meter was replaced): the total goes on from where it was, by what the register adds.
 3. Power cut: totals are kept in flash before they are sent, so what was sent is never undercut.
 4. Flash fails: the total is not sent, and counted in `unwritten`.
"""

import json

from node import cbor
from node.port import const, sleep_ms

NAMES = {1: "import", 2: "export", 3: "heat"}

_LOOK_MS = const(1000)


class Totals:
    """Totals in Wh by quantity, that only grow; `cell` keeps [[quantity, register, total], ...]."""

    def __init__(self, cell):
        self._cell = cell
        kept = [] if cell.value is None else cbor.decode(cell.value)
        self._last = {quantity: (register, total) for quantity, register, total in kept}

    def take(self, registers):
        """{quantity: total} after this reading, durable on return if it is another one."""
        last = dict(self._last)
        for quantity, wh in registers:
            register, total = last.get(quantity, (wh, wh))
            last[quantity] = (wh, total + (wh - register if wh >= register else wh))
        if last != self._last:
            self._cell.write(
                cbor.encode([[quantity, last[quantity][0], last[quantity][1]] for quantity in sorted(last)])
            )
            self._last = last
        return {quantity: total for quantity, (_register, total) in last.items()}


class HomeAssistant:
    """Announces `device` (hex) over `link`; `config`: {"prefix", "every_s"}, both optional."""

    def __init__(self, config, device, tap, link, cell):
        self._prefix = config.get("prefix", "homeassistant")
        self._every_ms = config.get("every_s", 300) * 1000
        self._device = device
        self._tap = tap
        self._link = link
        self._totals = Totals(cell)
        self._announced = (0, ())  # the connection and the quantities that were told
        self._sent = None
        self.unwritten = 0

    async def run(self):
        """Announce for ever."""
        while True:
            sent = self._tap.registers is not None and self._link.is_up and await self.step()
            await sleep_ms(self._every_ms if sent else min(_LOOK_MS, self._every_ms))

    async def step(self):
        """Send what this connection was not told yet; whether all of it is on its way."""
        try:
            totals = self._totals.take(self._tap.registers)
        except OSError:
            self.unwritten += 1
            return False
        news = (self._link.connects, tuple(sorted(totals)))
        if news != self._announced:
            self._sent = None
            for quantity in news[1]:
                topic = "%s/sensor/%s/%s/config" % (self._prefix, self._device, NAMES[quantity])
                if not await self._link.publish(topic, self._discovery(NAMES[quantity]), True):
                    return False
            self._announced = news
        if totals != self._sent:
            payload = json.dumps({NAMES[quantity]: total for quantity, total in totals.items()}).encode()
            if not await self._link.publish("cw/%s/energy" % self._device, payload, True):
                return False
            self._sent = totals
        return True

    def _discovery(self, name):
        identity = "commonwatt_" + self._device
        return json.dumps(
            {
                "name": "Energy " + name,
                "unique_id": identity + "_" + name,
                "device_class": "energy",
                "state_class": "total_increasing",
                "unit_of_measurement": "Wh",
                "state_topic": "cw/%s/energy" % self._device,
                "value_template": "{{ value_json.%s }}" % name,
                "availability_topic": "cw/%s/state" % self._device,
                "availability_template": "{{ value_json.state }}",
                "device": {"identifiers": [identity], "name": "Commonwatt " + self._device[:8]},
            }
        ).encode()
