"""Shuffled, repeated, delayed or interrupted: evidence, chains and verdicts are those of the clean stream."""

import random
from collections import Counter

import pytest

from aggregator import testing
from aggregator.evidence import store
from aggregator.evidence.days import DAY_S, lay
from aggregator.testing import TIME_S, GatewayStandIn

BLOCKS = 60


def stream(rng: random.Random) -> list[bytes]:
    """Blocks of five devices over three weeks, with gaps that nobody ever fills."""
    blocks = []
    for meter in testing.meters().values():
        for step in range(BLOCKS):
            registers = tuple(step + number for number in meter.quantities)
            signed = meter.sign(TIME_S + 900 * 32 * step, [registers, registers])
            if rng.random() > 0.1 or step == BLOCKS - 1:
                blocks.append(signed)
    return blocks


def books(works) -> tuple[set, list, dict]:
    """What must not depend on order: blocks, what is missing, where chains stand."""
    evidence = {(device, seq, sha256, signed) for _id, device, seq, sha256, _received_s, signed in works.evidence()}
    heads = works.intake.evidence.heads
    chains = zip(heads.seq.tolist(), (link.tobytes() for link in heads.link), heads.latest_s.tolist(), strict=True)
    by_device = dict(zip((device.tobytes() for device in heads.device), chains, strict=True))
    return evidence, works.rows("SELECT device, first_seq, last_seq FROM gap ORDER BY 1, 2"), by_device


@pytest.mark.parametrize("seed", range(4))
def test_streams_when_mangled(make_works, seed: int):
    """Also while pages are merged, days are laid and the process starts again in between."""
    rng = random.Random(seed)
    blocks = stream(rng)
    clean, mangled = make_works(), make_works()
    clean.deliver(*blocks)
    sent = blocks + rng.choices(blocks, k=len(blocks))
    rng.shuffle(sent)
    while sent:
        count = rng.choice([1, 2, 5, 40])
        some, sent = sent[:count], sent[count:]
        assert mangled.deliver(*some) == {}
        if rng.random() < 0.1:
            with mangled.database.transaction() as connection:
                lay(connection, (TIME_S // DAY_S + rng.randint(1, 20)) * DAY_S, blocks_max=rng.choice([1, 50]))
        if rng.random() < 0.05:
            mangled = make_works.reopen(mangled)
    assert books(mangled) == books(clean)
    counted = Counter(dict(mangled.rows("SELECT name, value FROM counter WHERE name LIKE 'blocks.%'")))
    assert counted["blocks.accepted"] == len(blocks)
    assert counted["blocks.duplicate"] == len(blocks)
    assert counted["blocks.conflict"] == 0


@pytest.mark.parametrize("seed", range(3))
def test_second_histories_when_anything_lies_between(make_works, seed: int):
    """A block under a known seq, a chain that forks before or after what is held: found wherever its page is."""
    rng = random.Random(seed)
    works, twin = make_works(), testing.meters()["ana-main"]
    blocks = stream(rng)
    works.deliver(*blocks)
    with works.database.transaction() as connection:
        while lay(connection, (TIME_S // DAY_S + 10) * DAY_S):
            pass
    held = {row[2] for row in works.evidence() if row[1] == twin.id}
    others = [twin.sign(TIME_S + 900 * rng.randint(0, 2000), [(7, 7), (8, 8)]) for _step in range(BLOCKS)]
    refused = works.deliver(*others)
    expected = {seq for seq in range(BLOCKS) if seq in held or seq - 1 in held or seq + 1 in held or seq == 0}
    assert set(refused) >= expected - {0}
    assert {row[2] for row in works.evidence() if row[1] == twin.id} == held | (set(range(BLOCKS)) - set(refused))
    contradicted = works.rows("SELECT evidence_id FROM conflict")
    assert all(identifier is not None for (identifier,) in contradicted)


def test_reading_when_days_are_laid(works):
    """By device and time, by id and by place: the same before and after."""
    blocks = stream(random.Random(1))
    for start in range(0, len(blocks), 7):
        works.intake.take([GatewayStandIn(seq=start).batch(blocks[start : start + 7])])
    devices = [meter.id for meter in works.meters.values()][:2]
    span = (TIME_S + 3 * DAY_S, TIME_S + 12 * DAY_S + 5)

    def look() -> list[object]:
        with works.database.transaction() as connection:
            everything = sorted(store.all_blocks(connection))
            places = {(kept.device, kept.seq): kept.start_s for kept in everything[::9]}
            return [
                *(everything, list(store.blocks(connection, devices, *span))),
                list(store.blocks(connection, devices, *span, id_max=100)),
                *(store.hashes(connection, range(0, 300, 7)), store.find(connection, places, with_blocks=True)),
            ]

    before = look()
    expected = [
        kept for kept in before[0] if kept.device in devices and kept.end_s >= span[0] <= span[1] >= kept.start_s
    ]
    assert before[1] == sorted(expected, key=lambda kept: (kept.device, kept.seq))
    with works.database.transaction() as connection:
        while lay(connection, (TIME_S // DAY_S + 15) * DAY_S, blocks_max=50):
            pass
    assert look() == before
    assert works.rows("SELECT count(*) > 10 FROM evidence_page WHERE day IS NOT NULL") == [(1,)]
