"""The firmware's own benchmark, run as a person runs it. Ratios of one run only: no wall-clock limit."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "firmware" / "bench_firmware.py"
MICROPYTHON = Path(sys.executable).parent / "micropython"


def _run(heap_kb, *arguments):
    command = [MICROPYTHON, "-X", f"heapsize={heap_kb}k", BENCH, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_bench_when_run():
    """Signing is at least four times as fast as the textbook's in the same run, and the comb stays under 10 kB."""
    done = _run(4096, ROOT / "tests/firmware/both")
    print(done.stdout, done.stderr)
    figures = json.loads(done.stdout)
    assert figures["ratio"] >= 4
    assert 0 < figures["heap_table"] <= 10_000
    assert figures["verify"] > 0


def test_heap_peak_when_signing_and_verifying():
    """From source, compiler included, signing and verifying fit into a chip's heap; the peaks are printed."""
    for what in ("sign", "verify"):
        low, high = 16, 256  # kilobytes that are too few, and that are enough
        while high - low > 4:
            middle = (low + high) // 2
            low, high = (low, middle) if _run(middle, "--once", what).returncode == 0 else (middle, high)
        print(json.dumps({"heap_peak": {what: high * 1024}}))
        assert _run(high, "--once", what).returncode == 0
