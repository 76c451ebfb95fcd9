"""Days of a gateway's life in minutes: real MicroPython devices, pymodbus meters that fail, a broker and a gateway
that are killed at seeded instants, an aggregator that loses receipts and lies. Every watt-hour arrives upstream once.

SEED=7 pytest tests/gateway/test_fault_story.py runs other instants; `make soak` runs a week of several seeds.
"""

import json
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from commonwatt import block, cose, transport
from commonwatt.block import link
from commonwatt.clock import CivilClock
from commonwatt.registry import DeviceRecord, Status
from commonwatt.topics import of_gateway
from commonwatt.transport import Receipt
from gateway.testing import SigningDevice, read_batch
from tests.gateway.pymodbus_meter import EM340, EM340_TURN_WH, IEM3155, SDM230, STEP_S, Layout, PymodbusMeter, Script
from tests.gateway.support import BIN, COMMUNE, NATS, SEED, Client, Town, answers, command, wait_for

pytestmark = pytest.mark.story

FIRMWARE = Path(__file__).parents[2] / "firmware" / "main.py"
START_S = 1_721_606_400
STEPS_PER_DAY = 96
WALL_S_PER_STEP = 0.15
TIMEOUT_S = 0.05
RATED_POWER_W = 23_000
METERS: dict[str, tuple[bytes, Layout, dict[str, Any]]] = {
    "iem": (bytes.fromhex("c1" * 16), IEM3155, {"swaps": True}),
    "sdm": (bytes.fromhex("c2" * 16), SDM230, {"resets": True}),
    "em340": (bytes.fromhex("c3" * 16), EM340, {"swaps": True, "unit_wh": 100, "rolls_over_at_wh": EM340_TURN_WH}),
}
"""Id, layout, and what happens to its registers beside the faults of every meter."""
COUNTED = {
    "exception-4", "garbled", "no-answer", "no-connection", "no-value", "jump", "backwards", "roll-over", "replaced",
}  # fmt: skip
"""What the gateway counts when all of it happens."""
OFTEN = COUNTED - {"backwards", "roll-over", "replaced"}
"""What happens again and again: a gateway that is killed takes its counts of the last second with it."""
SETTINGS = (
    f"meter_backoff_s_min = 0.1\nmeter_backoff_s_max = 0.3\nmeter_timeout_s = {TIMEOUT_S}\nblock_readings = 4\n"
    "batch_blocks_max = 20"
)


@dataclass
class Fleet:
    """Real devices: MicroPython runs the firmware over a recording of seeded registers."""

    town: Town
    scripts: dict[bytes, Script]
    keys: dict[bytes, bytes] = field(default_factory=dict)
    running: dict[bytes, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def make(self) -> None:
        """Write each configuration and recording, let each device make its key."""
        for device in self.scripts:
            self._folder(device).mkdir()
            self._configure(device, None)
            argv: list[str | Path] = [
                BIN / "micropython",
                FIRMWARE,
                self._folder(device) / "device.json",
                "--identity",
            ]
            done = subprocess.run(argv, capture_output=True, text=True, check=True)
            self.keys[device] = bytes.fromhex(json.loads(done.stdout)["public_key"])

    def start(self, device: bytes, clock: CivilClock) -> None:
        """Start a device, or start it again."""
        self._configure(device, clock)
        argv: list[str | Path] = [
            BIN / "micropython",
            "-X",
            "heapsize=1M",
            FIRMWARE,
            self._folder(device) / "device.json",
        ]
        self.running[device] = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self, device: bytes) -> None:
        """Cut its power."""
        self.running[device].kill()
        self.running[device].wait()

    def _folder(self, device: bytes) -> Path:
        return self.town.directory / device.hex()

    def _configure(self, device: bytes, clock: CivilClock | None) -> None:
        script, user = self.scripts[device], device.hex()
        rows = [(START_S + STEP_S * step) for step in range(script.steps + 1)]
        lines = [f"{time_s},{','.join(map(str, script.registers_wh(time_s)))}" for time_s in rows]
        (self._folder(device) / "registers").write_text("\n".join(("quantities,1,2", *lines, "")))
        broker = {"host": "127.0.0.1", "port": self.town.port, "username": user}
        settings = {
            "device": user,
            "broker": broker | {"password": self.town.passwords[user]},
            "state_dir": str(self._folder(device) / "state"),
            "step_s": STEP_S,
            "block_readings": 4,
            "late_s_max": STEP_S,
            "meter": {"type": "replay", "file": str(self._folder(device) / "registers")},
            "retry_ms_max": 300,
        }
        if clock is not None:
            anchors = {"wall_anchor_s": clock.wall_anchor_s, "civil_anchor_s": clock.civil_anchor_s}
            settings["clock"] = anchors | {"factor": clock.factor}
        (self._folder(device) / "device.json").write_text(json.dumps(settings))


