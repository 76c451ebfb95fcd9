"""The ledger dies at seeded instants, amid any instruction; nothing answered is lost, nothing is half done."""

import itertools
import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from ledger import app, testing
from ledger.audit.verify import Mode, verify
from ledger.book import mint_arrays
from ledger.log.note import Signer
from ledger.sequencer import Placed, Refused, Sequencer

SIGNER = Signer(testing.ORIGIN, testing.LOG_KEY)
SEED = 20_240_715
NAMES = tuple(f"member {number}" for number in range(70))
LIVES = 8
"""So often one ledger is killed and opened again before the next begins: replaying it takes longer every time."""

STEPS_MAX = 4
DELAY_S_MAX = 0.03
"""A step takes some milliseconds: the alarm goes off in the next one or the one after."""


def step(ledger: Sequencer, random_: random.Random, number: int) -> list[Placed | Refused]:
    """One thing a commune does: payments, a mint-run by leaves or in columns, or a publication."""
    window = 1 + number
    leaves = [testing.earned(name, 10, 1, window=window, source=source) for name in NAMES for source in (1, 2)]
    match random_.randrange(5):
        case 0:
            count = random_.randrange(1, 5)
            return ledger.submit([testing.pay(NAMES[0], NAMES[1], 1, memo=f"{number} {i}") for i in range(count)])
        case 1:
            return [testing.mint(ledger, leaves[: random_.randrange(1, 6)], run=f"run {number}", window=window)]
        case 2 | 3:
            answer = ledger.mint_arrays(
                testing.ident(f"run {number}"),
                mint_arrays.from_leaves(leaves),
                policy_sha256=testing.POLICY.sha256,
                time_s=testing.TIME_S,
                key=testing.key("aggregator"),
            )
            return [answer]
        case _:
            ledger.publish()
            return []


def live(directory: Path, answers: int, seed: int, number: int) -> None:
    """Work until the alarm kills us; tell each answer after it was given."""
    random_ = random.Random(seed)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    alarm_at, delay_s = random_.randrange(-1, STEPS_MAX), random_.uniform(0.0001, DELAY_S_MAX)
    if alarm_at < 0:  # while it opens
        signal.setitimer(signal.ITIMER_REAL, delay_s)
    ledger = app.open_parts(directory, SIGNER)
    for done in itertools.count():
        if done == max(alarm_at, 0):
            signal.setitimer(signal.ITIMER_REAL, delay_s)
        for answer in step(ledger, random_, number + done):
            assert isinstance(answer, Placed)
            os.write(answers, b"%d\n" % answer.place)
        os.write(answers, b"done\n")


def until_it_dies(directory: Path, seed: int, number: int) -> Iterator[bytes]:
    """The lines that a writer wrote before it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            live(directory, writing, seed, number)
        finally:
            os._exit(1)  # not by the alarm: the parent sees it
    os.close(writing)
    with os.fdopen(reading, "rb") as lines:
        written = lines.read()
    _pid, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the writer failed by itself"
    assert os.WTERMSIG(status) == signal.SIGALRM
    return (line for line in written.splitlines(keepends=True) if line.endswith(b"\n"))


def survive(directory: Path, deaths: int) -> dict[str, int]:
    """Kill a writer so many times; what was found after it, for the record."""
    found = {"deaths": 0, "entries answered": 0, "entries committed and not answered": 0}
    template = directory / "template"
    with testing.village(template, *NAMES) as ledger:
        testing.mint(ledger, [testing.earned(NAMES[0], 10**9)])
    while found["deaths"] < deaths:
        here = directory / "ledger"
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(template, here)
        number, size = 0, 73
        for _ in range(min(LIVES, deaths - found["deaths"])):
            lines = list(until_it_dies(here, SEED + found["deaths"], number))
            places = [int(line) for line in lines if not line.startswith(b"done")]
            with app.open_parts(here, SIGNER) as ledger:
                assert all(place < ledger.size for place in places)
                assert ledger.checkpoint is not None
                assert ledger.checkpoint.size == ledger.size >= size
                found["entries answered"] += len(places)
                found["entries committed and not answered"] += ledger.size - max([size - 1, *places]) - 1
                size = ledger.size
            found["deaths"] += 1
            number += 1 + sum(line.startswith(b"done") for line in lines)
        report = verify(here / "log", SIGNER.verifier, mode=Mode.AUDIT)
        assert report.is_good, report.problems
        assert report.entries == size
    return found


def survive_alone(directory: Path, deaths: int) -> dict[str, int]:
    """`survive` in a process of its own: what has threads, as other tests may have left, must not be forked."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(survive, directory, deaths).result()


def test_ledger_when_killed_again_and_again(tmp_path: Path) -> None:
    """Every answered entry is there afterwards, every run is whole, and what is published verifies in full."""
    found = survive_alone(tmp_path, 64)
    print(f"seed {SEED}: {found}")
    assert found["entries answered"] > 64


@pytest.mark.soak
def test_ledger_when_killed_ten_thousand_times(tmp_path: Path) -> None:
    """The same, 10,000 times."""
    found = survive_alone(tmp_path, 10_000)
    print(f"seed {SEED}: {found}")
    assert found["entries committed and not answered"] > 0
