"""Which figures exist: part, name, how it is measured, and the limit that stands beside it.

A part is imported when one of its figures is measured, so that a gateway's bench needs only the gateway.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean

from bench import limits
from bench.figure import Figure
from commonwatt.errors import UserError

ROOT = Path(__file__).parents[1]
TREE_LEAVES = 20_000
GATEWAY_MEMORY_MB = 120.0
"""What a gateway may take of a small box's memory, with 1,000 devices."""

END_TO_END_S = 2.0
"""What a gateway may wait for a receipt, in the middle of the cases."""
TOWN_CPU = 5.0
"""Per cent of a core for 5,000 meters with a reading a minute."""

Measured = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One figure: `measure` gives value and unit, `limit` what this machine can do at most, if anything bounds it."""

    part: str
    name: str
    measure: Callable[[], Measured]
    limit: Callable[[], float] | None = None

    def run(self) -> Figure:
        """Measure the figure, then its limit, in this process's run."""
        figure, unit = self.measure()
        return Figure(self.name, figure, unit, self.limit() if self.limit else None)


def _verify_on_one() -> float:
    return _verify(1)


def _verify_on_two() -> float:
    return _verify(2)


@cache
def _verify(processes: int) -> float:
    return limits.verify_per_s(processes)


@cache
def _tree() -> float:
    from ledger import testing

    leaves = [testing.earned(f"member {number}", 900, 100).encode() for number in range(TREE_LEAVES)]
    return limits.tree_leaves_per_s(leaves)


def _gateway_blocks() -> Measured:
    from gateway import bench

    return bench.measure_blocks()


@cache
def _modbus_cpu() -> tuple[float, float]:
    from gateway import bench_meters

    return bench_meters.measure_modbus_cpu()


def _gateway_memory() -> Measured:
    from gateway import bench_fleet

    return bench_fleet.measure_memory()


def _gateway_hop() -> Measured:
    from gateway import bench_fleet

    return bench_fleet.measure_mqtt_hop()


def _aggregator_blocks() -> Measured:
    from aggregator import bench_blocks

    return bench_blocks.measure_blocks()


def _devices(name: str) -> Callable[[], Measured]:
    def measure() -> Measured:
        from aggregator import bench_devices

        figure: Measured = getattr(bench_devices, f"measure_{name}")()
        return figure

    return measure


def _startup() -> Measured:
    from aggregator import bench_start

    return bench_start.measure_startup()


def _telemetry_points() -> Measured:
    from bench import telemetry

    return telemetry.points_per_s()


def _telemetry_plain() -> float:
    """What the same database takes from a plain client."""
    from bench import telemetry

    return telemetry.plain_points_per_s()


GROWTH_MAX = 120.0
"""What a block may cost among five million devices, in % of its cost among fifty thousand."""

DEVICE_MEMORY_MAX = 200.0
"""Bytes of registry and chain state that a device may take."""

STARTUP_MAX_S = 10.0
"""Until half a million devices are known again."""


def _end_to_end() -> Measured:
    from bench import end_to_end

    return end_to_end.measured().median_s, "s, median"


def _town_cpu() -> Measured:
    from bench import end_to_end

    return 100 * end_to_end.measured().cpu, "% of one core"


def _savings_qualified() -> Measured:
    from bench.savings import figures

    return sum(answer.reason is None for answer in figures.qualified().values()), "of 40 homes"


def _savings_false_positive() -> Measured:
    from bench.savings import figures

    return 100 * fmean(figures.false_positives()), "% of use"


def _savings_recovered() -> Measured:
    """A tenth saved: the harder of the two cases of docs/savings.md."""
    from bench.savings import figures

    return 100 * fmean(figures.recovered(100)), "% of saving"


def _plausibility(name: str) -> Callable[[], Measured]:
    def measure() -> Measured:
        from bench.plausibility import faults

        return 100 * getattr(faults.found(), name), "%"

    return measure


def _pvanalytics(name: str) -> Callable[[], float]:
    """The best that the field's library reaches on the same faults in this run."""

    def measure() -> float:
        from bench.plausibility import yardstick

        return 100 * float(getattr(yardstick.best(), name))

    return measure


def _ledger(name: str) -> Callable[[], Measured]:
    def measure() -> Measured:
        from ledger import bench

        figure: Measured = getattr(bench, f"measure_{name}")()
        return figure

    return measure


def _firmware_rate(name: str, unit: str) -> Callable[[], Measured]:
    def measure() -> Measured:
        from bench import firmware

        return 1e6 / firmware.times()[name], unit

    return measure


def _textbook() -> float:
    """Not a limit but a yardstick: signatures per second of a textbook signer on the same interpreter."""
    from bench import firmware

    return 1e6 / firmware.times()["textbook"]


def _firmware_heap(what: str) -> Callable[[], Measured]:
    def measure() -> Measured:
        from bench import firmware

        return firmware.heap_peak(what), "B"

    return measure