@dataclass
class Office:
    """The aggregator's stand-in: keeps every block, loses some receipts, and tells lies that change nothing."""

    town: Town
    client: Client
    gateway_key: bytes
    chance: random.Random
    answered_share: float = 0.7
    blocks: dict[bytes, None] = field(default_factory=dict)
    batches: dict[int, bytes] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def publish(self, channel: str, payload: bytes, *, retain: bool = False) -> None:
        self.client.publish(of_gateway(COMMUNE, self.town.gateway, channel), payload, retain=retain)

    def pump(self) -> None:
        """Take batches; answer some of them."""
        for message in self.client.drain():
            signed = cose.parse1(message.payload, size_max=transport.BATCH_SIZE_MAX)
            assert signed.is_signed_by(self.gateway_key, cose.external_aad("batch", self.town.aggregator.genesis))
            batch = read_batch(message.payload)
            assert self.batches.setdefault(batch.seq, message.payload) == message.payload, "other bytes in a resend"
            self.counts["batches"] += 1
            self.blocks |= dict.fromkeys(batch.blocks)
            if self.chance.random() < self.answered_share:
                self.publish("receipt", self.town.aggregator.receipt(message.payload))
            else:
                self.counts["receipts lost"] += 1
                self._lie(batch.seq, message.payload)

    def _lie(self, seq: int, payload: bytes) -> None:
        never_sent = Receipt(seq + 10_000, transport.sha256(payload))
        other_hash = Receipt(seq, transport.sha256(payload + b"x"))
        for receipt in (never_sent, other_hash):
            self.publish("receipt", self.town.aggregator.sign(receipt.encode(), transport.RECEIPT))

    def of(self, public_key: bytes) -> list[bytes]:
        """The blocks of one key, by number."""
        ours = [b for b in self.blocks if cose.parse1(b, size_max=1024).is_signed_by(public_key, block.AAD)]
        return sorted(ours, key=lambda signed: _content(signed).seq)


