"""Figures of the ledger: inputs are made outside the timer, results are checked after it.

Each `measure_…` returns a figure and its unit; `bench/` sets them beside the limits of the machine.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ledger import testing
from ledger.book.kinds import ISSUANCE
from ledger.book.replay import replay
from ledger.sequencer import Placed, Sequencer

Figure = tuple[float, str]
Measure = Callable[[int], Figure]

WALLETS = 50
TRANSFERS = 2000
LEAVES = 20_000


def measure_transfers(count: int = TRANSFERS) -> Figure:
    """Wallet-signed transfers, each verified, until durable in the store (1,000 a commit)."""
    with tempfile.TemporaryDirectory() as folder, _funded(Path(folder)) as sequencer:
        entries = _transfers(count)
        started = time.perf_counter()
        answers = sequencer.submit(entries)
        elapsed_s = time.perf_counter() - started
        assert all(isinstance(answer, Placed) for answer in answers)
    return count / elapsed_s, "transfers/s"


def measure_transfer_latency(count: int = 200) -> Figure:
    """One transfer at a time until durable, the median."""
    with tempfile.TemporaryDirectory() as folder, _funded(Path(folder)) as sequencer:
        samples_s = []
        for data in _transfers(count):
            started = time.perf_counter()
            (answer,) = sequencer.submit([data])
            samples_s.append(time.perf_counter() - started)
            assert isinstance(answer, Placed)
    return sorted(samples_s)[count // 2] * 1000, "ms"


def measure_mints(count: int = LEAVES) -> Figure:
    """Mint leaves of one window, from values to durable: encoded, hashed, claim keys checked, the run signed."""
    names = [f"member {number}" for number in range(count)]
    with tempfile.TemporaryDirectory() as folder, testing.village(Path(folder)) as sequencer:
        for name in names:
            sequencer.state.book.open_account(testing.ident(name))  # admissions are not what is measured
        leaves = [testing.earned(name, 900, 100) for name in names]
        started = time.perf_counter()
        answer = testing.mint(sequencer, leaves)
        elapsed_s = time.perf_counter() - started
        assert isinstance(answer, Placed)
        assert sequencer.state.book.balance_mc(ISSUANCE) == -1000 * count
    return count / elapsed_s, "leaves/s"


def measure_replay(count: int = TRANSFERS) -> Figure:
    """Entries that an auditor replays, signatures included."""
    with tempfile.TemporaryDirectory() as folder, _funded(Path(folder)) as sequencer:
        sequencer.submit(_transfers(count))
        entries = [sequencer.entry(place) for place in range(sequencer.size)]
        digest = sequencer.state.digest()
    started = time.perf_counter()
    state = replay(entries)
    elapsed_s = time.perf_counter() - started
    assert state.digest() == digest
    return len(entries) / elapsed_s, "entries/s"


def _wallets() -> list[str]:
    return [f"wallet {number}" for number in range(WALLETS)]


def _funded(folder: Path) -> Sequencer:
    sequencer = testing.village(folder, *_wallets())
    testing.mint(sequencer, [testing.earned(name, 10**9) for name in _wallets()])
    return sequencer


def _transfers(count: int) -> list[bytes]:
    names = _wallets()
    return [
        testing.pay(names[number % WALLETS], names[(number + 1) % WALLETS], 1 + number, memo=str(number))
        for number in range(count)
    ]
