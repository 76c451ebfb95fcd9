"""The year through the real aggregator: intake → evidence → settlement → policy → mint → ledger, clock in hand.

The aggregator lives in a process of its own, which is killed at seeded instants and started again. Whoever sends
knows only what was answered: a step that was not answered is sent again, as gateways do.
"""

import csv
import json
import os
import random
import signal
import struct
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from aggregator import testing
from aggregator.commune import enacted
from aggregator.commune.registry import Directory
from aggregator.intake.evidence import Evidence
from aggregator.intake.pipeline import Intake
from aggregator.minting.outbox import Minter
from aggregator.policy.rules import Policy
from aggregator.settling.closing import Closer
from aggregator.sql import Database
from aggregator.statements.signers import Signers
from aggregator.testing import COMMUNE, GENESIS, TIME_S, GatewayStandIn, MeterStandIn, ident, key
from commonwatt import cose
from commonwatt.testing import ManualClock
from commonwatt.transport import Receipt
from ledger import app
from ledger import testing as ledger_testing
from ledger.book import body
from ledger.book.kinds import Subject
from ledger.log.published import PublishedLog
from ledger.sequencer import Placed
from tests.sim.year.homes import RATED_POWER_W, Meter
from tests.sim.year.streams import Arrivals, Place

ROOT = Path(__file__).parents[3]
POLICY_FILE = ROOT / "aggregator" / "policies" / "default.toml"
HOUR_S = 3600
ANSWERED_AFTER_S = 60
"""A step's batch arrives a minute after its hour."""
LEFT_OVER_STEPS = 96
"""Steps after the last hour: the latest block comes, the last grace ends, the last window is minted."""
BLOCKS_PER_BATCH = 200
KILL_S_MAX = 0.03
"""How long after a step began the process is killed: anywhere in it."""


@dataclass
class Year:
    """Meters and the blocks they signed, by place."""

    meters: list[Meter]
    hours: int
    signed: dict[Place, bytes]

    @property
    def steps(self) -> int:
        """Until everything is minted."""
        return self.hours + LEFT_OVER_STEPS


def sign(meters: list[Meter], hours: int) -> Year:
    """Let every meter sign a block an hour: five registers, the first of which the block before had too."""
    signed: dict[Place, bytes] = {}
    for device, meter in enumerate(meters):
        stand_in = MeterStandIn(meter.name, tuple(sorted(meter.registers_wh)))
        columns = [meter.registers_wh[quantity] for quantity in stand_in.quantities]
        for hour in range(hours):
            rows = list(zip(*(column[4 * hour : 4 * hour + 5] for column in columns), strict=True))
            signed[device, hour] = stand_in.sign(TIME_S + HOUR_S * hour, rows)
    return Year(meters, hours, signed)


def found(directory: Path, year: Year) -> None:
    """A ledger with the ten homes and the policy that the project proposes, and the papers beside it."""
    directory.mkdir(parents=True)
    policy = Policy.parse(POLICY_FILE.read_text(), where=str(POLICY_FILE))
    homes = dict.fromkeys(meter.home for meter in year.meters)
    entries = [
        ledger_testing.policy(body.Policy(policy.sha256, policy.rules.version, policy.text)),
        ledger_testing.member("association", Subject.ASSOCIATION),
        *(ledger_testing.member(home) for home in homes),
        *(ledger_testing.site(f"{home}'s", home) for home in homes),
        *(ledger_testing.device(m.name, f"{m.home}'s", m.role, RATED_POWER_W) for m in year.meters),
        ledger_testing.gateway(testing.GATEWAY),
    ]
    with app.create_ledger(directory, ledger_testing.GENESIS, ledger_testing.LOG_KEY) as sequencer:
        assert all(isinstance(answer, Placed) for answer in sequencer.submit(entries))
        sequencer.publish()
    testing.write_papers(directory)
    (directory / "policy.toml").write_text(policy.text)
    _write_demo(directory, year)


