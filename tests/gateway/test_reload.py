"""Settings are read again while the gateway runs: no poll is lost, a mistake changes nothing."""

import signal
import struct
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from commonwatt import block, cose
from commonwatt.block import link
from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.identity import load_key
from commonwatt.topics import BATCH, of_gateway
from gateway.meters import tables
from gateway.meters.meter import Meter, limits_of
from gateway.meters.polling import Poller, PollRules
from gateway.meters.sampling import Reading
from gateway.settings import BusSettings
from gateway.testing import read_batch
from tests.gateway.modbus_meter import FaultyMeter
from tests.gateway.support import COMMUNE, Client, Town, wait_for

pytestmark = pytest.mark.story
TABLE = tables.find("schneider-iem3155")
T0 = 1_721_606_400
STEP_S = 900


def meter_at(port: int, number: int, timeout_s: float = 0.2) -> Meter:
    bus = BusSettings(name=f"bus {port}", kind="modbus-tcp", host="127.0.0.1", port=port, timeout_s=timeout_s)
    return Meter(f"meter {number}", bytes([number]) * 16, bus, 1, TABLE, limits_of(TABLE))


def drain(poller: Poller, readings: list[Reading]) -> list[Reading]:
    while not poller.readings.empty():
        readings.append(poller.readings.get_nowait())
    return readings


def test_poller_when_its_fleet_changes_at_any_moment() -> None:
    """Whoever stays is read at every step, however often the others change; whoever left is heard of no more."""
    rules = PollRules(step_s=STEP_S, late_s_max=STEP_S, backoff_s_min=0.1, backoff_s_max=0.2)
    with FaultyMeter() as stays, FaultyMeter() as comes, FaultyMeter("silent") as mute:
        for own in (stays, comes):
            own.show(1, 2)
        one, two, three = meter_at(stays.port, 1), meter_at(comes.port, 2), meter_at(mute.port, 3)
        # 900 s in half a second: the machine that runs the tests may be slow.
        clock = CivilClock(T0, time.time(), 1800.0)
        readings: list[Reading] = []
        with Poller(fleet=[one], rules=rules, civil=clock, protocol=MonotonicClock()) as poller:
            for turn in range(12):
                fleet = ([one], [one, two], [two, one, three], [one, meter_at(comes.port, 2, timeout_s=0.3)])[
                    turn % 4
                ]
                poller.change(fleet, rules)
                gone = {meter.device for meter in (one, two, three)} - {meter.device for meter in fleet}
                seen = len(drain(poller, readings))
                wait_for(lambda seen=seen: len(drain(poller, readings)) > seen, "a reading")
                assert not {reading.device for reading in readings[seen:]} & gone
            assert poller.states["meter 1"].missed == 0
            assert poller.states["meter 1"].failures.total() == 0
    times_s = [reading.time_s for reading in readings if reading.device == one.device]
    assert all(after == before + STEP_S for before, after in pairwise(times_s))


def meter_text(name: str, port: int, type_name: str = "schneider-iem3155") -> str:
    device = name.encode().ljust(16, b"\0").hex()
    return (
        f'[[meters]]\nname = "{name}"\ndevice = "{device}"\nkey_file = "{name}.key"\n'
        f'type = "{type_name}"\nhost = "127.0.0.1"\nport = {port}\n'
    )


