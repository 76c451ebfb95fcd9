"""Builds the aggregator of a commune and runs it: one loop that receives, keeps, answers, closes, mints.

Ends by itself only with a StorageError (exit code 3): a full disk or a locked database stops us before anything is
acknowledged, and what was not acknowledged is sent again.
"""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from aggregator import sql
from aggregator.commune import declared, enacted
from aggregator.commune.arrivals import Arrivals
from aggregator.commune.directory import Commune, CommuneDirectory
from aggregator.commune.inbox import Inbox
from aggregator.commune.places import Places
from aggregator.commune.registry import Directory, RegistryPublisher
from aggregator.enrolment.desk import ClaimDesk
from aggregator.intake.evidence import Evidence
from aggregator.intake.pipeline import Intake
from aggregator.minting.outbox import Minter
from aggregator.report import StatusFile
from aggregator.settling.closing import Closer
from aggregator.sql import Database
from aggregator.statements.signers import Signers
from aggregator.telemetry.feed import TelemetryFeed
from aggregator.telemetry.influx import InfluxSettings, InfluxSink
from commonwatt import settings, topics
from commonwatt.clock import CivilClock, MonotonicClock, Protocolar
from commonwatt.errors import UserError
from commonwatt.identity import SigningKey
from commonwatt.mqtt import BrokerAccount, Message, MqttLink
from commonwatt.service import Stop, run_until
from ledger.app import LOG, open_ledger
from ledger.book import entry
from ledger.book.entry import SignedEntry
from ledger.log.published import PublishedLog
from ledger.sequencer import Sequencer

log = logging.getLogger(__name__)

BATCHES_PER_COMMIT = 64
"""Batches that share one commit: enough to keep up with a slow disk, few enough that a receipt comes soon."""

WAIT_S = 0.1
"""How long a tick waits for a batch before it looks at the clock."""

CATCH_UP_S = 3.0
"""After a start, gateways have this long to bring what they kept before an interval closes: our own absence should
make nobody late."""

RECONNECT_S_MAX = 5

CHANNELS = (topics.BATCH, f"{topics.CLAIM}/+")
"""What gateways send us."""


class BrokerSettings(settings.Settings):
    """Where the broker is and who we are there."""

    url: str
    """mqtt://host:port or mqtts://host:port."""
    username: str
    """The broker lets this account read batches and write receipts and registries."""
    password: str
    """Made by `commonwatt gateway broker-config`; the file is readable by us only."""
    ca_file: Path | None = None
    """Who signed the broker's certificate; none: whom the system trusts. Paths start at the file's own directory."""
    cert_file: Path | None = None
    """Our certificate: a broker that no device reaches asks for it."""
    key_file: Path | None = None
    """Its private key."""
    plaintext: bool = False
    """Speak mqtt:// to another machine: everybody on that line can then read the password."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `commonwatt aggregator run` was told."""

    directory: Path
    broker_account: Path
    clock: CivilClock
    status_file: Path
    influx: Path | None = None
    database_url: str | None = None
    processes: int = 0


class Aggregator:
    """The parts of one commune, and the tick that lets each do a bounded piece of work."""

    def __init__(
        self,
        *,
        link: MqttLink,
        intake: Intake,
        closer: Closer,
        minter: Minter,
        registry: RegistryPublisher,
        claims: ClaimDesk,
        arrivals: Arrivals,
        clock: Protocolar,
    ) -> None:
        self._link = link
        self._intake = intake
        self._closer = closer
        self._minter = minter
        self._registry = registry
        self._claims = claims
        self._arrivals = arrivals
        self._clock = clock
        self._closes_from_s = clock.monotonic_s() + CATCH_UP_S

    def tick(self) -> None:
        """Receive and answer, close what is due, mint what waits. Raises StorageError."""
        self._arrivals.step(self._intake, self._closer)
        self._registry.step(self._link, self._intake.directory)
        self._answer(self._claims.sort_out(self._receive()))
        if self._clock.monotonic_s() >= self._closes_from_s:
            self._closer.step(self._intake.directory)
        self._minter.step()

    def _receive(self) -> list[Message]:
        """Stage "receive": what came since the last tick, a bounded number; waits for the first."""
        messages: list[Message] = []
        message = self._link.receive(WAIT_S)
        while message is not None:
            messages.append(message)
            message = self._link.receive(0) if len(messages) < BATCHES_PER_COMMIT else None
        return messages

    def _answer(self, messages: Sequence[Message]) -> None:
        """A receipt that is not sent is asked for again by the batch coming again.

        When as much came as one commit takes, more is waiting: then these are verified while those before them are
        committed. Otherwise everything is answered at once.
        """
        self._intake.begin(messages)
        is_busy = len(messages) == BATCHES_PER_COMMIT
        for receipt in self._intake.finish(leave=len(messages) if is_busy else 0):
            self._link.publish(receipt.topic, receipt.payload)