def _write_demo(directory: Path, year: Year) -> None:
    """What the judge wants to know: which device is which, and what the meters showed."""
    names = {meter.name: ident(meter.name).hex() for meter in year.meters}
    ends_s = TIME_S + HOUR_S * year.hours
    (directory / "demo.json").write_text(json.dumps({"devices": names, "starts_s": TIME_S, "ends_s": ends_s}))
    with (directory / "registers.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("device", "quantity", "time_s", "register_wh"))
        for meter in year.meters:
            for quantity, registers_wh in meter.registers_wh.items():
                for at, register_wh in enumerate(registers_wh[: 4 * year.hours + 1]):
                    writer.writerow((meter.name, quantity, TIME_S + 900 * at, register_wh))


def live(directory: Path, year: Year, arrivals: Arrivals, first_step: int) -> Iterator[int]:
    """The aggregator's life from a step on; each step that is answered and minted."""
    clock, gateway = ManualClock(TIME_S), GatewayStandIn(seq=first_step * 1000)
    with ExitStack() as stack:
        ledger = stack.enter_context(app.open_ledger(directory))
        database = stack.enter_context(Database(f"sqlite:///{directory / 'aggregator.db'}"))
        who = Directory.of(ledger.state)
        intake = Intake(
            evidence=Evidence(database),
            directory=who,
            key=key("aggregator"),
            commune=COMMUNE,
            genesis=GENESIS,
            clock=clock,
        )
        stack.callback(intake.close)
        known = enacted.follow(database, PublishedLog(directory / "log"), Signers(ledger.state))
        closer = Closer(database=database, known=known, genesis_s=TIME_S, clock=clock)
        minter = Minter(database=database, ledger=ledger, key=key("aggregator"))
        for step in range(first_step, year.steps):
            clock.civil_s = TIME_S + HOUR_S * step + ANSWERED_AFTER_S
            blocks = [year.signed[place] for place in arrivals[step]]
            batches = [
                gateway.batch(blocks[at : at + BLOCKS_PER_BATCH]) for at in range(0, len(blocks), BLOCKS_PER_BATCH)
            ]
            for answer in intake.take(batches):
                assert not Receipt.parse(cose.parse1(answer.payload, size_max=10**6).payload).refused
            while closer.step(who):
                pass
            minter.step()
            yield step


def run(directory: Path, year: Year, arrivals: Arrivals, kills: Sequence[tuple[int, float]]) -> int:
    """Let the aggregator live through all steps in processes of their own, killed at the given steps, the given
    seconds after they began; how many kills fell into a life that had more to do."""
    found(directory, year)
    step, fallen = 0, 0
    for at, delay_s in (*kills, (year.steps, 0.0)):
        if at < step:
            continue
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            _child(directory, year, arrivals, step, writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as answers:
            while at >= step and (answer := answers.read(4)):
                step = struct.unpack("<I", answer)[0] + 1
            if step < year.steps:
                time.sleep(delay_s)  # not a wait for anything: the instant of the kill
                os.kill(process, signal.SIGKILL)
                fallen += 1
                step = max([step, *(struct.unpack("<I", rest)[0] + 1 for rest in _whole(answers.read()))])
        _, status = os.waitpid(process, 0)
        assert status in (0, signal.SIGKILL), f"the aggregator ended at step {step} with {status}"
    assert step == year.steps
    return fallen


def _whole(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 4] for at in range(0, len(data) - len(data) % 4, 4))


def _child(directory: Path, year: Year, arrivals: Arrivals, first_step: int, writing: int) -> None:
    """Never returns: nothing of the parent's may run here."""
    try:
        for step in live(directory, year, arrivals, first_step):
            os.write(writing, struct.pack("<I", step))
    except BaseException:  # noqa: BLE001 (it is told, and the parent sees the exit code)
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def kills(seed: int, count: int, steps: int) -> list[tuple[int, float]]:
    """Seeded instants: steps in order, and seconds after each began."""
    chance = random.Random(seed)
    return [(step, chance.uniform(0, KILL_S_MAX)) for step in sorted(chance.sample(range(1, steps), count))]