def _firmware_size(board: str) -> Callable[[], Measured]:
    def measure() -> Measured:
        from bench import firmware

        return firmware.mpy_sizes()[board], "B"

    return measure


def _firmware_boards() -> list[str]:
    from commonwatt.device.flashing.build import board_names

    return sorted(board_names(ROOT / "firmware"))


FIRMWARE_HEAP = 96 * 1024
"""What measuring, signing, the journal and MQTT have to fit into (docs/operating/firmware.md)."""

BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark("firmware", "sign", _firmware_rate("sign", "signatures/s"), _textbook),
    Benchmark("firmware", "verify", _firmware_rate("verify", "verifications/s")),
    Benchmark("firmware", "verify_command", _firmware_rate("command", "commands/s")),
    Benchmark("firmware", "verify_update", _firmware_rate("manifest", "manifests/s")),
    Benchmark("firmware", "heap_peak", _firmware_heap("week"), lambda: FIRMWARE_HEAP),
    Benchmark("firmware", "heap_peak_main", _firmware_heap("main")),
    Benchmark("firmware", "heap_peak_tls", _firmware_heap("tls")),
    Benchmark("firmware", "heap_peak_set_up", _firmware_heap("set_up")),
    Benchmark("firmware", "heap_peak_update", _firmware_heap("update")),
    Benchmark("firmware", "heap_peak_sign", _firmware_heap("sign")),
    Benchmark("firmware", "heap_peak_verify", _firmware_heap("verify")),
    Benchmark("firmware", "heap_peak_verify_command", _firmware_heap("command")),
    Benchmark("firmware", "heap_peak_verify_update", _firmware_heap("manifest")),
    Benchmark("firmware", "mpy_size", _firmware_size("all")),
    *(Benchmark("firmware", f"mpy_size_{board}", _firmware_size(board)) for board in _firmware_boards()),
    Benchmark("gateway", "blocks", _gateway_blocks, _verify_on_one),
    Benchmark("gateway", "modbus_cpu", lambda: (_modbus_cpu()[0], "% of one core"), lambda: _modbus_cpu()[1]),
    Benchmark("gateway", "mqtt_hop", _gateway_hop),
    Benchmark("gateway", "memory_1000_devices", _gateway_memory, lambda: GATEWAY_MEMORY_MB),
    Benchmark("aggregator", "blocks", _aggregator_blocks, _verify_on_two),
    Benchmark("aggregator", "growth", _devices("growth"), lambda: GROWTH_MAX),
    Benchmark("aggregator", "memory_per_device", _devices("memory_per_device"), lambda: DEVICE_MEMORY_MAX),
    Benchmark("aggregator", "startup", _startup, lambda: STARTUP_MAX_S),
    Benchmark("aggregator", "end_to_end", _end_to_end, lambda: END_TO_END_S),
    Benchmark("aggregator", "town_cpu", _town_cpu, lambda: TOWN_CPU),
    Benchmark("aggregator", "savings_qualified", _savings_qualified),
    Benchmark("aggregator", "savings_false_positive", _savings_false_positive),
    Benchmark("aggregator", "savings_recovered", _savings_recovered),
    Benchmark("aggregator", "plausibility_precision", _plausibility("precision"), _pvanalytics("precision")),
    Benchmark("aggregator", "plausibility_recall", _plausibility("recall"), _pvanalytics("recall")),
    Benchmark("telemetry", "points", _telemetry_points, _telemetry_plain),
    Benchmark("ledger", "mints", _ledger("mints"), _tree),
    Benchmark("ledger", "transfers", _ledger("transfers"), _verify_on_two),
    Benchmark("ledger", "transfer_latency", _ledger("transfer_latency")),
    Benchmark("ledger", "proof_latency", _ledger("proof_latency")),
    Benchmark("ledger", "replay", _ledger("replay"), _verify_on_two),
    Benchmark("ledger", "replay_mints", _ledger("replay_mints"), _tree),
    Benchmark("ledger", "memory_early", _ledger("memory_early")),
    Benchmark("ledger", "memory", _ledger("memory")),
    Benchmark("ledger", "memory_slope", _ledger("memory_slope")),
)

PARTS = tuple(dict.fromkeys(benchmark.part for benchmark in BENCHMARKS))


def chosen(part: str, name: str | None) -> Iterator[Benchmark]:
    """The benchmarks of a part ("all" for every part), or the one that is named; UserError if there is none."""
    found = [b for b in BENCHMARKS if part in (b.part, "all") and _is_named(b.name, name)]
    if not found:
        names = ", ".join(f"{b.part} {b.name}" for b in BENCHMARKS)
        raise UserError(f"no such benchmark: {part} {name or ''}", to_do=f"there are: all, {names}")
    return iter(found)


def _is_named(name: str, wanted: str | None) -> bool:
    """A name asks for itself and for those that go on from it: `heap_peak` for every heap peak."""
    return wanted is None or name == wanted or name.startswith(f"{wanted}_")
