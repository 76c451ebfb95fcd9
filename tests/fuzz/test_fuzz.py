"""No bytes bring a parser to anything but a value or a refusal: seeded and short here, longer in `make soak`."""

import importlib.util
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
MODULE: dict[str, Any] = runpy.run_path(str(HERE / "parsers.py"))
PARSERS: dict[str, Any] = MODULE["PARSERS"]
IS_ACCEPTED: Callable[[str, bytes], bool] = MODULE["is_accepted"]
SEED = 20_240_715
CHANGES = ("cut", "flip", "insert", "repeat")
HAS_ATHERIS = importlib.util.find_spec("atheris") is not None
needs_atheris = pytest.mark.skipif(not HAS_ATHERIS, reason="atheris has no wheel for this Python: hypothesis alone")


def fuzz(name: str, directory: Path, *options: str) -> None:
    """Run the fuzzer in a process of its own; a finding fails the test and is shown whole."""
    command = [sys.executable, str(HERE / "fuzz.py"), name, f"-seed={SEED}", *options]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done " in done.stderr, done.stderr[-4000:]


@pytest.mark.parametrize("name", PARSERS)
def test_parser_when_given_its_examples(name: str) -> None:
    """Every parser takes an example: a fuzzer that begins with what is refused at once looks at nothing."""
    assert any(IS_ACCEPTED(name, example) for example in PARSERS[name].examples)


@pytest.mark.parametrize("name", PARSERS)
def test_parser_when_an_example_is_changed(name: str) -> None:
    """Hypothesis cuts, flips, repeats and joins examples; it runs on every Python."""

    @seed(SEED)
    @settings(max_examples=150, deadline=None, database=None)
    @given(_changed(PARSERS[name].examples))
    def look(data: bytes) -> None:
        IS_ACCEPTED(name, data)

    look()


@needs_atheris
def test_parsers_when_fuzzed(tmp_path: Path) -> None:
    """A short run over all parsers, led by what their code covers."""
    fuzz("all", tmp_path, "-runs=8000")


@needs_atheris
@pytest.mark.soak
@pytest.mark.parametrize("name", PARSERS)
def test_parser_when_fuzzed_for_long(name: str, tmp_path: Path) -> None:
    """A minute for each parser."""
    fuzz(name, tmp_path, "-max_total_time=60")


def _changed(examples: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Examples after a few changes, as strangers and bad lines make them."""
    change = st.tuples(st.integers(0, 2**16), st.integers(0, 255), st.sampled_from(CHANGES))
    return st.builds(_apply, st.sampled_from(examples), st.lists(change, min_size=1, max_size=6))


def _apply(data: bytes, changes: list[tuple[int, int, str]]) -> bytes:
    for place, value, what in changes:
        at = place % (len(data) + 1)
        match what:
            case "cut":
                data = data[:at] + data[at + value % 9 :]
            case "flip":
                data = data[:at] + bytes(byte ^ value for byte in data[at : at + 1]) + data[at + 1 :]
            case "insert":
                data = data[:at] + bytes([value]) + data[at:]
            case "repeat":
                data = data[:at] + data[max(0, at - value) : at] + data[at:]
    return data
