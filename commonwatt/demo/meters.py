"""The demo's devices: a folder each with the registers it replays, its settings, and the key of its first boot."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from commonwatt.clock import CivilClock
from commonwatt.demo.brokers import Broker
from commonwatt.demo.layout import Layout
from commonwatt.demo.plan import ROOT, Plan
from commonwatt.demo.programs import BIN, run
from commonwatt.demo.registers.make_registers import make
from commonwatt.demo.registers.read import HEADER, DeviceRegisters, read_registers

MICROPYTHON = str(BIN / "micropython")
FIRMWARE = str(ROOT / "firmware" / "main.py")
BOOTS_AT_ONCE = 2


def write_registers(plan: Plan, layout: Layout) -> None:
    """Leave what all meters of the run measure, and give each device its own."""
    layout.measured.write_text(make(plan.village), encoding="ascii")
    for name, device in read_registers(layout.measured).items():
        path = layout.registers(name)
        path.parent.mkdir(parents=True)
        is_over_modbus = name in plan.village.over_modbus
        path.write_text(_modbus_rows(device, plan) if is_over_modbus else _replay_rows(device, plan))


def _replay_rows(device: DeviceRegisters, plan: Plan) -> str:
    """What the firmware's replay meter reads: quantities, then time and registers, up to the end of the run."""
    head = "quantities," + ",".join(map(str, device.quantities))
    rows = [f"{time_s},{','.join(map(str, registers))}" for time_s, registers in device.rows if time_s <= plan.ends_s]
    return "\n".join((head, *rows, ""))


def _modbus_rows(device: DeviceRegisters, plan: Plan) -> str:
    """The same span as registers.csv spells it, for a solar meter."""
    rows = [
        f"{device.name},{quantity},{time_s},{register_wh}"
        for time_s, registers in device.rows
        for quantity, register_wh in zip(device.quantities, registers, strict=True)
        if time_s <= plan.ends_s
    ]
    return "\n".join((",".join(HEADER), *rows, ""))


class Readers:
    """The devices that run the firmware. `ids`: by name; `brokers`: where each finds its gateway, by its name;
    `public`: the commune's facts, by which a device believes what the operator asks."""

    def __init__(
        self, layout: Layout, ids: dict[str, bytes], brokers: dict[str, Broker], public: Mapping[str, Any]
    ) -> None:
        self._layout = layout
        self._ids = ids
        self._brokers = brokers
        self._requests = {
            "public_key": public["aggregator_public_key"],
            "genesis_sha256": public["genesis_sha256"],
        }

    def boot_first(self) -> dict[str, str]:
        """Boot each once, so that it makes its key. Public keys by name."""
        with ThreadPoolExecutor(BOOTS_AT_ONCE) as pool:
            return dict(zip(self._brokers, pool.map(self._boot_first, self._brokers), strict=True))

    def _boot_first(self, name: str) -> str:
        config = self._write(name, clock=None)
        log_file = self._layout.logs / "founding.log"
        printed = run([MICROPYTHON, FIRMWARE, str(config), "--identity"], log_file=log_file)
        return str(json.loads(printed)["public_key"])

    def set_clock(self, name: str, clock: CivilClock) -> Path:
        """Hand the running clock to a reader; a restarted one finds it again. Its configuration."""
        return self._write(name, clock)

    def _write(self, name: str, clock: CivilClock | None) -> Path:
        config = self._layout.device(name) / "device.json"
        config.write_text(json.dumps(self._settings(name, clock)))
        return config

    def _settings(self, name: str, clock: CivilClock | None) -> dict[str, Any]:
        user, broker = self._ids[name].hex(), self._brokers[name]
        host, port = broker.address
        settings: dict[str, Any] = {
            "device": user,
            "broker": {"host": host, "port": port, "username": user, "password": broker.passwords[user]},
            "state_dir": str(self._layout.device(name)),
            "step_s": 900,
            "block_readings": 4,
            "late_s_max": 900,  # a civil second is less than a millisecond here; a real reader keeps to a few seconds
            "meter": {"type": "replay", "file": str(self._layout.registers(name))},
            "retry_ms_max": 1000,
            "requests": self._requests,
        }
        if clock is not None:
            settings["clock"] = {
                "wall_anchor_s": clock.wall_anchor_s,
                "civil_anchor_s": clock.civil_anchor_s,
                "factor": clock.factor,
            }
        return settings
