"""Home Assistant sees the gateway's own meters by itself: MQTT discovery on the devices' broker, all of it retained.

    homeassistant/sensor/<meter>/<name>/config   what the sensor is; empty once the meter is read no longer
    cw/<meter>/energy                            {"import": Wh, "export": Wh, "heat": Wh}, totals that never decrease
    cw/<meter>/state                             {"state": "online" | "offline"}: whether the meter is read
    cw/<gateway>/state                           the same of the gateway, and its last will
    homeassistant/binary_sensor/<gateway>/…      whether the operator asks to use less (peak) or more (surplus) now
    cw/<gateway>/requests                        {"peak": "ON", "surplus": "OFF", "start": …, "end": …, "kind": …}

`start`, `end` and `kind` are of the window that runs or comes next, null if there is none, for automations.
Names and topics are those of the firmware (firmware/node/homeassistant.py). A sensor is available while both states
are online, so a silent meter shows as unavailable, never as its last value. Keys of the configuration:
home-assistant.io/integrations/sensor.mqtt, .../binary_sensor.mqtt, .../mqtt.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from commonwatt import topics
from commonwatt.asked import Ask, current
from commonwatt.mqtt import Message
from commonwatt.quantities import EXPORT, HEAT, IMPORT
from gateway.database import Database
from gateway.meters.meter import Meter
from gateway.observe.totals import Totals
from gateway.service import Gateway

NAMES = {IMPORT.number: "import", EXPORT.number: "export", HEAT.number: "heat"}
ONLINE, OFFLINE = b'{"state": "online"}', b'{"state": "offline"}'


def will(gateway: bytes) -> Message:
    """What the broker says for a gateway that was killed."""
    return Message(topics.of_device(gateway, topics.STATE), OFFLINE)


def discovery(meter: bytes, name: str, quantity: int, gateway: bytes) -> dict[str, Any]:
    """The configuration of one sensor; `name` is the meter's, as the settings give it."""
    identity = f"commonwatt_{meter.hex()}"
    kind = NAMES[quantity]
    return {
        "name": f"Energy {kind}",
        "unique_id": f"{identity}_{kind}",
        "device_class": "energy",
        "state_class": "total_increasing",
        "unit_of_measurement": "Wh",
        "state_topic": topics.of_device(meter, topics.ENERGY),
        "value_template": "{{ value_json.%s }}" % kind,  # noqa: UP031 (the braces are the template's)
        "availability": [
            {"topic": topics.of_device(who, topics.STATE), "value_template": "{{ value_json.state }}"}
            for who in (meter, gateway)
        ],
        "availability_mode": "all",
        "device": {"identifiers": [identity], "name": f"Commonwatt {name}"},
    }


def discovery_topic(meter: bytes, quantity: int) -> str:
    """Where a sensor's configuration is retained."""
    return f"homeassistant/sensor/{meter.hex()}/{NAMES[quantity]}/config"