class Life:
    """A town with everything in it running; what happens to it is drawn from the seed."""

    def __init__(self, directory: Path, *, seed: int, days: int, devices: int) -> None:
        self.seed, self.chance, self.steps = seed, random.Random(seed), days * STEPS_PER_DAY
        ids = [bytes([0xD0 + number]) * 16 for number in range(devices)]
        self.scripts = {device: self._script(seed, number) for number, device in enumerate(ids)}
        self.meter_scripts = {
            name: self._script(seed, 100 + number, **more)
            for number, (name, (_, _, more)) in enumerate(METERS.items())
        }
        self.town = Town(directory, [SigningDevice(device) for device in ids], extra=SETTINGS)
        self.counts: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()
        """What went wrong with meters, as the gateways' statuses say it."""
        self._broker: subprocess.Popen[bytes] | None = None
        self._gateway: subprocess.Popen[bytes] | None = None

    def _script(self, seed: int, number: int, **more: Any) -> Script:
        return Script(start_s=START_S, steps=self.steps, seed=1000 * seed + number, **more)

    @contextmanager
    def begun(self) -> Iterator["Life"]:
        """Everything runs; the civil clock begins when it does."""
        with ExitStack() as stack:
            self.clock = CivilClock(START_S - 4 * STEP_S, time.time() + 2.0, STEP_S / WALL_S_PER_STEP)
            self.meters = {
                name: stack.enter_context(PymodbusMeter(layout, self.meter_scripts[name], self.clock, TIMEOUT_S))
                for name, (_, layout, _) in METERS.items()
            }
            self.town.meters = "".join(self._meter_toml(name) for name in METERS)
            self.town.found()
            identity = json.loads(command("gateway", "identity", str(self.town.settings_file)))
            self.fleet = Fleet(self.town, self.scripts)
            self.fleet.make()
            self.meter_keys = {meter["name"]: bytes.fromhex(meter["public_key"]) for meter in identity["meters"]}
            self.start_broker()
            client = stack.enter_context(self.town.connection("aggregator"))
            assert client.start(of_gateway(COMMUNE, "+", "batch"))
            gateway_key = bytes.fromhex(identity["gateway"]["public_key"])
            self.office = Office(self.town, client, gateway_key, random.Random(self.seed))
            self.tell_registry()
            stack.callback(self._end)
            self.start_gateway()
            for device in self.scripts:
                self.fleet.start(device, self.clock)
            yield self

    def live(self) -> None:
        """Until the last step, with a fault of the whole about every twelfth step, of every kind in every round."""
        ends_s = START_S + self.steps * STEP_S
        faults = [self.kill_gateway, self.kill_gateway, self.kill_broker, self.kill_device, self.unplug_meter]
        while self.clock.now_s() < ends_s:
            self.chance.shuffle(faults)
            for happens in faults:
                self.until_s(self.clock.now_s() + self.chance.uniform(3, 16) * STEP_S)
                happens()
        self.office.answered_share = 1.0

    def kill_gateway(self) -> None:
        """At once, or after some steps of darkness."""
        assert self._gateway is not None
        self.read_status()
        self._gateway.kill()
        self._gateway.wait()
        self.counts["gateway killed"] += 1
        self.until_s(self.clock.now_s() + self.chance.choice((0, 3)) * STEP_S)
        self.start_gateway()

    def kill_broker(self) -> None:
        """With everything in flight; sometimes it comes back having forgotten all it ever knew."""
        assert self._broker is not None
        self._broker.kill()
        self._broker.wait()
        self.counts["broker killed"] += 1
        self.until_s(self.clock.now_s() + self.chance.uniform(0, 6) * STEP_S)
        if self.chance.random() < 0.5:
            shutil.rmtree(self.town.directory / "broker" / "store")
            self.counts["broker emptied"] += 1
        self.start_broker()
        self.tell_registry()

    def kill_device(self) -> None:
        """Its power is cut and comes back."""
        device = self.chance.choice(list(self.scripts))
        self.fleet.kill(device)
        self.counts["device killed"] += 1
        self.fleet.start(device, self.clock)

    def unplug_meter(self) -> None:
        """Its adapter is pulled out and put in again."""
        meter = self.chance.choice(list(self.meters.values()))
        meter.unplug()
        self.counts["meter unplugged"] += 1
        self.until_s(self.clock.now_s() + self.chance.uniform(1, 6) * STEP_S)
        meter.plug()

    def read_status(self) -> None:
        """Keep what this gateway has counted, before it is killed."""
        for meter in self.town.status().get("meters", {}).values():
            self.counted.update(meter["failures"])
            self.counted.update(meter["doubts"])

    def start_broker(self) -> None:
        """A real nats-server."""
        with (self.town.directory / "nats.log").open("ab") as log:
            argv = [NATS, "-c", str(self.town.directory / "broker" / "nats.conf")]
            self._broker = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: answers(self.town.port), "the broker")

    def start_gateway(self) -> None:
        """A real gateway process; what the one before it counted is not taken for its own."""
        (self.town.directory / "status.json").unlink(missing_ok=True)
        self._gateway = self.town.start_gateway("--clock", str(self.clock))

    def tell_registry(self) -> None:
        """The aggregator publishes who is admitted."""
        keys = self.fleet.keys | {METERS[name][0]: key for name, key in self.meter_keys.items()}
        records = [DeviceRecord(device, key, Status.ACTIVE, RATED_POWER_W) for device, key in keys.items()]
        self.office.publish("registry", self.town.aggregator.registry(records), retain=True)

    def whole(self, public_key: bytes, ends_s: int) -> list[bytes]:
        """A key's blocks as soon as they reach that far and none between is still on its way; until then nothing."""
        blocks = self.office.of(public_key)
        numbers = [_content(signed).seq for signed in blocks]
        is_whole = numbers == list(range(len(numbers))) and bool(blocks) and _content(blocks[-1]).end_s >= ends_s
        return blocks if is_whole else []

    def until_s(self, civil_s: float) -> None:
        """Let the office work until an instant."""
        while self.clock.now_s() < civil_s:
            self.office.pump()
            time.sleep(0.005)

    def until(self, condition: object, what: str) -> None:
        """Let the office work until something holds."""
        assert callable(condition)

        def turn() -> bool:
            self.office.pump()
            return bool(condition())

        wait_for(turn, what)

    def _meter_toml(self, name: str) -> str:
        device, layout, _ = METERS[name]
        return (
            f'[[meters]]\nname = "{name}"\ndevice = "{device.hex()}"\nkey_file = "{name}.key"\n'
            f'type = "{layout.type}"\nhost = "127.0.0.1"\nport = {self.meters[name].port}\n'
        )

    def _end(self) -> None:
        for process in (self._gateway, self._broker, *self.fleet.running.values()):
            with suppress(OSError):
                if process is not None:
                    process.kill()
                    process.wait()


def _content(signed: bytes) -> block.Block:
    return block.parse(cose.parse1(signed, size_max=1024).payload)


def _readings(blocks: list[bytes]) -> list[tuple[int, tuple[int, ...]]]:
    return [reading for signed in blocks for reading in _content(signed).readings()]


