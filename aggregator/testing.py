"""A small quarter with known keys, for tests and benchmarks: meters and a gateway that really sign.

Keys and ids follow from names (ledger/testing.py). "sun" has a roof; "ana" and "ben" are neighbours; "plug" hangs
behind ana's main meter; "cupboard" is the gateway.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from aggregator.policy.rules import Policy
from commonwatt import cose, topics
from commonwatt.block import FIRST_LINK, Block, Channel, link
from commonwatt.identity import save_key
from commonwatt.mqtt import Message
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.testing_command import run
from commonwatt.transport import BATCH, Batch
from commonwatt.units import INTERVAL_S
from ledger import app, testing
from ledger.book import body
from ledger.book.kinds import DeviceRole, Subject
from ledger.log.note import Signer
from ledger.sequencer import Placed, Sequencer
from ledger.testing import TIME_S as TIME_S
from ledger.testing import ident as ident
from ledger.testing import key as key

COMMUNE = testing.GENESIS_BODY.commune
GENESIS = testing.GENESIS_SHA256
HOMES = ("ana", "ben", "sun")
GATEWAY = "cupboard"
RATED_POWER_W = 9000

POLICY = Policy.parse(
    """version = 1
name = "tests"
grace_s = 3600
window_s = 3600
share_permille = 100
[production]
rate_mc_per_kwh = 800
[matched]
rate_mc_per_kwh = 200
""",
    where="the tests' policy",
)


def quarter(directory: Path, *, policy: Policy = POLICY) -> Sequencer:
    """A founded ledger on disk with the homes, meters and the gateway named above; founded at TIME_S."""
    sequencer = app.create_ledger(directory, testing.GENESIS, testing.LOG_KEY)
    rules = testing.policy(body.Policy(policy.sha256, policy.rules.version, policy.text))
    people = [testing.member("association", Subject.ASSOCIATION), *(testing.member(home) for home in HOMES)]
    sites = [testing.site(f"{home}'s", home) for home in HOMES]
    meters = [testing.device(f"{home}-main", f"{home}'s", DeviceRole.MAIN, RATED_POWER_W) for home in HOMES]
    others = [
        testing.device("sun-roof", "sun's", DeviceRole.PRODUCTION, RATED_POWER_W),
        testing.device("ana-plug", "ana's", DeviceRole.SUB_METER, RATED_POWER_W),
        testing.gateway(GATEWAY),
    ]
    answers = sequencer.submit([rules, *people, *sites, *meters, *others])
    assert all(isinstance(answer, Placed) for answer in answers)
    sequencer.publish()
    return sequencer


def commonwatt(*words: object) -> tuple[int, str, str]:
    """Exit code, output and errors of a command, run in this process."""
    done = run(*words)
    return done.returncode, done.stdout, done.stderr


def write_papers(directory: Path) -> None:
    """What `commonwatt init` leaves beside the ledger: keys, commune.toml, policy.toml. Repeating changes nothing."""
    if (directory / "commune.toml").exists():
        return
    roles = ("steward", "townhall", "operator", "aggregator")
    for name, signer in {"log": testing.LOG_KEY, **{role: key(role) for role in roles}}.items():
        save_key(directory / "keys" / f"{name}.key", signer)
    facts = {
        "name": COMMUNE,
        "title": "Testville",
        "origin": testing.ORIGIN,
        "genesis_sha256": GENESIS.hex(),
        "log_vkey": str(Signer(testing.ORIGIN, testing.LOG_KEY).verifier),
        "trial": True,
        "association": ident("association").hex(),
        "aggregator_public_key": key("aggregator").public_key.hex(),
    }
    (directory / "commune.toml").write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in facts.items()))
    (directory / "policy.toml").write_text(POLICY.text)


@dataclass
class MeterStandIn:
    """A device that signs blocks one after the other, as the firmware does. `quantities` ascend."""

    name: str
    quantities: tuple[int, ...] = (IMPORT.number,)
    seq: int = 0
    prev: bytes = FIRST_LINK

    @property
    def id(self) -> bytes:
        """Its identifier."""
        return ident(self.name)

    def sign(self, start_s: int, rows: Sequence[Sequence[int]], *, step_s: int = INTERVAL_S) -> bytes:
        """The next block: `rows` are its readings, registers in the order of `quantities`."""
        signed = self.draft(start_s, rows, step_s=step_s).sign(key(self.name))
        self.seq += 1
        self.prev = link(signed)
        return signed

    def draft(self, start_s: int, rows: Sequence[Sequence[int]], *, step_s: int = INTERVAL_S) -> Block:
        """The next block before it is signed."""
        channels = tuple(
            Channel(quantity, values[0], tuple(b - a for a, b in pairwise(values)))
            for quantity, values in zip(self.quantities, zip(*rows, strict=True), strict=True)
        )
        return Block(self.seq, self.prev, start_s, step_s, 0, channels)

    def sign_each(self, start_s: int, rows: Sequence[Sequence[int]]) -> list[bytes]:
        """One block per interval; each begins with the reading that ended the one before."""
        pairs = pairwise(rows)
        return [self.sign(start_s + INTERVAL_S * index, pair) for index, pair in enumerate(pairs)]


def meters() -> dict[str, MeterStandIn]:
    """Fresh stand-ins of all devices of the quarter, by name."""
    both = (IMPORT.number, EXPORT.number)
    stand_ins = [
        *(MeterStandIn(f"{home}-main", both) for home in HOMES),
        MeterStandIn("sun-roof", (EXPORT.number,)),
        MeterStandIn("ana-plug"),
    ]
    return {meter.name: meter for meter in stand_ins}


@dataclass
class GatewayStandIn:
    """A gateway that signs batches and counts them."""

    name: str = GATEWAY
    seq: int = 0

    def batch(self, blocks: Iterable[bytes], *, genesis: bytes = GENESIS) -> Message:
        """The next batch as it would be received."""
        batch = Batch(self.seq, TIME_S, tuple(blocks))
        self.seq += 1
        signed = cose.sign1(batch.encode(), key(self.name), cose.external_aad(BATCH, genesis))
        return Message(topics.of_gateway(COMMUNE, ident(self.name), topics.BATCH), signed)
