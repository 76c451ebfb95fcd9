"""Builds an aggregator of a commune and runs it: a desk that receives, keeps and answers, and the books if it leads.

One process on SQLite, or as many as are started on PostgreSQL (docs/decisions/0021-many-aggregators.md). Ends by
itself only with a StorageError (exit code 3): a full disk or a locked database stops us before anything is
acknowledged, and what was not acknowledged is sent again.
"""

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from aggregator import schema
from aggregator import settings as aggregator_settings
from aggregator.books import Books, open_books
from aggregator.clock_watch import ClockWatch
from aggregator.commune.directory import Commune, CommuneDirectory
from aggregator.commune.registry import Directory
from aggregator.desk import Desk
from aggregator.enrolment.desk import ClaimDesk
from aggregator.followed_log import FollowedLog
from aggregator.intake.evidence import Evidence
from aggregator.intake.pipeline import Intake
from aggregator.observe import http as observe_http
from aggregator.observe import state as observed
from aggregator.observe import witnesses as observed_witnesses
from aggregator.observe.stages import Stages
from aggregator.receive import mqtt
from aggregator.receive.gate import Gate
from aggregator.receive.mqtt import Claims, Hear
from aggregator.receive.receiver import Receiver
from aggregator.report import StatusFile
from aggregator.sql import Database
from aggregator.telemetry.gateways import GatewayStates
from aggregator.telemetry.influx import InfluxSettings
from aggregator.telemetry.look import Look
from aggregator.telemetry.service import Telemetry
from commonwatt import serving, settings
from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.errors import StorageError, UserError
from commonwatt.identity import SigningKey, new_id
from commonwatt.mqtt import BrokerAccount, MqttLink
from commonwatt.service import Stop, run_until
from commonwatt.transport import BATCH_SIZE_MAX

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""How often a process tells its state, and one that does not lead asks whether it may."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `commonwatt aggregator run` was told. `watch`: host and port of /health and /metrics; `pages`: of the
    commune's pages, which are served beside the books."""

    directory: Path
    broker_account: Path
    clock: CivilClock
    status_file: Path
    influx: Path | None = None
    database_url: str | None = None
    processes: int = 0
    watch: tuple[str, int] | None = None
    pages: tuple[str, int] | None = None


def run(options: Options, stop: Stop) -> None:
    """Run until told to stop. UserError for settings, StorageError for disks and databases."""
    with ExitStack() as stack:
        aggregator = Aggregator(options, stack)
        run_until(stop, aggregator.tick)
        aggregator.say_last()


