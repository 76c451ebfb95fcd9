"""Runs the tests in both/ on a real MicroPython too: one suite for two interpreters."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BOTH = HERE / "both"
MICROPYTHON = Path(sys.executable).parent / "micropython"


@pytest.mark.parametrize("module", sorted(path.stem for path in BOTH.glob("test_*.py")))
def test_both_when_run_by_micropython(module, tmp_path):
    """Every test that CPython passes, MicroPython passes, and it runs as many of them."""
    done = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=8M", BOTH / "run_on_micropython.py", ROOT / "firmware", module],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert {name: failure for name, failure in results.items() if failure} == {}, done.stdout + done.stderr
    assert len(results) == (BOTH / f"{module}.py").read_text().count("\ndef test_")
