"""`startup`: what a start of `commonwatt aggregator run` takes of the processors in a town of half a million meters.

Everything that a start does is in it, the interpreter and the imports too: the ledger opened from its saved state and
held against its balances, the registry, every chain with as many blocks after its page as there are devices, two
processes that verify, and the first tick, which closes an interval. The town's members, sites and devices have each
an account, an admission, a chain and a mint. Left out: their admissions are in the saved state and not in the log,
where a start would not read them; the private store is empty; no broker answers, so the registry is not sent.
"""

import json
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from aggregator import bench_town, schema, settings, testing
from aggregator.bench_town import random_octets
from aggregator.commune import enacted
from aggregator.commune.registry import Directory
from aggregator.evidence import pages
from aggregator.intake.heads import Heads
from aggregator.settling import meters
from aggregator.sql import Database
from aggregator.statements.signers import Signers
from aggregator.testing import POLICY, TIME_S, ident, key
from commonwatt.clock import CivilClock
from commonwatt.evidence_page import Octets, Page
from commonwatt.identity import ID_SIZE
from ledger.app import LOG
from ledger.book import mint_arrays
from ledger.book.mint import SOURCE_PRODUCTION
from ledger.book.mint_arrays import MintArrays
from ledger.book.rules import RUN_LEAVES_MAX
from ledger.book.subjects import octets_of
from ledger.log.published import PublishedLog
from ledger.sequencer import Placed, Sequencer

Figure = tuple[float, str]

DEVICES = 500_000
PROCESSES = 2
PAGE = 12_800
HOUR_S = 3600


def measure_startup(count: int = DEVICES) -> Figure:
    """Seconds of CPU of all processes until `count` devices are believed and the first tick is over."""
    fresh = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    with tempfile.TemporaryDirectory() as folder, fresh as pool:
        found(Path(folder), count)
        return pool.submit(_start, folder, count).result(), "s of CPU"


def found(directory: Path, count: int) -> None:
    """A commune's directory after `count` devices have sent two blocks and everybody has earned something."""
    with testing.quarter(directory) as ledger, Database(settings.database_url(directory, "")) as database:
        enacted.follow(database, PublishedLog(directory / LOG), Signers(ledger.state))
        subjects = ledger.state.admissions.by_id
        known = len(subjects.accounts), len(subjects.devices)
        bench_town.settle(ledger.state, count)
        accounts = octets_of(subjects.accounts.rows, "id")[known[0] :]
        for account in subjects.accounts.rows["id"][known[0] :].tolist():
            ledger.state.note_wallet(account)
        for start in range(0, count, RUN_LEAVES_MAX):
            _mint(ledger, accounts[start : start + RUN_LEAVES_MAX], start)
        size = ledger.publish().size
        _keep_evidence(database, octets_of(subjects.devices.rows, "id")[known[1] :])
        with database.transaction() as connection:  # an aggregator that had run before has read the log, and numbers
            connection.execute(
                sa.update(schema.meta).where(schema.meta.c.name == enacted.READ).values(value=str(size))
            )
            meters.of(connection, Directory.of(ledger.state).meters)
    testing.write_papers(directory)
    words = {"url": "mqtt://127.0.0.1:9", "username": "aggregator", "password": "nobody answers"}
    (directory / "broker.toml").write_text("".join(f"{name} = {json.dumps(word)}\n" for name, word in words.items()))


def _start(folder: str, count: int) -> float:
    """In a process of its own."""
    from aggregator.app import Aggregator, Options

    directory = Path(folder)
    with ExitStack() as stack:
        options = Options(
            directory=directory,
            broker_account=directory / "broker.toml",
            clock=CivilClock(TIME_S + 2 * HOUR_S, time.time()),
            status_file=directory / "status.json",
            processes=PROCESSES,
        )
        aggregator = Aggregator(options, stack)
        aggregator.tick()
        spent_s = time.process_time()
        assert aggregator.devices >= count
    ended = os.times()
    return spent_s + ended.children_user + ended.children_system


def _mint(ledger: Sequencer, accounts: Octets, number: int) -> None:
    """One source's claim each, of the first hour."""
    count = len(accounts)
    energy_wh = np.random.default_rng(number).integers(1, 20_000, count)
    leaves = MintArrays(
        nonces=mint_arrays.draw_nonces(count),
        account_ids=np.ascontiguousarray(accounts),
        sources=np.full(count, SOURCE_PRODUCTION),
        energy_wh=energy_wh,
        amount_mc=energy_wh,
        association_mc=np.zeros(count, dtype=np.int64),
        lines=np.ones(count, dtype=np.int64),
        lines_roots=np.zeros((count, 32), dtype=np.uint8),
        window_start_s=TIME_S,
        window_end_s=TIME_S + HOUR_S,
    )
    signer, run = key("aggregator"), ident(f"run {number}")
    answer = ledger.mint_arrays(run, leaves, policy_sha256=POLICY.sha256, time_s=TIME_S + HOUR_S, key=signer)
    assert isinstance(answer, Placed)


def _keep_evidence(database: Database, devices: Octets) -> None:
    """Two blocks of each device: pages of chains know the first, evidence has both."""
    rng, count, heads = np.random.default_rng(3), len(devices), Heads()
    for seq in range(2):
        for start in range(0, count, PAGE):
            some = devices[start : start + PAGE]
            page = _page(rng, some, seq, seq * count + start + 1)
            numbers = heads.of(some)
            with database.transaction() as connection:
                pages.append(connection, page)
                if seq == 0:
                    heads.keep(connection, len(some), seq * count + start)
            heads.advance(numbers, page.seq, page.sha256[:, :ID_SIZE], page.end_s)


def _page(rng: np.random.Generator, devices: Octets, seq: int, first_id: int) -> Page:
    count = len(devices)
    time_s = np.full(count, TIME_S + HOUR_S * seq)
    return Page(
        device=devices,
        gateway=devices,
        seq=np.full(count, seq),
        id=np.arange(first_id, first_id + count),
        received_s=time_s,
        start_s=time_s,
        end_s=time_s + HOUR_S,
        size=np.full(count, 200),
        sha256=random_octets(rng, count, 32),
        signed=rng.bytes(200 * count),
    )
