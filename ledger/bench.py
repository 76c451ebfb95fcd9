"""Figures of the ledger: inputs are made outside the timer, results are checked after it.

Each `measure_…` returns a figure and its unit; `bench/` sets them beside the limits of the machine.
"""

import atexit
import fcntl
import gc
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from ledger import testing
from ledger.audit.verify import Mode, verify
from ledger.book import mint_arrays
from ledger.book.account_columns import Account
from ledger.book.body import AdmitAccount
from ledger.book.kinds import ISSUANCE, Subject
from ledger.book.mint_arrays import MintArrays
from ledger.log import merkle
from ledger.log.note import Signer
from ledger.log.published import PublishedLog
from ledger.proof.tree import PublishedTree
from ledger.sequencer import COMMIT_ENTRIES_MAX, Placed, Sequencer

Figure = tuple[float, str]
Measure = Callable[[int], Figure]

WALLETS = 100_000
TRANSFERS = 20_000
WALLETS_LOGGED = 50
RUN_LEAVES = 100_000
RUNS = 4
LARGE_LOG = 10_000_000
PROOFS = 500
SOURCES = (1, 2)
_GET_FLAGS, _SET_FLAGS, _TOP_DIRECTORY = 0x80086601, 0x40086602, 0x00020000
"""FS_IOC_GETFLAGS, FS_IOC_SETFLAGS and FS_TOPDIR_FL of linux/fs.h, on 64-bit machines."""

SIGNER = Signer(testing.ORIGIN, testing.LOG_KEY)