class Aggregator:
    """The parts of one process. Everything opened is closed with `stack`, the last first."""

    def __init__(self, options: Options, stack: ExitStack) -> None:
        place = CommuneDirectory(options.directory)
        self._options, self._stack = options, stack
        self._commune, self._key = place.load(), place.load_key("aggregator")
        if self._key.public_key.hex() != self._commune.aggregator_public_key:
            raise UserError("this key is not the one of commune.toml", where=place.key_file("aggregator"))
        told = aggregator_settings.load(options.directory)
        account, jetstream = aggregator_settings.read_account(options.broker_account)
        self._sink_settings = settings.load(InfluxSettings, options.influx) if options.influx else None
        self._protocol, self._stages = MonotonicClock(), Stages()
        url = aggregator_settings.database_url(options.directory, options.database_url or "")
        self._database_url = url
        self._database = stack.enter_context(Database(url))
        self._watch = _clock_watch(self._database, options.clock, self._protocol)
        self._books: Books | None = None
        self._status: StatusFile | None = None
        self._telemetry: Telemetry | None = None
        self._look_for_telemetry: Look | None = None
        self._gateways = GatewayStates()
        self._look_at_s = 0.0
        self._log: FollowedLog | None = None
        if not self._lead():
            self._log = FollowedLog(options.directory)
        self._gate = Gate(told.limits, self._protocol, batch_bytes_max=BATCH_SIZE_MAX)
        self._page = (
            stack.enter_context(observe_http.watch(*options.watch, self._protocol)) if options.watch else None
        )
        intake = _intake(self._commune, self._key, self._database, self._directory, options, self._stages)
        stack.callback(intake.close)
        claims: Claims = Claims()
        self._receivers, self._link = _connections(
            *(account, jetstream, self._commune, self._gate, claims, self._database),
            hear=lambda delivery: self._gateways.take(delivery, options.clock.now_s()),
        )
        for receiver in self._receivers.values():
            stack.enter_context(receiver)
        self._desk = Desk(
            gate=self._gate,
            intake=intake,
            link=self._link,
            watch=self._watch,
            claims=claims,
            claim_desk=ClaimDesk(place.private_db, clock=options.clock),
            genesis=self._commune.genesis,
            stages=self._stages,
        )
        if options.pages is not None:
            # The last to come and the first to go: whoever is shown the books finds them open.
            served = serving.pages()
            stack.enter_context(served(options.directory, options.pages, clock=options.clock, database_url=url))

    def tick(self) -> None:
        """Receive and answer, close what is due, mint what waits, tell others. Raises StorageError."""
        self._desk.step()
        if self._books is not None:
            self._books.step(self._link, self._desk.intake)
        now_s = self._protocol.monotonic_s()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_EVERY_S
            if self._books is None:
                self._follow()
            self._tell()

    @property
    def devices(self) -> int:
        """How many devices are believed."""
        return len(self._directory.meters)

    def say_last(self) -> None:
        """The status file once more, when asked to end."""
        if self._books is not None and self._status is not None:
            self._status.write(self._desk.intake.directory)

    @property
    def _directory(self) -> Directory:
        if self._books is not None:
            return self._books.directory
        assert self._log is not None, "who does not lead follows"
        return self._log.directory

    def _follow(self) -> None:
        """Lead if nobody does; otherwise believe whom the log names."""
        assert self._log is not None
        if self._lead():
            self._log = None
            self._desk.intake.directory = self._directory
        elif self._log.step():
            self._desk.intake.directory = self._log.directory

    def _lead(self) -> bool:
        """Open the books if nobody else has them."""
        if not self._database.may_lead():
            return False
        options = self._options
        try:
            books = open_books(
                options.directory,
                commune=self._commune,
                key=self._key,
                database=self._database,
                clock=options.clock,
                protocol=self._protocol,
                watch=self._watch,
                stages=self._stages,
            )
        except StorageError as error:
            if not self._database.is_shared:
                raise
            # Whoever led before may still be ending, or a person is admitting a meter: the ledger will be free.
            log.warning("the ledger cannot be opened yet: %s", error)
            return False
        self._books = self._stack.enter_context(books)
        clock = options.clock
        self._status = StatusFile(options.status_file, database=self._database, ledger=books.ledger, clock=clock)
        if self._sink_settings is not None:
            telemetry = Telemetry(
                self._sink_settings,
                directory=options.directory,
                database_url=self._database_url,
                slug=self._commune.name,
                civil=clock,
                protocol=self._protocol,
            )
            self._telemetry = self._stack.enter_context(telemetry)
            self._look_for_telemetry = Look(self._sink_settings, civil=clock, protocol=self._protocol)
        log.info("%s: leading, %d entries in the log", self._commune.title, books.ledger.size)
        return True

    def _tell(self) -> None:
        """The status file, the dashboards and the health page. None of them is waited for."""
        books = None
        if self._books is not None and self._status is not None:
            self._status.step(self._desk.intake.directory)
            if self._telemetry is not None and self._look_for_telemetry is not None:
                self._status.withheld = self._telemetry.feed.withheld
                seen = self._look_for_telemetry.take(
                    self._books, self._desk.intake, self._status.state, self._gateways, self._options.directory
                )
                self._telemetry.see(seen)
            if self._page is not None:
                books = self._look_at_books(self._books, self._status)
        if self._page is not None:
            self._page.see(self._look(books))

    def _look_at_books(self, books: Books, status: StatusFile) -> observed.Books:
        civil_s, wall_s = self._options.clock.now_s(), time.time()
        return observed.books_of(
            self._database,
            self._options.directory,
            status.state,
            held=books.held_runs,
            witnesses=observed_witnesses.look(self._options.directory, wall_s=wall_s),
            due_s=civil_s - books.closer.due_s,
            civil_s=civil_s,
            wall_s=wall_s,
        )

    def _look(self, books: observed.Books | None) -> observed.State:
        behind_s = 0.0
        if self._telemetry is not None and self._books is not None:
            behind_s = max(0, self._books.closer.last_end_s - self._telemetry.feed.closed_s)
        return observed.look(
            commune=self._commune.name,
            directory=self._options.directory,
            brokers={name: _trouble(receiver) for name, receiver in self._receivers.items()},
            gate=self._gate,
            stages=self._stages,
            watch=self._watch,
            books=books,
            telemetry={} if self._telemetry is None else {"InfluxDB": self._telemetry.trouble},
            telemetry_behind_s=behind_s,
        )


def _clock_watch(database: Database, clock: CivilClock, protocol: MonotonicClock) -> ClockWatch:
    """What is on record: the last closing."""
    with database.transaction() as connection:
        known_s = connection.scalar(sa.select(sa.func.max(schema.closing.c.end_s))) or 0
    return ClockWatch(civil=clock, protocol=protocol, civil_per_s=clock.factor, known_s=known_s)


def _intake(
    commune: Commune, key: SigningKey, database: Database, directory: Directory, options: Options, stages: Stages
) -> Intake:
    return Intake(
        evidence=Evidence(database),
        directory=directory,
        key=key,
        commune=commune.name,
        genesis=commune.genesis,
        clock=options.clock,
        processes=options.processes,
        stages=stages,
    )


def _connections(
    account: BrokerAccount,
    jetstream: str | None,
    commune: Commune,
    gate: Gate,
    claims: Claims,
    database: Database,
    *,
    hear: Hear,
) -> tuple[dict[str, Receiver], MqttLink]:
    """Who brings batches, and over what answers leave: receipts and registries are MQTT's own, retained ones too."""
    # A broker knows one client of a name. Alone, ours stays the same, so that a restart takes the old one's place.
    suffix = f"-{new_id().hex()[:8]}" if database.is_shared else ""
    client_id = f"aggregator-{commune.name}{suffix}"
    if jetstream is None:
        if database.is_shared:
            log.warning("several aggregators on MQTT each receive everything: set jetstream in the account file")
        link = mqtt.link(account, commune.name, client_id=client_id, claims=claims, hear=hear, offer=gate.offer)
        return {"mqtt": link}, link
    try:
        from aggregator.receive.jetstream import JetStreamReceiver
    except ModuleNotFoundError as error:
        raise UserError(
            f"JetStream needs the package {error.name}, which is not installed",
            to_do="pip install 'commonwatt[jetstream]'",
        ) from error
    link = mqtt.link(account, commune.name, client_id=client_id, claims=claims, hear=hear, offer=None)
    return {"mqtt": link, "jetstream": JetStreamReceiver(jetstream, account, commune.name, gate)}, link


def _trouble(receiver: Receiver) -> str | None:
    if isinstance(receiver, MqttLink) and not receiver.is_up:
        return receiver.trouble or "not connected"
    return receiver.trouble
