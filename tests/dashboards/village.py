"""Five days of the demo's forty homes through the real aggregator, in this process, clock in hand, with telemetry.

Real are: the commune as `commonwatt init` and `admit` make it, signed blocks and batches, intake, evidence,
settlement, minting, the ledger, the operator's signed requests, and the feed of telemetry into its journal. The clock
is ours, and nobody listens to receipts. What the homes measured is what `make demo HOMES=40` replays.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aggregator.books import Books, open_books
from aggregator.clock_watch import ClockWatch
from aggregator.commune import admission
from aggregator.commune.directory import Commune, CommuneDirectory
from aggregator.commune.init import found_commune
from aggregator.commune.roster import Roster
from aggregator.intake.evidence import Evidence
from aggregator.intake.pipeline import Intake
from aggregator.observe.stages import Stages
from aggregator.policy.rules import Policy
from aggregator.private.store import PrivateStore
from aggregator.report import report
from aggregator.settings import database_url
from aggregator.sql import Database
from aggregator.telemetry.feed import Feed
from aggregator.telemetry.gateways import GatewayStates
from aggregator.telemetry.influx import InfluxServer, InfluxSettings
from aggregator.telemetry.journal import FILE, Journal
from aggregator.telemetry.look import Look
from aggregator.telemetry.samples import Seen
from aggregator.telemetry.writer import Writer
from aggregator.testing import MeterStandIn, commonwatt, ident, key
from commonwatt import cose, settings, topics
from commonwatt.demo.layout import Layout
from commonwatt.demo.people import BAKER, Identifiers
from commonwatt.demo.registers.homes import FORTY_HOMES, START_S
from commonwatt.demo.registers.make_registers import make
from commonwatt.demo.registers.read import DeviceRegisters, read_registers
from commonwatt.demo.roster import roster
from commonwatt.identity import SigningKey, save_key
from commonwatt.mqtt import Message
from commonwatt.testing import ManualClock
from commonwatt.transport import BATCH, Batch
from ledger import door
from tests.dashboards.stores import Store

DAY_S, HOUR_S = 86_400, 3600
DAYS = 5
"""Monday to Friday: the operator's peak of Friday evening has four working days to be compared with."""
GRACE_S = 6 * HOUR_S
POLICY = """version = 1
name = "A village's week"
grace_s = 21600
window_s = 86400
share_permille = 100
[production]
rate_mc_per_kwh = 800
[matched]
rate_mc_per_kwh = 200
[shifting]
rate_mc_per_kwh = 300
days = 4
sure_permille = 500
notice_s = 3600
"""
STEP_S = 4 * HOUR_S
"""So much is sent, closed and told at once."""
FOUNDED_S = START_S - DAY_S


class Silent:
    """A connection that is down."""

    connects = 0
    is_up = False

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Nothing is sent."""
        return False


@dataclass
class Village:
    """The commune on disk; when it has lived, its journal holds every point. `settings`: of telemetry."""

    directory: Path
    registers: dict[str, DeviceRegisters]
    settings: InfluxSettings

    @property
    def commune(self) -> Commune:
        """commune.toml."""
        return CommuneDirectory(self.directory).load()


def telemetry_settings(url: str = "http://127.0.0.1:9") -> InfluxSettings:
    """Of a server; by default of none."""
    return InfluxSettings(url=url, org="commune", bucket="commonwatt", token="secret", retry_s=0.01, retry_s_max=0.02)


def found(directory: Path) -> Village:
    """Found the commune and admit everybody, before the first measured quarter hour."""
    village, layout = FORTY_HOMES, Layout(directory)
    found_commune(
        directory,
        title="demo",
        origin="demo.commonwatt.example/log",
        policy=Policy.parse(POLICY, where="the village's policy"),
        is_trial=True,
        time_s=FOUNDED_S,
    )
    ids = Identifiers(
        accounts={name: ident(f"{name} account") for name in (*village.homes, BAKER)},
        sites={home: ident(f"{home} site") for home in village.homes},
        devices={name: ident(name) for name in village.devices},
        gateways={name: ident(name) for name in village.gateways},
    )
    for name in (*village.homes, BAKER):
        save_key(layout.wallet(name), key(f"{name} wallet"))
    keys = {name: key(name).public_key.hex() for name in (*village.devices, *village.gateways)}
    (directory / "roster.toml").write_text(roster(village, ids, layout, keys))
    place, store = CommuneDirectory(directory), PrivateStore(directory / "private.db")
    proposals = admission.propose(settings.load(Roster, directory / "roster.toml"), store, at_s=FOUNDED_S)
    with door.opened(directory) as ledger:
        store.save()
        admission.admit(proposals, ledger, steward=place.load_key("steward"), time_s=FOUNDED_S)
    announce(directory, "2024-07-26T18:00", "2024-07-26T20:00", "peak")
    announce(directory, "2024-07-27T12:00", "2024-07-27T15:00", "surplus", "--feeder", "mill")
    measured = directory / "registers.csv"
    measured.write_text(_measured(), encoding="ascii")
    return Village(directory, read_registers(measured), telemetry_settings())


@cache
def _measured() -> str:
    """What all meters measured: the same for every village of a run."""
    return make(FORTY_HOMES)


def announce(directory: Path, start: str, end: str, kind: str, *more: str) -> None:
    """The operator's request, signed, the day before the week begins."""
    clock = ("--clock", f"{FOUNDED_S + HOUR_S}@0x0.000000001")
    code, _out, errors = commonwatt(
        "operator", "announce", directory, "--from", start, "--to", end, "--kind", kind, *more, *clock
    )
    assert code == 0, errors


