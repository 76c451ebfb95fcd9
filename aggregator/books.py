"""The books: the one aggregator of a commune that leads opens its ledger, closes intervals, mints, publishes, and
tells gateways whom to believe. All it knows is durable, so whoever leads next goes on at the very point.
"""

from pathlib import Path
from types import TracebackType

from aggregator.asking.telling import RequestPublisher
from aggregator.clock_watch import ClockWatch
from aggregator.commune import declared, enacted
from aggregator.commune.arrivals import Arrivals
from aggregator.commune.directory import Commune
from aggregator.commune.places import Places
from aggregator.commune.registry import Directory, Publishing, RegistryPublisher
from aggregator.intake.pipeline import Intake
from aggregator.minting.outbox import Minter
from aggregator.observe.stages import MINT, Stages
from aggregator.settling.closing import Closer
from aggregator.sql import Database
from aggregator.statements.signers import Signers
from commonwatt.clock import Civil, Protocolar
from commonwatt.identity import SigningKey
from ledger.app import LOG, open_ledger
from ledger.book import entry
from ledger.book.entry import SignedEntry
from ledger.inbox import Inbox
from ledger.log.published import PublishedLog
from ledger.sequencer import Sequencer

CATCH_UP_S = 3.0
"""After a start, gateways have this long to bring what they kept before an interval closes: our own absence should
make nobody late."""


SAVE_EVERY_S = 3600.0
"""How often the ledger's state is kept, so that a start after a crash has an hour to read and not a year."""


class Books:
    """An open ledger and what writes it, for `with`."""

    def __init__(
        self,
        *,
        ledger: Sequencer,
        directory: Directory,
        closer: Closer,
        arrivals: Arrivals,
        minter: Minter,
        registry: RegistryPublisher,
        requests: RequestPublisher,
        protocol: Protocolar,
        watch: ClockWatch,
        stages: Stages,
    ) -> None:
        self.ledger = ledger
        self.closer = closer
        self.directory = directory
        self._arrivals = arrivals
        self._minter = minter
        self._registry = registry
        self._requests = requests
        self._protocol = protocol
        self._watch = watch
        self._stages = stages
        self._may_mint = True
        """Only a closing fills the outbox; at the start it may be full of what another left there."""
        self._closes_from_s = protocol.monotonic_s() + CATCH_UP_S
        self._save_at_s = protocol.monotonic_s()

    def __enter__(self) -> "Books":
        return self

    def __exit__(self, _kind: type[BaseException] | None, _value: object, _trace: TracebackType | None) -> None:
        self.ledger.close()

    @property
    def held_runs(self) -> frozenset[bytes]:
        """The mint-runs that a hold in the ledger stops."""
        return self._minter.held

    def step(self, link: Publishing, intake: Intake) -> None:
        """Carry out what people entered, tell gateways, close what is due, mint what waits. Raises StorageError."""
        self._arrivals.step(intake, self.closer)
        self._registry.step(link, intake.directory)
        self._requests.step(link, intake.directory, self.closer.known)
        may_close = self._watch.tick()
        if may_close and self._protocol.monotonic_s() >= self._closes_from_s:
            self._may_mint |= bool(self.closer.step(intake.directory))
        if self._may_mint:
            with self._stages.timed(MINT):
                self._minter.step()
            self._may_mint = False
        if self._protocol.monotonic_s() >= self._save_at_s:
            self.ledger.save_state()
            self._save_at_s = self._protocol.monotonic_s() + SAVE_EVERY_S


def open_books(
    directory: Path,
    *,
    commune: Commune,
    key: SigningKey,
    database: Database,
    clock: Civil,
    protocol: Protocolar,
    watch: ClockWatch,
    stages: Stages,
) -> Books:
    """Open the ledger and put the parts together. StorageError while another process has the ledger."""
    ledger = open_ledger(directory)
    try:
        known = enacted.follow(database, PublishedLog(directory / LOG), Signers(ledger.state))
        closer = Closer(
            database=database,
            known=known,
            genesis_s=genesis_s(ledger),
            clock=clock,
            declared=declared.read(directory),
            stages=stages,
        )
    except BaseException:
        ledger.close()
        raise
    return Books(
        ledger=ledger,
        directory=Directory.of(ledger.state, Places.read(directory)),
        closer=closer,
        arrivals=Arrivals(
            directory, inbox=Inbox(directory, ledger=ledger, clock=protocol), ledger=ledger, database=database
        ),
        minter=Minter(database=database, ledger=ledger, key=key),
        registry=RegistryPublisher(commune=commune.name, genesis=commune.genesis, key=key),
        requests=RequestPublisher(commune=commune.name, genesis=commune.genesis, key=key, clock=clock),
        protocol=protocol,
        watch=watch,
        stages=stages,
    )


def genesis_s(ledger: Sequencer) -> int:
    """Civil time of the genesis entry."""
    parsed = entry.parse(ledger.entry(0))
    assert isinstance(parsed, SignedEntry)
    return parsed.entry.time_s