def measure_mints(count: int = RUNS * RUN_LEAVES) -> Figure:
    """From claim arrays to durable and published: runs of 100,000 leaves over 50,000 accounts and two sources.

    In the timed part: nonces, claim keys, encoding, hashes, balances, the run's signature, the commit, tiles.
    """
    size = min(count, RUN_LEAVES)
    with _large_village(size) as (sequencer, _folder):
        runs = [_claims(size, window) for window in range(count // size)]
        started = time.perf_counter()
        for claims in runs:
            _mint(sequencer, claims)
        sequencer.publish()
        elapsed_s = time.perf_counter() - started
        minted_mc = sum(int(claims.energy_wh.sum()) for claims in runs)
        assert sequencer.state.book.balance_mc(ISSUANCE) == -minted_mc
    return size * len(runs) / elapsed_s, "leaves/s"


def measure_transfers(count: int = TRANSFERS, wallets: int = WALLETS) -> Figure:
    """Wallet-signed transfers over 100,000 wallets, each verified, until durable in the store (1,000 a commit)."""
    wallets = min(wallets, 2 * count)
    with testing.village(_new_folder()) as sequencer:
        names = [f"wallet {number}" for number in range(wallets)]
        for name in names:  # admissions and funds are not what is measured
            body = AdmitAccount(Subject.MEMBER, testing.ident(name), testing.key(name).public_key, bytes(32))
            sequencer.state.admissions.admit(body)
            sequencer.state.book.accounts[testing.ident(name)] = Account(0, 10**9)
            sequencer.state.note_wallet(testing.ident(name))
        sequencer.state.book.touched.update(range(len(sequencer.state.book.accounts)))
        pick = random.Random(1)  # noqa: S311 what is measured, not what is secret
        pairs = [pick.sample(names, 2) for _ in range(count + COMMIT_ENTRIES_MAX)]
        entries = [testing.pay(payer, payee, 1 + at, memo=str(at)) for at, (payer, payee) in enumerate(pairs)]
        sequencer.submit(entries[count:])  # starts the processes
        started = time.perf_counter()
        answers = sequencer.submit(entries[:count])
        elapsed_s = time.perf_counter() - started
        assert all(isinstance(answer, Placed) and not answer.is_repeat for answer in answers)
    return count / elapsed_s, "transfers/s"


def measure_transfer_latency(count: int = 200) -> Figure:
    """One transfer at a time until durable, the median."""
    with _funded(_new_folder()) as sequencer:
        samples_s = []
        for data in _transfers(count):
            started = time.perf_counter()
            (answer,) = sequencer.submit([data])
            samples_s.append(time.perf_counter() - started)
            assert isinstance(answer, Placed)
    return sorted(samples_s)[count // 2] * 1000, "ms"


def measure_proof_latency(count: int = LARGE_LOG) -> Figure:
    """A proof of inclusion from the published tiles of a log of 10 million entries, the median."""
    return large_log(count).proof_ms, "ms"


def measure_memory_early(count: int = LARGE_LOG) -> Figure:
    """Resident memory of the sequencer's process when the log has a tenth of 10 million entries."""
    return large_log(count).early_bytes / 1e6, "MB"


def measure_memory(count: int = LARGE_LOG) -> Figure:
    """The same at 10 million entries, over the same accounts."""
    return large_log(count).late_bytes / 1e6, "MB"


def measure_memory_slope(count: int = LARGE_LOG) -> Figure:
    """What an entry adds to it."""
    return large_log(count).slope, "bytes/entry"


def measure_replay(count: int = 8 * TRANSFERS) -> Figure:
    """Signed entries that an auditor replays from the published files; signatures and starting processes included.

    Half a second of it is starting: the longer the log, the nearer the limit.
    """
    folder = _new_folder()
    with _funded(folder) as sequencer:
        sequencer.submit(_transfers(count))
        sequencer.publish()
        digest = sequencer.state.digest()
    return _audit(folder, digest), "entries/s"


def measure_replay_mints(count: int = 2 * RUN_LEAVES) -> Figure:
    """Mint leaves that an auditor replays from the published files, tiles and hashes included."""
    folder, size = _new_folder(), min(count, RUN_LEAVES) // 50 or 2
    with _auditable_village(folder, size) as sequencer:
        for window in range(count // size):
            _mint(sequencer, _claims(size, window))
        sequencer.publish()
        digest = sequencer.state.digest()
    return _audit(folder, digest, leaves=count // size * size), "leaves/s"


@dataclass(frozen=True, slots=True)
class LargeLog:
    """What was measured on one large log of mint leaves."""

    proof_ms: float
    early_bytes: int
    late_bytes: int
    slope: float


@cache
def large_log(count: int) -> LargeLog:
    """Grow a log to `count` leaves over 50,000 accounts at most; memory at a tenth and at the end, then proofs."""
    size = min(count // 10, RUN_LEAVES)
    windows = count // size
    with _large_village(size) as (sequencer, folder):
        found: list[tuple[int, int]] = []
        for window in range(windows):
            _mint(sequencer, _claims(size, window))
            if window + 1 in (windows // 10, windows):
                sequencer.publish()
                found.append((sequencer.size, _resident_bytes()))
        (early_size, early_bytes), (late_size, late_bytes) = found
        proof_ms = _proof_ms(folder / "log", late_size)
    return LargeLog(proof_ms, early_bytes, late_bytes, (late_bytes - early_bytes) / (late_size - early_size))


def _proof_ms(log: Path, size: int) -> float:
    files = PublishedLog(log)
    root = files.unverified_checkpoint().root
    tree = PublishedTree(files.tile, size)
    pick = random.Random(1)  # noqa: S311 what is measured, not what is secret
    samples_s = []
    for _ in range(min(PROOFS, size)):
        place = pick.randrange(size)
        started = time.perf_counter()
        proof = tree.inclusion(place)
        samples_s.append(time.perf_counter() - started)
        assert merkle.is_included(tree.leaf_hash(place), place, size, proof, root)
    return sorted(samples_s)[len(samples_s) // 2] * 1000


def _audit(folder: Path, digest: bytes, *, leaves: int | None = None) -> float:
    """How many entries, or leaves of them, are verified a second."""
    started = time.perf_counter()
    report = verify(folder / "log", SIGNER.verifier, mode=Mode.AUDIT)
    elapsed_s = time.perf_counter() - started
    assert report.is_good
    assert report.state is not None
    assert report.state.digest() == digest
    return (leaves or report.entries) / elapsed_s


def _new_folder() -> Path:
    """A directory on a disk, removed when this process ends.

    Not /tmp, which is memory on many machines: nothing there is durable. Not removed at once, and far from those of
    earlier runs: for minutes after many files were deleted ext4 looks long for the place of every new one near by
    (measured: 700 µs a file instead of 20), and a ledger never deletes many.
    """
    disk = Path("/var/tmp")  # noqa: S108 made unguessable below
    is_chosen = "TMPDIR" in os.environ or not os.access(disk, os.W_OK)
    parent = Path(tempfile.mkdtemp(prefix="commonwatt-bench-", dir=None if is_chosen else disk))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    _spread(parent)
    folder = parent / "commune"
    folder.mkdir()
    return folder


def _spread(parent: Path) -> None:
    """Have ext4 put the directories made in this one apart on the disk (`chattr +T`); others do as they do."""
    handle = os.open(parent, os.O_RDONLY)
    try:
        flags = fcntl.ioctl(handle, _GET_FLAGS, bytes(8))
        set_flags = int.from_bytes(flags, sys.byteorder) | _TOP_DIRECTORY
        fcntl.ioctl(handle, _SET_FLAGS, set_flags.to_bytes(8, sys.byteorder))
    except OSError:
        pass  # another file system, or none of our business there
    finally:
        os.close(handle)


@contextmanager
def _large_village(leaves: int) -> Iterator[tuple[Sequencer, Path]]:
    """A ledger with as many accounts as a run of so many leaves over two sources needs."""
    folder = _new_folder()
    with testing.village(folder) as sequencer:
        for name in _accounts(leaves):
            body = AdmitAccount(Subject.MEMBER, name, name * 2, bytes(32))  # admissions are not what is measured
            sequencer.state.admissions.admit(body)
            sequencer.state.note_wallet(name)
        yield sequencer, folder


def _auditable_village(folder: Path, leaves: int) -> Sequencer:
    """The same with admissions in the log."""
    return testing.village(folder, *(f"account {number}" for number in range(max(1, leaves // len(SOURCES)))))


def _accounts(leaves: int) -> list[bytes]:
    return [testing.ident(f"account {number}") for number in range(max(1, leaves // len(SOURCES)))]


def _claims(leaves: int, window: int) -> MintArrays:
    """The claims of a window: an account and source each, some watt-hours, a commitment to the devices' lines."""
    accounts = mint_arrays.octets(_accounts(leaves), 16)
    number = np.arange(leaves)
    random_ = np.random.default_rng(window)
    energy_wh = random_.integers(1, 20_000, leaves)
    start_s = testing.TIME_S + window * testing.WINDOW_S
    return MintArrays(
        nonces=np.zeros((leaves, 16), dtype=np.uint8),
        account_ids=accounts[number % len(accounts)],
        sources=1 + number // len(accounts),
        energy_wh=energy_wh,
        amount_mc=energy_wh - energy_wh // 10,
        association_mc=energy_wh // 10,
        lines=random_.integers(1, 97, leaves),
        lines_roots=random_.integers(0, 256, (leaves, 32), dtype=np.uint8),
        window_start_s=start_s,
        window_end_s=start_s + testing.WINDOW_S,
    )


def _mint(sequencer: Sequencer, claims: MintArrays) -> None:
    """Draw the nonces and mint."""
    answer = sequencer.mint_arrays(
        testing.ident(f"run {claims.window_start_s}"),
        replace(claims, nonces=mint_arrays.draw_nonces(len(claims))),
        policy_sha256=testing.POLICY.sha256,
        time_s=testing.TIME_S,
        key=testing.key("aggregator"),
    )
    assert isinstance(answer, Placed)


def _resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")


def _wallets() -> list[str]:
    return [f"wallet {number}" for number in range(WALLETS_LOGGED)]


def _funded(folder: Path) -> Sequencer:
    sequencer = testing.village(folder, *_wallets())
    testing.mint(sequencer, [testing.earned(name, 10**9) for name in _wallets()])
    return sequencer


def _transfers(count: int) -> list[bytes]:
    names = _wallets()
    return [
        testing.pay(names[number % len(names)], names[(number + 1) % len(names)], 1 + number, memo=str(number))
        for number in range(count)
    ]
