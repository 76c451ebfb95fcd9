"""A founded village is what its table says: everybody admitted, every meter behind the broker of its own cupboard."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.commune.registry import Directory
from aggregator.statements import declaring, values
from commonwatt.demo.cast import assemble
from commonwatt.demo.founding import found
from commonwatt.demo.plan import Plan
from commonwatt.demo.registers.homes import FORTY_HOMES, START_S
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
    assert values.waiting(declaring.stated_in(layout.root)) == ()  # what was declared is confirmed
    cast = assemble(commune, plan(tmp_path, 40).running_clock())
    assert len(cast.programs) == 52 + 2 + 3 + 1
    urls = {}
    for feeder in FORTY_HOMES.feeders:
        broker = commune.brokers.of_gateway[feeder.gateway]
        settings = tomllib.loads(layout.gateway_toml(feeder.gateway).read_text())
        assert f"127.0.0.1:{settings['observe']['port']}" in layout.prometheus.read_text()
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


@pytest.mark.parametrize(
    ("text", "what"), [(None, "cannot be read"), ("version = ", "cannot be read"), ("version = 1", "no window_s")]
)
def test_plan_when_its_policy_is_none(tmp_path: Path, text: str | None, what: str) -> None:
    """The file is named before anything is founded."""
    if text is not None:
        (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(UserError, match=what) as caught:
        replace(plan(tmp_path, 10), policy=tmp_path / "policy.toml")
    assert "policy.toml" in str(caught.value)


def test_peak_when_days_are_few_or_many(tmp_path: Path) -> None:
    """In the evening of the last working day that is lived; the week-end has none."""
    days = [(replace(plan(tmp_path, 10), days=days).peak_s[0] - START_S) // 3600 for days in (1, 2, 5, 7)]
    assert days == [18, 24 + 18, 4 * 24 + 18, 4 * 24 + 18]


def test_plan_when_there_are_no_measurements_for_so_many_homes(tmp_path: Path) -> None:
    """The error says how many there are."""
    with pytest.raises(UserError, match="10 or 40"):
        plan(tmp_path, 12)
