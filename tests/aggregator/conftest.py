"""An aggregator without a broker: the real stages over a real database and ledger, driven by hand."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result
from typer.testing import CliRunner

from aggregator import numbers, schema, settings, testing
from aggregator.commune import enacted
from aggregator.commune.arrivals import Arrivals
from aggregator.commune.registry import Directory
from aggregator.holds import cli as holds_cli
from aggregator.intake.evidence import Evidence
from aggregator.intake.pipeline import Intake
from aggregator.minting.outbox import Minter
from aggregator.observe.stages import Stages
from aggregator.policy.rules import Policy
from aggregator.reading import reading
from aggregator.settling import claim_pages
from aggregator.settling.closing import Closer
from aggregator.sql import Database
from aggregator.statements.signers import Signers
from aggregator.testing import COMMUNE, GENESIS, POLICY, TIME_S, GatewayStandIn, MeterStandIn, ident, key
from commonwatt import block, cose
from commonwatt.demo.judge.judge import judge
from commonwatt.demo.judge.pages import Row, read_blocks
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.testing import ManualClock
from commonwatt.transport import RECEIPT, Receipt
from ledger import app
from ledger import testing as book
from ledger.inbox import LOOK_EVERY_S, Inbox
from ledger.log.note import Signer
from ledger.log.published import PublishedLog
from ledger.sequencer import Placed, Sequencer
from ledger.testing import LOG_KEY, ORIGIN
from tests.aggregator.programs import Broker, Gateway, wait_for


@dataclass
class Works:
    """The aggregator's parts, one meter and gateway stand-in each, and a clock in our hand."""

    directory: Path
    ledger: Sequencer
    database: Database
    clock: ManualClock
    intake: Intake
    closer: Closer
    minter: Minter
    stages: Stages
    meters: dict[str, MeterStandIn] = field(default_factory=testing.meters)
    gateway: GatewayStandIn = field(default_factory=GatewayStandIn)

    def deliver(self, *blocks: bytes) -> dict[int, int]:
        """Send blocks in one batch; what the receipt refuses, by index."""
        (answer,) = self.intake.take([self.gateway.batch(blocks)])
        message = cose.parse1(answer.payload, size_max=10**6)
        assert message.is_signed_by(key("aggregator").public_key, cose.external_aad(RECEIPT, GENESIS))
        return dict(Receipt.parse(message.payload).refused)

    def close_until(self, end_s: int) -> None:
        """Let the grace of the interval that ends then go by, and close everything due."""
        self.clock.civil_s = max(self.clock.civil_s, end_s + POLICY.rules.grace_s)
        while self.closer.step(self.intake.directory):
            pass
        self.minter.step()

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """What a stranger reads from the database."""
        with reading(self.directory) as connection:
            return [tuple(row) for row in connection.execute(sa.text(sql))]

    def file(self) -> Path:
        """The database as an SQLite file, for readers that know no other; a copy if it lies elsewhere."""
        path = self.directory / settings.DATABASE
        if self.database.is_shared:
            path.unlink(missing_ok=True)
            copied = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
            schema.metadata.create_all(copied)
            with reading(self.directory) as source, copied.begin() as target:
                for table in schema.metadata.sorted_tables:
                    rows = [dict(row) for row in source.execute(sa.select(table)).mappings()]
                    if rows:
                        target.execute(sa.insert(table), rows)
        return path

    def evidence(self) -> list[Row]:
        """The evidence in the order of its commits, as the demo's judge reads it from the database."""
        with sqlite3.connect(f"file:{self.file()}?mode=ro", uri=True) as connection:
            found = sorted(read_blocks(connection))
        connection.close()
        return found

    def kept(self) -> list[bytes]:
        """The signed blocks of the evidence."""
        return [row[-1] for row in self.evidence()]

    def judged(self) -> list[str]:
        """What the demo's judge has against these books, with the readings themselves as what the meters showed."""
        names = {ident(name): name for name in self.meters}
        registers = {}
        for _id, device, _seq, _sha256, _received_s, signed in self.evidence():
            read = block.parse(cose.parse1(signed, size_max=10**6).payload)
            numbers = [channel.quantity for channel in read.channels]
            for time_s, values in read.readings():
                registers |= {(names[device], q, time_s): wh for q, wh in zip(numbers, values, strict=True)}
        rows = [f"{name},{q},{time_s},{wh}\n" for (name, q, time_s), wh in sorted(registers.items())]
        (self.directory / "registers.csv").write_text("device,quantity,time_s,register_wh\n" + "".join(rows))
        times = [time_s for _name, _quantity, time_s in registers]
        devices = {name: ident(name).hex() for name, _quantity, _time_s in registers}
        demo = {"devices": devices, "starts_s": min(times), "ends_s": max(times)}
        (self.directory / "demo.json").write_text(json.dumps(demo))
        self.file()
        newest = max(self.ledger.state.policies, key=lambda sha256: self.ledger.state.policies[sha256])
        (self.directory / "policy.toml").write_text(self.ledger.state.policy_texts[newest])
        return [str(row) for row in judge(self.directory, self.directory / "registers.csv").differences]

    def claims(self) -> list[tuple[object, ...]]:
        """Device's name, start after the beginning in intervals, intervals long, source, revision, Wh, mc."""
        names = {ident(name): name for name in self.meters}
        with self.database.transaction() as connection:
            found = claim_pages.read(connection, 0, 2**62)
            known = numbers.of(connection)
            rows = zip(found.claims(known), found.amount_mc.tolist(), strict=True)
            claims = [
                (
                    *(names[row.device], (row.start_s - TIME_S) // 900, (row.end_s - row.start_s) // 900),
                    *(int(row.source), row.revision, row.energy_wh, amount_mc, row.device),
                )
                for row, amount_mc in rows
            ]
        ordered = sorted(claims, key=lambda row: (row[1], row[3], row[4], row[-1]))
        return [row[:-1] for row in ordered]

    def holds(self, *words: str) -> Result:
        """`commonwatt holds …` on the commune's directory, the aggregator stopped."""
        testing.write_papers(self.directory)
        command, *rest = words
        clock = ["--clock", f"{self.clock.civil_s:.0f}@{time.time():.0f}x1"] if command != "list" else []
        return CliRunner().invoke(holds_cli.app, [command, str(self.directory), *rest, *clock])

    def while_running(self, *words: object) -> tuple[int, str, str]:
        """A command in a thread of its own, while the aggregator takes its turns at the inbox in this one."""
        testing.write_papers(self.directory)
        inbox = Inbox(self.directory, ledger=self.ledger, clock=self.clock)
        arrivals = Arrivals(self.directory, inbox=inbox, ledger=self.ledger, database=self.database)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(testing.commonwatt, *words)
            while not answer.done():
                self.clock.protocol_s += LOOK_EVERY_S
                arrivals.step(self.intake, self.closer)
                wait([answer], timeout=0.01)
        return answer.result()

    def balances(self) -> dict[str, int]:
        """Credits by name, those that hold any."""
        book = self.ledger.state.book
        people = [*testing.HOMES, "association"]
        return {name: amount for name in people if (amount := book.balance_mc(ident(name)))}


def open_works(directory: Path, *, policy: Policy = POLICY, clock: ManualClock | None = None) -> Works:
    """Found the quarter in an empty directory and put the aggregator's parts together."""
    return assemble(directory, testing.quarter(directory, policy=policy), clock or ManualClock(TIME_S + 3600))


def assemble(directory: Path, ledger: Sequencer, clock: ManualClock, **limits: float) -> Works:
    """The parts over an open ledger and the database of the directory; `limits` as Database takes them."""
    database, stages = Database(settings.database_url(directory), **limits), Stages()
    intake = Intake(
        evidence=Evidence(database),
        directory=Directory.of(ledger.state),
        key=key("aggregator"),
        commune=COMMUNE,
        genesis=GENESIS,
        clock=clock,
        stages=stages,
    )
    known = enacted.follow(database, PublishedLog(directory / "log"), Signers(ledger.state))
    closer = Closer(database=database, known=known, genesis_s=TIME_S, clock=clock, stages=stages)
    minter = Minter(database=database, ledger=ledger, key=key("aggregator"))
    return Works(directory, ledger, database, clock, intake, closer, minter, stages)


def open_town(
    directory: Path, homes: Sequence[str], *, policy: Policy = POLICY, entries: Sequence[bytes] = ()
) -> Works:
    """The quarter with further homes, each with one main meter ("home01-main"), and further entries in its log."""
    ledger = testing.quarter(directory, policy=policy)
    further: list[bytes] = []
    for home in homes:
        at = f"{home}'s"
        further += [book.member(home), book.site(at, home), book.device(f"{home}-main", at)]
    assert all(isinstance(answer, Placed) for answer in ledger.submit([*further, *entries]))
    ledger.publish()
    testing.write_papers(directory)
    works = assemble(directory, ledger, ManualClock(TIME_S + 86_400))
    both = (IMPORT.number, EXPORT.number)
    works.meters |= {f"{home}-main": MeterStandIn(f"{home}-main", both) for home in homes}
    return works


@pytest.fixture(scope="module")
def found_town() -> Callable[..., Works]:
    """`open_town`, for tests that settle a town once."""
    return open_town


Settle = Callable[[Path], None]
"""Has the database of a commune's directory lie where this run of a test wants it."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whoever asks for `engine`, if only through `works`, runs on SQLite, and on PostgreSQL in the soak; a marker
    `engines` names others."""
    if "engine" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("engines")
        otherwise = ("sqlite", pytest.param("postgres", marks=pytest.mark.soak))
        metafunc.parametrize("engine", marker.args if marker else otherwise, indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Settle:
    """SQLite in the directory itself, or PostgreSQL: an empty schema for each directory."""
    if request.param == "sqlite":
        return lambda directory: None
    new_url = request.getfixturevalue("postgres_urls")

    def settle(directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        (directory / settings.FILE).write_text(f'database = "{new_url()}"\n')

    return settle


@pytest.fixture
def works(tmp_path: Path, engine: Settle) -> Iterator[Works]:
    """A fresh aggregator of the quarter an hour after its founding."""
    engine(tmp_path)
    works = open_works(tmp_path)
    yield works
    works.database.close()
    works.ledger.close()


@pytest.fixture
def make_works(tmp_path: Path, engine: Settle) -> Iterator["_Maker"]:
    """Makes as many aggregators as a test asks for, each in a directory of its own."""
    maker = _Maker(tmp_path, engine)
    yield maker
    maker.close()


class _Maker:
    def __init__(self, root: Path, engine: Settle) -> None:
        self._root = root
        self._engine = engine
        self._made: list[Works] = []

    def __call__(self, *, policy: Policy = POLICY) -> Works:
        directory = self._root / str(len(self._made))
        self._engine(directory)
        self._made.append(open_works(directory, policy=policy))
        return self._made[-1]

    def reopen(self, works: Works, **limits: float) -> Works:
        """The same directory after the process has died: new parts over what is on the disk."""
        works.database.close()
        works.ledger.close()
        ledger = app.open_parts(works.directory, Signer(ORIGIN, LOG_KEY))
        again = assemble(works.directory, ledger, works.clock, **limits)
        again.meters, again.gateway = works.meters, works.gateway
        self._made.append(again)
        return again

    def reviewed(self, works: Works, *words: str) -> Works:
        """Stop, let a steward say `commonwatt holds …`, start again."""
        works.database.close()
        works.ledger.close()
        result = works.holds(*words)
        assert result.exit_code == 0, result.output or result.exception
        return self.reopen(works)

    def close(self) -> None:
        for works in self._made:
            works.database.close()
            works.ledger.close()


@pytest.fixture
def commune(tmp_path: Path, engine: Settle) -> Path:
    """A founded quarter with its keys and papers, its aggregator stopped."""
    engine(tmp_path)
    testing.quarter(tmp_path).close()
    testing.write_papers(tmp_path)
    return tmp_path


@pytest.fixture
def gateway(broker: Broker) -> Iterator[Gateway]:
    """A connected gateway stand-in, at the module's broker."""
    gateway = Gateway(broker)
    with gateway.link:
        wait_for(lambda: gateway.link.is_up, "the gateway's connection")
        yield gateway
