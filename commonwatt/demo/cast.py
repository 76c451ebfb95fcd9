"""The cast: one program per process of the demo, and the order in which they come up and go down."""

import sys
from dataclasses import dataclass
from functools import partial

from commonwatt.clock import CivilClock
from commonwatt.demo.brokers import AGGREGATOR
from commonwatt.demo.dashboards import RELAY
from commonwatt.demo.founding import COMMONWATT, Commune
from commonwatt.demo.meters import FIRMWARE, MICROPYTHON
from commonwatt.demo.programs import Program, answers, wait_for

UP_S_MAX = 30
READER_HEAP = "256k"
"""Far below the default of a PC, so that a reader that needs more than a chip has ends here."""


@dataclass(frozen=True, slots=True)
class Cast:
    """All programs by name; a broker that somebody else runs is not among them."""

    commune: Commune
    programs: dict[str, Program]

    def start(self) -> None:
        """Bring everybody up: first what others connect to."""
        village = self.commune.village
        for name in (*self._brokers(), *self._relays(), *village.over_modbus):
            self.programs[name].start()
        for broker in self.commune.brokers.all:
            is_up = partial(answers, *broker.address)
            wait_for(is_up, what=broker.url, timeout_s=UP_S_MAX, programs=self._started())
        for name in (AGGREGATOR, *village.gateways, *village.readers):
            self.programs[name].start()

    def check(self) -> None:
        """Raise if a program has ended by itself."""
        for program in self.programs.values():
            program.check()

    def stop(self) -> None:
        """Let everybody finish: first the sources, then what they deliver to."""
        village = self.commune.village
        behind = (*village.over_modbus, *self._relays(), *self._brokers())
        for name in (*village.readers, *village.gateways, AGGREGATOR, *behind):
            self.programs[name].stop()

    def around_the_books(self) -> list[Program]:
        """What the aggregator needs when the meters rest: the town's broker and the dashboards' relay, if ours."""
        town = self.commune.brokers.town
        return [self.programs[name] for name in (*([town.name] if town.is_ours else []), *self._relays())]

    def _brokers(self) -> list[str]:
        return [broker.name for broker in self.commune.brokers.all if broker.is_ours]

    def _relays(self) -> list[str]:
        return [name for name in self.programs if name == RELAY]

    def _started(self) -> list[Program]:
        return [program for program in self.programs.values() if program.is_running]


def aggregator_words(commune: Commune, clock: CivilClock) -> tuple[str, ...]:
    """How the aggregator is started."""
    layout = commune.layout
    return (
        *(COMMONWATT, "aggregator", "run", str(layout.root), "--broker-account", str(layout.broker_account)),
        *("--status", str(layout.aggregator_status), "--clock", str(clock)),
        *("--watch", f"127.0.0.1:{commune.watch_ports[AGGREGATOR]}"),
        *(("--influx", str(layout.influx)) if layout.influx.exists() else ()),
    )


def assemble(commune: Commune, clock: CivilClock, relay: Program | None = None) -> Cast:
    """Write the running clock to every reader and name every program. `relay`: see demo/dashboards.py."""
    layout, village, at = commune.layout, commune.village, ("--clock", str(clock))
    argv: dict[str, tuple[str, ...]] = {broker.name: broker.argv for broker in commune.brokers.all if broker.is_ours}
    argv[AGGREGATOR] = aggregator_words(commune, clock)
    for name in village.gateways:
        argv[name] = (COMMONWATT, "gateway", "run", str(layout.gateway_toml(name)), *at)
    for name in village.over_modbus:
        argv[name] = (
            *(sys.executable, "-m", "commonwatt.demo.solar_meter", "--port", str(commune.modbus_ports[name])),
            *("--registers", str(layout.registers(name)), "--device", name, *at),
        )
    readers = commune.readers
    for name in village.readers:
        config = readers.set_clock(name, clock)
        argv[name] = (MICROPYTHON, "-X", f"heapsize={READER_HEAP}", FIRMWARE, str(config))
    programs = {name: Program(name, words, layout.logs / f"{name}.log") for name, words in argv.items()}
    return Cast(commune, programs | ({RELAY: relay} if relay else {}))
