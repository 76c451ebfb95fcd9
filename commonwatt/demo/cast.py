"""The cast: one program per process of the demo, and the order in which they come up and go down."""

import sys
from dataclasses import dataclass

from commonwatt.clock import CivilClock
from commonwatt.demo import founding
from commonwatt.demo.founding import COMMONWATT, FIRMWARE, MICROPYTHON, Commune
from commonwatt.demo.people import SOLAR_METER, readers
from commonwatt.demo.plan import Plan
from commonwatt.demo.programs import BIN, Program, answers, wait_for

UP_S_MAX = 30
READER_HEAP = "256k"
"""Far below the default of a PC, so that a reader that needs more than a chip has ends here."""


@dataclass(frozen=True, slots=True)
class Cast:
    """All programs by name; `broker` is absent when an existing one is used."""

    commune: Commune
    programs: dict[str, Program]

    def start(self) -> None:
        """Bring everybody up: first what others connect to."""
        if broker := self.programs.get("broker"):
            broker.start()
        self.programs["solar-meter"].start()
        address = founding.broker_address(self.commune.broker_url)
        wait_for(lambda: answers(*address), what="the broker", timeout_s=UP_S_MAX, programs=self._started())
        for name in ("aggregator", "gateway", *readers()):
            self.programs[name].start()

    def check(self) -> None:
        """Raise if a program has ended by itself."""
        for program in self.programs.values():
            program.check()

    def stop(self) -> None:
        """Let everybody finish: first the sources, then what they deliver to."""
        for name in (*readers(), "gateway", "aggregator", "solar-meter", "broker"):
            if program := self.programs.get(name):
                program.stop()

    def _started(self) -> list[Program]:
        return [program for program in self.programs.values() if program.is_running]


def assemble(plan: Plan, commune: Commune, clock: CivilClock) -> Cast:
    """Write the running clock to every reader and name every program."""
    layout, at = commune.layout, ("--clock", str(clock))
    argv: dict[str, tuple[str, ...]] = {
        "aggregator": (
            *(COMMONWATT, "aggregator", "run", str(layout.root), "--broker-account", str(layout.broker_account)),
            *("--status", str(layout.aggregator_status), *at),
        ),
        "gateway": (COMMONWATT, "gateway", "run", str(layout.gateway_toml), *at),
        "solar-meter": (
            *(sys.executable, "-m", "commonwatt.demo.solar_meter", "--port", str(commune.modbus_port)),
            *("--registers", str(layout.registers(SOLAR_METER)), "--device", SOLAR_METER, *at),
        ),
    }
    if plan.broker_url is None:
        argv["broker"] = (str(BIN / "nats-server"), "-c", str(layout.broker / "nats.conf"))
    for name in readers():
        founding.set_device_clock(commune, name, clock)
        argv[name] = (
            MICROPYTHON,
            "-X",
            f"heapsize={READER_HEAP}",
            FIRMWARE,
            str(founding.device_config(commune, name)),
        )
    programs = {name: Program(name, words, layout.logs / f"{name}.log") for name, words in argv.items()}
    return Cast(commune, programs)
