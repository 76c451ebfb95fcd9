"""Home Assistant's view of the gateway's own meters, heard on real brokers with the account it really gets."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.database import Database
from gateway.meters.plausible import Limits
from gateway.meters.sampling import Reading
from gateway.observe.homeassistant import discovery, discovery_topic
from gateway.observe.totals import Totals
from tests.gateway.modbus_meter import FaultyMeter
from tests.gateway.support import Client, Town, wait_for
from tests.gateway.test_broker import BROKERS, running

METER, GATEWAY = bytes.fromhex("cc" * 16), bytes.fromhex("aa" * 16)
LIMITS = Limits(power_max_w=10_000, resolution_wh=1, rollover_wh=None)
STEP_S = 900
FIRMWARE = Path(__file__).parents[2] / "firmware" / "node" / "homeassistant.py"
DOCUMENTED = {
    *("availability", "availability_mode", "device", "device_class", "name", "state_class", "state_topic"),
    *("unique_id", "unit_of_measurement", "value_template"),
}
"""Keys of home-assistant.io/integrations/sensor.mqtt that are used; `availability` holds topic, value_template."""


def reading(step: int, import_wh: int, export_wh: int = 0) -> Reading:
    return Reading(METER, step * STEP_S, ((1, import_wh), (2, export_wh)))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "spool.db") as opened:
        yield opened


@pytest.mark.parametrize(
    ("registers", "total_wh"),
    [
        ([1000], 1000),
        ([1000, 1200, 1200, 1300], 1300),
        ([1000, 0, 100], 1100),  # reset: goes on by what it adds
        ([1000, 900_000, 900_100], 1100),  # another meter, with more on it
        ([1000, 999_000, 1100, 1200], 1100),  # an answer that cannot be: what lies around it is not counted
    ],
    ids=["first", "grows", "reset", "replaced", "leap and back"],
)
def test_total_when_the_register_does_this(database: Database, registers: list[int], total_wh: int) -> None:
    """It never decreases, and what cannot be energy is not in it; read again from the disk it is the same."""
    totals = Totals(database)
    told = []
    for step, wh in enumerate(registers):
        with database.transaction():
            totals.take(reading(step, wh), LIMITS, step_s=STEP_S)
        told.append(totals.by_device[METER].total_wh[1])
    assert told == sorted(told)
    assert told[-1] == total_wh
    assert Totals(database).by_device == totals.by_device


def test_total_when_a_meter_is_read_no_longer(database: Database) -> None:
    """It is forgotten, on the disk too."""
    totals = Totals(database)
    with database.transaction():
        totals.take(reading(0, 5), LIMITS, step_s=STEP_S)
        totals.forget(METER)
    assert Totals(database).by_device == {}


def test_discovery_when_compared_with_the_documentation() -> None:
    """Only documented keys; class, state class and unit go together; the id is unique per sensor."""
    sensors = [discovery(METER, "roof", quantity, GATEWAY) for quantity in (1, 2, 3)]
    assert len({sensor["unique_id"] for sensor in sensors}) == 3
    for sensor in sensors:
        assert set(sensor) == DOCUMENTED
        assert (sensor["device_class"], sensor["state_class"]) == ("energy", "total_increasing")
        assert sensor["unit_of_measurement"] == "Wh"
        assert sensor["availability_mode"] == "all"
        assert all(set(entry) == {"topic", "value_template"} for entry in sensor["availability"])


def test_discovery_when_compared_with_the_firmware() -> None:
    """Topics, ids and templates are those that devices of their own announce."""
    source = FIRMWARE.read_text()
    sensor = discovery(METER, "roof", 1, GATEWAY)
    spelled = {
        '"%s/sensor/%s/%s/config"': discovery_topic(METER, 1),
        '"cw/%s/energy"': sensor["state_topic"],
        '"{{ value_json.%s }}"': sensor["value_template"],
        '"Energy "': sensor["name"],
        '"{{ value_json.state }}"': sensor["availability"][0]["value_template"],
        '"cw/%s/state"': sensor["availability"][0]["topic"],
    }
    for template, ours in spelled.items():
        assert template in source
        assert re.fullmatch(".*".join(re.escape(part) for part in template.strip('"').split("%s")) + ".*", ours)


@pytest.mark.story
@pytest.mark.parametrize("broker", [BROKERS[1], pytest.param(BROKERS[0], marks=pytest.mark.soak)])
def test_gateway_when_home_assistant_listens(tmp_path: Path, broker: str) -> None:
    """Announced, counted, silent, gone, killed: what Home Assistant hears at each turn, by its own account alone."""
    with FaultyMeter() as own:
        own.show(1234, 5678)
        town = Town(tmp_path, [], extra=_FAST, roster_extra="home_assistant = true", meters=_meter(own.port)).found()
        with (
            running(broker, town),
            town.client("homeassistant", "homeassistant/#", "cw/+/energy", "cw/+/state") as ears,
        ):
            heard = Heard(ears)
            clock = f"1721606400@{time.time()}x1500"
            with town.running_gateway("--clock", clock) as gateway:
                heard.wait(f"cw/{METER.hex()}/energy", {"import": 1234, "export": 5678})
                for kind in ("import", "export"):
                    sensor = heard.wait_for(f"homeassistant/sensor/{METER.hex()}/{kind}/config")
                    assert sensor["state_topic"] == f"cw/{METER.hex()}/energy"
                    assert [entry["topic"] for entry in sensor["availability"]] == [
                        f"cw/{METER.hex()}/state",
                        f"cw/{GATEWAY.hex()}/state",
                    ]
                heard.wait(f"cw/{METER.hex()}/state", {"state": "online"})
                heard.wait(f"cw/{GATEWAY.hex()}/state", {"state": "online"})
                own.show(1300, 5678)
                heard.wait(f"cw/{METER.hex()}/energy", {"import": 1300, "export": 5678})
                own.mode = "silent"
                heard.wait(f"cw/{METER.hex()}/state", {"state": "offline"})
                own.mode = "ok"
                heard.wait(f"cw/{METER.hex()}/state", {"state": "online"})
                assert town.status()["devices"]["by_device"] == {}, "the meter and the gateway are no devices"
                gateway.kill()
                gateway.wait()
            heard.wait(f"cw/{GATEWAY.hex()}/state", {"state": "offline"})
            town.settings_file.write_text(town.settings_file.read_text().partition("[[meters]]")[0])
            with town.running_gateway("--clock", clock):
                heard.wait(f"cw/{GATEWAY.hex()}/state", {"state": "online"})
                heard.wait_gone(f"homeassistant/sensor/{METER.hex()}/import/config")
            heard.wait(f"cw/{GATEWAY.hex()}/state", {"state": "offline"})


class Heard:
    """The newest payload of each topic, as one who listens knows it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.newest: dict[str, bytes] = {}

    def look(self) -> dict[str, bytes]:
        self.newest |= {message.topic: message.payload for message in self._client.drain()}
        return self.newest

    def wait(self, topic: str, value: object) -> None:
        wait_for(lambda: json.loads(self.look().get(topic) or b"null") == value, f"{value} on {topic}")

    def wait_bytes(self, topic: str, payload: bytes) -> None:
        wait_for(lambda: self.look().get(topic) == payload, f"these bytes on {topic}")

    def wait_for(self, topic: str) -> dict[str, object]:
        wait_for(lambda: self.look().get(topic), topic)
        return dict(json.loads(self.newest[topic]))

    def wait_gone(self, topic: str) -> None:
        wait_for(lambda: self.look().get(topic) == b"", f"the end of {topic}")


_FAST = "home_assistant = true\nmeter_timeout_s = 0.2\nmeter_backoff_s_min = 0.1\nmeter_backoff_s_max = 0.2"


def _meter(port: int) -> str:
    return (
        f'[[meters]]\nname = "roof"\ndevice = "{METER.hex()}"\nkey_file = "roof.key"\n'
        f'type = "schneider-iem3155"\nhost = "127.0.0.1"\nport = {port}\n'
    )
