"""The memory of where chains stand agrees with a dictionary, whoever comes when; checking agrees in any process."""

import hashlib
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator import testing
from aggregator.commune.registry import Directory
from aggregator.evidence import pages
from aggregator.intake import heads
from aggregator.intake.checking import check
from aggregator.intake.heads import NONE, Heads
from aggregator.intake.workers import Checkers
from aggregator.sql import Database
from aggregator.testing import TIME_S
from commonwatt.evidence_page import Page, names, octets
from commonwatt.refusal import Refusal

# Ids that share their first half are possible, if hardly ever met.
ids = st.one_of(
    st.binary(min_size=16, max_size=16), st.builds(lambda end: bytes(15) + bytes([end]), st.integers(0, 5))
)
blocks = st.tuples(ids, st.integers(0, 5), st.integers(0, 2**40))


@given(st.lists(st.lists(blocks, min_size=1), max_size=5))
def test_heads_when_they_advance(steps: list[list[tuple[bytes, int, int]]]):
    """Known and new devices alike, several blocks of one in any order; a device without a block has no head."""
    kept = Heads()
    expected: dict[bytes, tuple[int, int]] = {}
    for step in steps:
        devices, seqs, ends_s = zip(*step, strict=True)
        links = octets(hashlib.sha256(bytes([seq])).digest()[:16] for seq in seqs)
        kept.advance(kept.of(octets(devices)), np.array(seqs), links, np.array(ends_s))
        for device, seq, end_s in step:
            highest, latest_s = expected.get(device, (-1, 0))
            expected[device] = (max(highest, seq), max(latest_s, end_s))
    assert len(kept) == len(expected)
    assert kept.find(octets([b"nobody's device!"])).tolist() == [NONE]
    numbers = kept.find(octets(expected))
    found = zip(kept.seq[numbers].tolist(), kept.latest_s[numbers].tolist(), strict=True)
    assert dict(zip(expected, found, strict=True)) == expected
    assert names(kept.link[numbers]) == [hashlib.sha256(bytes([seq])).digest()[:16] for seq, _ in expected.values()]


def page_of(devices: list[bytes], seqs: list[int], first_id: int) -> Page:
    """Evidence of blocks whose bytes do not matter."""
    count = len(devices)
    integers = [np.array(seqs), np.arange(first_id, first_id + count), *[np.array(seqs) * 900] * 3]
    hashes = octets((hashlib.sha256(d + bytes([s])).digest() for d, s in zip(devices, seqs, strict=True)), 32)
    return Page(octets(devices), octets(devices), *integers, np.ones(count, dtype=np.int64), hashes, b"x" * count)


@pytest.mark.parametrize("seed", range(5))
def test_heads_when_the_process_starts_again(tmp_path, seed: int):
    """Pages of heads and the evidence after them say together what memory said, wherever the writing of pages is."""
    rng = random.Random(seed)
    everyone = [rng.randbytes(16) for _ in range(40)]
    seqs: Counter[bytes] = Counter()
    with Database(f"sqlite:///{tmp_path / 'aggregator.db'}") as database:
        known, next_id = Heads(page_devices=4), 1
        for _commit in range(60):
            devices = rng.sample(everyone[: 1 + len(seqs) + 3], rng.randint(1, min(6, 1 + len(seqs))))
            page = page_of(devices, [seqs[device] for device in devices], next_id)
            seqs.update(devices)
            numbers = known.of(page.device)
            with database.transaction() as connection:
                pages.append(connection, page)
                known.keep(connection, len(page), next_id - 1)
            known.advance(numbers, page.seq, page.sha256[:, :16], page.end_s)
            next_id += len(page)
            with database.transaction() as connection:
                again = heads.load(connection, page_devices=4)
            found = again.find(known.device)
            assert [len(again), again.seq[found].tolist()] == [len(known), known.seq.tolist()]
            assert np.array_equal(again.link[found], known.link)
            assert np.array_equal(again.latest_s[found], known.latest_s)
            if rng.random() < 0.2:
                known = again
        with database.transaction() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM head_page").scalar() > 6


@pytest.mark.parametrize("seed", range(3))
def test_heads_when_several_processes_write(postgres_url: str, seed: int):
    """Each numbers devices in its own way and writes pages now and then: a start finds every chain, and reads no more
    than the newest evidence for it."""
    rng = random.Random(seed)
    everyone = [rng.randbytes(16) for _ in range(40)]
    seqs: Counter[bytes] = Counter()
    with Database(postgres_url) as database:
        both, next_id = [Heads(page_devices=4), Heads(page_devices=4)], 1
        for _commit in range(80):
            devices = rng.sample(everyone, rng.randint(1, 6))
            page = page_of(devices, [seqs[device] for device in devices], next_id)
            seqs.update(devices)
            writer = rng.choice(both)
            writer.of(page.device)
            with database.transaction() as connection:
                pages.append(connection, page)
                writer.keep_whole(connection, len(page), next_id - 1)
            for known in both:
                known.advance(known.of(page.device[::-1]), page.seq[::-1], page.sha256[::-1, :16], page.end_s[::-1])
            next_id += len(page)
        with database.transaction() as connection:
            again = heads.load(connection, page_devices=4)
            kept_id = connection.exec_driver_sql("SELECT min(id_max) FROM head_page").scalar()
    known = both[0]
    found = again.find(known.device)
    assert [len(again), again.seq[found].tolist()] == [len(known), known.seq.tolist()]
    assert np.array_equal(again.link[found], known.link)
    assert next_id - kept_id <= 2 * (len(everyone) + 6) + 6


@pytest.mark.parametrize("processes", [0, 2])
def test_checkers_when_blocks_are_good_and_bad(tmp_path, processes: int):
    """The same answers in the same order, here or in other processes."""
    with testing.quarter(tmp_path) as ledger:
        keys = Directory.of(ledger.state).keys
    meters = testing.meters()
    good = [meters[name].sign(TIME_S, [(0, 0), (5, 0)]) for name in ("ana-main", "ben-main", "sun-main")]
    blocks = [good[0], good[1][:-1] + bytes([good[1][-1] ^ 1]), b"\xff", good[2]]
    with Checkers(processes) as checkers:
        answer, took_s = checkers.submit(blocks, keys).result()
    assert answer.row == [0, 3]
    assert took_s > 0
    assert names(answer.arrivals.device) == [meters["ana-main"].id, meters["sun-main"].id]
    assert answer.refused == {1: Refusal.BAD_SIGNATURE, 2: Refusal.MALFORMED}
    assert answer.refused == check(blocks, keys).refused