def energy_wh(blocks: list[bytes], script: Script, *, late_steps: int) -> tuple[int, int]:
    """What these blocks say that each register grew; every reading is held to the script first.

    `late_steps`: a device reads up to late_s_max, here a step, after the instant by which it dates the reading.
    """
    contents = [_content(signed) for signed in blocks]
    assert [content.seq for content in contents] == list(range(len(contents))), (
        "a block is missing, or came in two kinds"
    )
    assert all(_content(after).prev == link(before) for before, after in pairwise(blocks))
    readings = _readings(blocks)
    times_s = [time_s for time_s, _ in readings]
    assert times_s == sorted(set(times_s)), "a step was told twice"
    shown = [{script.registers_wh(t + STEP_S * late) for late in range(late_steps + 1)} for t in times_s]
    wrong = [(reading, could) for reading, could in zip(readings, shown, strict=True) if reading[1] not in could]
    assert wrong == [], "a reading that the meter never showed"
    growths = [[max(0, b - a) for a, b in zip(x, y, strict=True)] for (_, x), (_, y) in pairwise(readings)]
    import_wh, export_wh = (sum(growth[index] for growth in growths) for index in (0, 1))
    return import_wh, export_wh


def expected_wh(blocks: list[bytes], script: Script) -> tuple[int, int]:
    """What the registers really grew between the first reading and the end, by the script alone."""
    before, after = _readings(blocks)[0][1], script.registers_wh(START_S + script.steps * STEP_S)
    fell_s = START_S + STEP_S * (script.falls_at or 0)
    olds = [registers for time_s, registers in _readings(blocks) if time_s < fell_s]
    if not olds:
        return after[0] - before[0], after[1] - before[1]
    # A register began again: what it counted up to the last reading before, and from the first believed one after.
    old = olds[-1]
    new = next(registers for time_s, registers in _readings(blocks) if time_s >= fell_s)
    import_wh, export_wh = (
        old[index] - before[index] + max(0, new[index] - old[index]) + after[index] - new[index] for index in (0, 1)
    )
    return import_wh, export_wh


CASES = [
    pytest.param(SEED, 1, 2, id="a day"),
    *(pytest.param(seed, 7, 4, id=f"a week, seed {seed}", marks=pytest.mark.soak) for seed in range(SEED, SEED + 4)),
]


@pytest.mark.parametrize(("seed", "days", "devices"), CASES)
def test_watt_hours_when_everything_fails(tmp_path: Path, seed: int, days: int, devices: int) -> None:
    """Every block of every device and meter is upstream once, every reading is one that the meter showed, and the
    registers' growth from first reading to last is there to the watt-hour."""
    print(f"seed {seed}")
    life = Life(tmp_path, seed=seed, days=days, devices=devices)
    with life.begun():
        life.live()
        ends_s = START_S + life.steps * STEP_S
        sources = {device.hex(): (life.fleet.keys[device], script) for device, script in life.scripts.items()}
        sources |= {name: (life.meter_keys[name], script) for name, script in life.meter_scripts.items()}
        for name, (key, script) in sources.items():
            whole: list[bytes] = []
            life.until(
                lambda key=key, whole=whole: whole.extend(life.whole(key, ends_s)) or whole,
                f"every block of {name}, the last reading in it",
            )
            blocks = whole
            import_wh, export_wh = energy_wh(blocks, script, late_steps=0 if name in METERS else 1)
            assert (import_wh, export_wh) == expected_wh(blocks, script), name
            counts = f"{len(blocks)} blocks, {len(_readings(blocks))} of {life.steps} readings"
            print(f"{name}: {counts}, {import_wh} Wh in and {export_wh} Wh out, to the watt-hour")
        life.until(lambda: life.town.status().get("batches", {}).get("in_flight", 9) <= 4, "the gateway at work")
        ignored = life.town.status()["ignored"]
        life.read_status()
    faults = Counter[str]()
    for meter in life.meters.values():
        faults.update(meter.asked)
    print(f"{days} days: {dict(life.counts)}, {dict(life.office.counts)}")
    print(f"the meters' answers: {dict(faults)}; ignored by the last gateway: {ignored}")
    print(f"counted by the gateways: {dict(life.counted)}")
    assert set(life.counted) <= COUNTED | {"too-late"}
    assert life.counted["no-value"]
    assert days < 7 or set(life.counted) >= OFTEN
    assert set(life.counts) >= {"gateway killed", "broker killed", "device killed", "meter unplugged"}
    assert life.office.counts["receipts lost"]
    assert "Traceback" not in life.town.log(), life.town.log()
