"""A founded village is what its table says: everybody admitted, every meter behind the broker of its own cupboard."""

import json
import tomllib
from pathlib import Path

import pytest

from aggregator.commune.registry import Directory
from commonwatt.demo.cast import assemble
from commonwatt.demo.founding import found
from commonwatt.demo.plan import Plan
from commonwatt.demo.registers.homes import FORTY_HOMES
from commonwatt.errors import UserError
from ledger.app import open_ledger


def plan(directory: Path, homes: int) -> Plan:
    return Plan(directory, homes, days=1, speed=1440, seed=1, faults=False, broker_url=None)


def test_village_when_it_is_founded(tmp_path: Path) -> None:
    """Forty homes with their meters in the log; each reader is told its own gateway's broker and has an account there
    only; the aggregator sees gateways and no device."""
    commune = found(plan(tmp_path / "demo", 40))
    layout, ids = commune.layout, commune.ids
    with open_ledger(layout.root) as ledger:
        admitted = Directory.of(ledger.state)
    assert set(admitted.meters) == set(ids.devices.values())
    assert set(admitted.gateways) == set(ids.gateways.values())
    assert {meter.site for meter in admitted.meters.values()} == set(ids.sites.values())
    cast = assemble(commune, plan(tmp_path, 40).running_clock())
    assert len(cast.programs) == 52 + 2 + 3 + 1
    urls = {}
    for feeder in FORTY_HOMES.feeders:
        broker = commune.brokers.of_gateway[feeder.gateway]
        settings = tomllib.loads(layout.gateway_toml(feeder.gateway).read_text())
        assert settings["local"]["url"] == broker.url != settings["upstream"]["url"] == commune.brokers.town.url
        own = {name for name in FORTY_HOMES.readers if FORTY_HOMES.devices[name].home in feeder.homes}
        assert set(broker.passwords) == {ids.devices[name].hex() for name in own} | {
            ids.gateways[feeder.gateway].hex()
        }
        urls |= dict.fromkeys(own, broker.address)
    for name in FORTY_HOMES.readers:
        told = json.loads((layout.device(name) / "device.json").read_text())["broker"]
        assert (told["host"], told["port"]) == urls[name]
    assert set(commune.brokers.town.passwords) == {gateway.hex() for gateway in ids.gateways.values()} | {
        "aggregator"
    }


def test_plan_when_there_are_no_measurements_for_so_many_homes(tmp_path: Path) -> None:
    """The error says how many there are."""
    with pytest.raises(UserError, match="10 or 40"):
        plan(tmp_path, 12)