def asked_of(gateway: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Topic and configuration of what tells the operator's requests: two on or off, and the next one's time."""
    identity, topic = f"commonwatt_{gateway.hex()}", topics.of_device(gateway, topics.REQUESTS)
    common = {
        "state_topic": topic,
        "availability": [
            {"topic": topics.of_device(gateway, topics.STATE), "value_template": "{{ value_json.state }}"}
        ],
        "device": {"identifiers": [identity], "name": "Commonwatt"},
    }
    for kind, name in (("peak", "Use less"), ("surplus", "Use more")):
        told = {"name": name, "unique_id": f"{identity}_{kind}", "value_template": "{{ value_json.%s }}" % kind}  # noqa: UP031
        yield f"homeassistant/binary_sensor/{gateway.hex()}/{kind}/config", {**common, **told}
    told = {
        "name": "Next request",
        "unique_id": f"{identity}_next",
        "device_class": "timestamp",
        "value_template": "{{ value_json.start }}",
    }
    yield f"homeassistant/sensor/{gateway.hex()}/next/config", {**common, **told, "json_attributes_topic": topic}


def asked_now(asks: Sequence[Ask], now_s: float) -> dict[str, str | None]:
    """What cw/<gateway>/requests says."""
    now = current(asks, now_s)
    shown = now or next(iter(asks), None)
    return {
        "peak": "ON" if now is not None and now.is_peak else "OFF",
        "surplus": "ON" if now is not None and not now.is_peak else "OFF",
        "start": None if shown is None else _iso(shown.start_s),
        "end": None if shown is None else _iso(shown.end_s),
        "kind": None if shown is None else shown.kind,
    }


def _iso(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat()


class HomeAssistant:
    """Says what is news: everything on a new connection, then what has changed."""

    def __init__(self, *, own_id: bytes, gateway: Gateway, database: Database, step_s: int) -> None:
        self._own_id = own_id
        self._gateway = gateway
        self._database = database
        self._step_s = step_s
        self._totals = Totals(database)
        self._told: dict[str, bytes] = {}
        """What the broker retains of us, by topic, as far as this connection was told."""
        self._connection = 0

    def see(self, state: Mapping[str, Any]) -> None:
        """Called about once a second, outside a transaction: the totals are on the disk before they are told.

        A gateway that is stopped says so here; a killed one's will does.
        """
        if state["state"] != "up":
            self._tell([(topics.of_device(self._own_id, topics.STATE), OFFLINE)])
            return
        gone = self._count()
        if self._connection != self._gateway.local.connects:
            self._connection = self._gateway.local.connects
            self._told = {}
        # What a meter is no longer read for is taken back; an empty payload removes what was retained.
        self._tell((discovery_topic(device, quantity), b"") for device in gone for quantity in NAMES)
        self._tell(self._news(float(state["civil_s"])))

    def _count(self) -> list[bytes]:
        """Let the totals follow the believed readings; returns the meters that are read no longer."""
        fleet = {meter.device: meter for meter in self._gateway.poller.fleet}
        self._gateway.desks.states.ours = {self._own_id, *fleet}
        latest = [(sampler.last, fleet.get(device)) for device, sampler in self._gateway.samplers.items()]
        gone = [device for device in self._totals.by_device if device not in fleet]
        with self._database.transaction():
            for reading, meter in latest:
                if reading and meter:
                    self._totals.take(reading, meter.limits, step_s=self._step_s)
            if self._gateway.local.is_up:
                for device in gone:
                    self._totals.forget(device)
        return gone

    def _news(self, now_s: float) -> Iterable[tuple[str, bytes]]:
        yield topics.of_device(self._own_id, topics.STATE), ONLINE
        for topic, sensor in asked_of(self._own_id):
            yield topic, json.dumps(sensor).encode()
        fleet = [meter.device for meter in self._gateway.poller.fleet]
        asked = asked_now(self._gateway.desks.asking.asks(fleet, now_s), now_s)
        yield topics.of_device(self._own_id, topics.REQUESTS), json.dumps(asked).encode()
        for meter in self._gateway.poller.fleet:
            total = self._totals.by_device.get(meter.device)
            if total is None:
                continue
            for quantity in sorted(total.total_wh):
                sensor = discovery(meter.device, meter.name, quantity, self._own_id)
                yield discovery_topic(meter.device, quantity), json.dumps(sensor).encode()
            energy = {NAMES[quantity]: wh for quantity, wh in sorted(total.total_wh.items())}
            yield topics.of_device(meter.device, topics.ENERGY), json.dumps(energy).encode()
            yield topics.of_device(meter.device, topics.STATE), ONLINE if self._is_read(meter) else OFFLINE

    def _is_read(self, meter: Meter) -> bool:
        state, sampler = self._gateway.poller.states[meter.name], self._gateway.samplers[meter.device]
        return state.last_s is not None and not state.silent_because and not sampler.doubted_because

    def _tell(self, messages: Iterable[tuple[str, bytes]]) -> None:
        for topic, payload in messages:
            if self._told.get(topic) != payload and self._gateway.local.publish(topic, payload, retain=True):
                self._told[topic] = payload