def run(options: Options, stop: Stop) -> None:
    """Run until told to stop. UserError for settings, StorageError for disks and databases."""
    place = CommuneDirectory(options.directory)
    commune, key = place.load(), place.load_key("aggregator")
    account = read_account(options.broker_account)
    sink_settings = settings.load(InfluxSettings, options.influx) if options.influx else None
    if key.public_key.hex() != commune.aggregator_public_key:
        raise UserError("this key is not the one of commune.toml", where=place.key_file("aggregator"))
    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(options.directory))
        database = stack.enter_context(Database(options.database_url or sql.url_of(options.directory)))
        directory = Directory.of(ledger.state, Places.read(options.directory))
        link = stack.enter_context(_link(account, commune))
        intake = _intake(commune, key, database, directory, options)
        stack.callback(intake.close)
        aggregator = _assemble(options.directory, commune, key, ledger, database, intake, link, options.clock)
        status_file = StatusFile(options.status_file, database=database, ledger=ledger, clock=options.clock)
        sink = sink_settings and InfluxSink(sink_settings, commune=commune.name, directory=options.directory)
        points = sink and TelemetryFeed(stack.enter_context(sink), database=database, clock=MonotonicClock())

        def tick() -> None:
            aggregator.tick()
            status_file.step(intake.directory)
            if points:
                points.step(intake.directory, status_file.state)

        log.info("%s: %d devices, %d entries in the log", commune.title, len(directory.meters), ledger.size)
        run_until(stop, tick)
        status_file.write(intake.directory)


def _link(account: BrokerAccount, commune: Commune) -> MqttLink:
    return MqttLink(
        account,
        client_id=f"aggregator-{commune.name}",
        subscriptions=[topics.of_gateway(commune.name, "+", channel) for channel in CHANNELS],
        reconnect_s_max=RECONNECT_S_MAX,
    )


def _intake(commune: Commune, key: SigningKey, database: Database, directory: Directory, options: Options) -> Intake:
    return Intake(
        evidence=Evidence(database),
        directory=directory,
        key=key,
        commune=commune.name,
        genesis=commune.genesis,
        clock=options.clock,
        processes=options.processes,
    )


def _assemble(
    directory: Path,
    commune: Commune,
    key: SigningKey,
    ledger: Sequencer,
    database: Database,
    intake: Intake,
    link: MqttLink,
    clock: CivilClock,
) -> Aggregator:
    known = enacted.follow(database, PublishedLog(directory / LOG), Signers.of(ledger.state))
    inbox = Inbox(directory, ledger=ledger, clock=MonotonicClock())
    return Aggregator(
        link=link,
        intake=intake,
        closer=Closer(
            database=database,
            known=known,
            genesis_s=genesis_s(ledger),
            clock=clock,
            declared=declared.read(directory),
        ),
        minter=Minter(database=database, ledger=ledger, key=key),
        registry=RegistryPublisher(commune=commune.name, genesis=commune.genesis, key=key),
        claims=ClaimDesk(CommuneDirectory(directory).private_db, clock=clock),
        arrivals=Arrivals(directory, inbox=inbox, ledger=ledger, database=database),
        clock=MonotonicClock(),
    )


def read_account(path: Path) -> BrokerAccount:
    """The broker's account file; UserError names the mistake."""
    read = settings.load(BrokerSettings, path)
    base = path.resolve().parent
    files = {name: getattr(read, name) for name in ("ca_file", "cert_file", "key_file")}
    return BrokerAccount(**dict(read) | {name: base / file for name, file in files.items() if file})


def genesis_s(ledger: Sequencer) -> int:
    """Civil time of the genesis entry."""
    parsed = entry.parse(ledger.entry(0))
    assert isinstance(parsed, SignedEntry)
    return parsed.entry.time_s