class Upstream:
    """Everything that arrives upstream, by the key that signed it."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._client = Client(town.port, "aggregator", town.passwords["aggregator"])

    def __enter__(self) -> "Upstream":
        self.blocks: list[bytes] = []
        assert self._client.start(of_gateway(COMMUNE, self._town.gateway, BATCH))
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.__exit__(*exception)

    def of(self, public_key: bytes) -> list[block.Block]:
        """The blocks that a key signed, by number, each once."""
        for message in self._client.drain():
            self.blocks += read_batch(message.payload).blocks
        signed = {b for b in self.blocks if cose.parse1(b, size_max=1024).is_signed_by(public_key, block.AAD)}
        contents = [(block.parse(cose.parse1(b, size_max=1024).payload), b) for b in signed]
        contents.sort(key=lambda pair: pair[0].seq)
        for (_, before), (after, _) in pairwise(contents):
            assert after.prev == link(before)
        return [content for content, _ in contents]


def test_gateway_when_its_settings_change(tmp_path: Path) -> None:
    """SIGHUP: one meter comes, one goes and its open block is sent, one misses no step; a mistake is said."""
    with FaultyMeter() as stays, FaultyMeter() as leaves, FaultyMeter() as comes:
        for own in (stays, leaves, comes):
            own.show(1000, 2000)
        extra = "block_readings = 24\nmeter_backoff_s_min = 0.1\nmeter_backoff_s_max = 0.2"
        first = meter_text("stays", stays.port) + meter_text("leaves", leaves.port)
        town = Town(tmp_path, [], extra=extra, meters=first).found()
        good = town.settings_file.read_text()
        with town.broker(), Upstream(town) as upstream, town.running_gateway("--clock", clock_text()) as gateway:
            taken = readings_of(town)
            wait_for(lambda: taken("stays") >= 2 and taken("leaves") >= 2, "readings of both")

            second = meter_text("stays", stays.port) + meter_text("comes", comes.port)
            town.settings_file.write_text(good.replace(first, second))
            gateway.send_signal(signal.SIGHUP)
            wait_for(lambda: taken("comes") >= 2, "readings of the new meter")
            wait_for(lambda: upstream.of(key_of(town, "leaves")), "the open block of the removed meter")
            assert "leaves" not in town.status()["meters"]

            town.settings_file.write_text(good.replace(first, second).replace("iem3155", "iem9999"))
            before = taken("stays")
            gateway.send_signal(signal.SIGHUP)
            wait_for(lambda: town.status()["settings"]["mistake"], "the mistake in the status")
            assert "schneider-iem9999" in town.status()["settings"]["mistake"]
            wait_for(lambda: taken("stays") > before + 1 and taken("comes") > 2, "both are polled on")

            town.settings_file.write_text(good.replace(first, second).replace("resend_s = 0.5", "resend_s = 0.7"))
            gateway.send_signal(signal.SIGHUP)
            wait_for(lambda: town.status()["settings"]["restart_for"] == ["resend_s"], "what needs a restart")
            assert town.status()["settings"]["mistake"] is None
            assert [town.status()["meters"][name]["missed"] for name in ("stays", "comes")] == [0, 0]

            town.settings_file.write_text(good.replace(first, meter_text("comes", comes.port)))
            gateway.send_signal(signal.SIGHUP)
            wait_for(lambda: upstream.of(key_of(town, "stays")), "the block of the meter that stayed")
            assert isinstance(gateway, subprocess.Popen)
    (chain,) = upstream.of(key_of(town, "stays"))
    times_s = [time_s for time_s, _ in chain.readings()]
    assert len(times_s) >= 4
    assert all(after == before + STEP_S for before, after in pairwise(times_s))


def clock_text() -> str:
    """900 s in one and a half."""
    return f"{T0}@{time.time()}x600"


def readings_of(town: Town) -> Callable[[str], int]:
    """How many readings of a meter were taken."""
    return lambda name: int(town.status().get("meters", {}).get(name, {}).get("taken", 0))


def key_of(town: Town, name: str) -> bytes:
    """The public half of a meter's key."""
    return load_key(town.directory / f"{name}.key").public_key


def test_gateway_when_a_meter_is_wrong(tmp_path: Path) -> None:
    """Silence, no value, a leap: each is counted by its name, shown with its meaning, and never becomes energy."""
    with FaultyMeter("exception") as refuses, FaultyMeter() as empty, FaultyMeter() as leaps:
        empty.show(5, -(2**63))
        leaps.show(1000, 2000)
        meters = (
            meter_text("refuses", refuses.port) + meter_text("empty", empty.port) + meter_text("leaps", leaps.port)
        )
        extra = "block_readings = 2\nmeter_backoff_s_min = 0.1\nmeter_backoff_s_max = 0.2"
        town = Town(tmp_path, [], extra=extra, meters=meters).found()
        with town.broker(), Upstream(town) as upstream, town.running_gateway("--clock", clock_text()):
            taken = readings_of(town)
            wait_for(lambda: taken("leaps") >= 1, "a reading")
            (swapped,) = struct.unpack(">q", struct.pack(">q", 1010)[6:] + bytes(6))
            leaps.show(swapped, 2000)
            wait_for(lambda: town.status()["meters"]["leaps"]["doubts"].get("jump"), "the leap counted")
            state = town.status()["meters"]
            assert state["leaps"]["state"] == "doubtful"
            assert "further than the meter's rating allows" in state["leaps"]["meaning"]
            leaps.show(1020, 2000)
            wait_for(lambda: town.status()["meters"]["leaps"]["state"] == "ok", "the meter believed again")
            wait_for(lambda: len(upstream.of(key_of(town, "leaps"))) >= 2, "its blocks")
            state = town.status()["meters"]
    assert (state["refuses"]["silent_because"], state["empty"]["silent_because"]) == ("exception-4", "no-value")
    assert "out of order" in state["refuses"]["meaning"]
    assert "no value" in state["empty"]["meaning"]
    assert upstream.of(key_of(town, "refuses")) == upstream.of(key_of(town, "empty")) == []
    registers_wh = {wh for own in upstream.of(key_of(town, "leaps")) for _, (wh, _) in own.readings()}
    assert registers_wh <= {1000, 1020}