@dataclass
class Life:
    """The village's aggregator while it lives, step by step. `clock`: civil and protocol; `step_s`: how
    much is gone through at once."""

    village: Village
    clock: ManualClock
    books: Books
    intake: Intake
    database: Database
    look: Look
    gateways: GatewayStates
    meters: dict[str, MeterStandIn]
    batches: dict[str, int]
    tell: Callable[[Seen], object]
    step_s: int = STEP_S

    def step(self, start_s: int) -> None:
        """Everybody sends the hours that begin at `start_s`; what is due is closed and minted, and told."""
        self.go_on(start_s)
        for gateway in FORTY_HOMES.gateways:
            blocks = [self._sign(name, start_s) for name in FORTY_HOMES.of_gateway(gateway)]
            self.intake.take([self._batch(gateway, blocks)])
            self._say(gateway)
        self.settle()

    def go_on(self, start_s: int) -> None:
        """Let a step of time pass."""
        self.clock.civil_s = start_s + self.step_s + 60
        self.clock.protocol_s += 60.0

    def settle(self) -> None:
        """Close and mint what is due by the clock, and tell everything."""
        self.books.step(Silent(), self.intake)
        while self.books.closer.due_s <= self.clock.civil_s:
            self.books.step(Silent(), self.intake)
        self.tell(self.seen())

    def seen(self) -> Seen:
        """How everything stands now."""
        state = report(self.database, self.books.ledger, self.intake.directory, civil_s=self.clock.now_s())
        return self.look.take(self.books, self.intake, state, self.gateways, self.village.directory)

    def _sign(self, name: str, start_s: int) -> bytes:
        rows = self.village.registers[name].rows
        first = (start_s - rows[0][0]) // 900
        return self.meters[name].sign(
            start_s, [registers for _time_s, registers in rows[first : first + self.step_s // 900 + 1]]
        )

    def _batch(self, gateway: str, blocks: Sequence[bytes]) -> Message:
        commune = self.village.commune
        batch = Batch(self.batches[gateway], int(self.clock.civil_s), tuple(blocks))
        self.batches[gateway] += 1
        signed = cose.sign1(batch.encode(), key(gateway), cose.external_aad(BATCH, commune.genesis))
        return Message(topics.of_gateway(commune.name, ident(gateway), topics.BATCH), signed)

    def _say(self, gateway: str) -> None:
        """What the gateway retains about itself: as gateway/state.py spells it, with made-up numbers."""
        sent, devices = self.batches[gateway], FORTY_HOMES.of_gateway(gateway)
        state = {
            "state": "up",
            "civil_s": int(self.clock.civil_s) - 1,
            "clock_trusted": True,
            "clock_jumps": 0,
            "blocks": {"received": sent * len(devices), "refused": {"malformed": 1}},
            "spool": {
                "blocks": 3,
                "waiting": 2,
                "bytes": 40_960,
                "bytes_max": 512 << 20,
                "disk_free_bytes": 9 << 30,
                "oldest_age_s": 45,
            },
            "batches": {"sent": sent, "resent": 1, "receipted": sent, "in_flight": 0},
            "fleet": {
                "state": {"online": len(devices) - 1, "offline": 1},
                "clock": {"trusted": len(devices) - 1, "learning": 1, "unsynchronised": 0},
                "radio": {"good": len(devices) - 4, "fair": 2, "weak": 1, "wired": 1},
                "firmware": {"12": len(devices) - 2, "11": 2},
            },
            "meters": {"ok": 1, "silent": 0, "doubtful": 0},
            "grid": {
                "voltage_mv_min": 228_400,
                "voltage_mv_max": 236_900 + 100 * (sent % 24),
                "frequency_mhz_min": 49_960,
                "frequency_mhz_max": 50_030,
                "meters": len(devices) // 2,
            },
        }
        topic = topics.of_gateway(self.village.commune.name, ident(gateway), topics.STATE)
        self.gateways.take(Message(topic, json.dumps(state).encode()), self.clock.now_s())


def lives(
    village: Village,
    stack: ExitStack,
    telemetry: Callable[[Seen], object] | None = None,
    step_s: int = STEP_S,
) -> Life:
    """The aggregator of the village, open until the stack is closed. `telemetry`: who is told how everything stands;
    none: a feed that puts everything into the journal at once."""
    clock = ManualClock(START_S)
    place = CommuneDirectory(village.directory)
    database = stack.enter_context(Database(database_url(village.directory)))
    watch = ClockWatch(civil=clock, protocol=clock, civil_per_s=step_s / 60)
    signer: SigningKey = place.load_key("aggregator")
    books = stack.enter_context(
        open_books(
            village.directory,
            commune=village.commune,
            key=signer,
            database=database,
            clock=clock,
            protocol=clock,
            watch=watch,
            stages=Stages(),
        )
    )
    intake = Intake(
        evidence=Evidence(database),
        directory=books.directory,
        key=signer,
        commune=village.commune.name,
        genesis=village.commune.genesis,
        clock=clock,
    )
    stack.callback(intake.close)
    telemetry = telemetry or journaling(village, clock, stack)
    look = Look(village.settings, civil=clock, protocol=clock)
    meters = {name: MeterStandIn(name, device.quantities) for name, device in FORTY_HOMES.devices.items()}
    batches = dict.fromkeys(FORTY_HOMES.gateways, 0)
    return Life(village, clock, books, intake, database, look, GatewayStates(), meters, batches, telemetry, step_s)


def journaling(village: Village, clock: ManualClock, stack: ExitStack) -> Callable[[Seen], object]:
    """The feed of telemetry, driven by hand."""
    feed = stack.enter_context(
        Feed(
            stack.enter_context(Journal(village.directory / FILE)),
            village.settings,
            directory=village.directory,
            database_url=database_url(village.directory),
            slug=village.commune.name,
            protocol=clock,
        )
    )

    def tell(seen: Seen) -> None:
        while feed.step(seen):
            pass

    return tell


def live(village: Village, days: int = DAYS) -> None:
    """All hours of the days, and the grace and the last window after them."""
    with ExitStack() as stack:
        go_through(lives(village, stack), days)


def go_through(life: Life, days: int = DAYS) -> None:
    """The same for a village that is open."""
    end_s = START_S + DAY_S * days
    for start_s in range(START_S, end_s, life.step_s):
        life.step(start_s)
    for start_s in range(end_s, end_s + GRACE_S + life.step_s, life.step_s):
        life.go_on(start_s)
        life.settle()


def lines(directory: Path) -> Iterator[str]:
    """Every line of the journal."""
    with Journal(directory / FILE) as journal, journal.transaction() as transaction:
        yield from (row.line for row in transaction.next(10**9))


def write(journal_file: Path, store: Store, folder: Path) -> None:
    """Everything that waits in a copy of the journal, to a database."""
    folder.mkdir()
    shutil.copy(journal_file, folder / FILE)
    clock, settings = ManualClock(), store.settings()
    with Journal(folder / FILE) as journal, InfluxServer(settings) as server:
        writer = Writer(server, journal, settings, civil=clock, protocol=clock)
        while writer.step():
            pass
        with journal.transaction() as transaction:
            assert transaction.waiting() == 0, writer.trouble
            assert transaction.aside() == []
    store.flush()
