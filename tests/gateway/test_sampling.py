"""Readings become signed blocks: no reading twice, none lost, no energy invented."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commonwatt.block import FIRST_LINK, Block, link
from commonwatt.errors import StorageError
from commonwatt.identity import SigningKey
from commonwatt.registry import DeviceRecord, Status, Verified, verify
from gateway.database import Database
from gateway.meters.chains import ChainStore
from gateway.meters.plausible import Limits
from gateway.meters.sampler import Sampler
from gateway.meters.sampling import Reading, is_over, step_of
from gateway.spool import NewBlock

DEVICE, KEY = bytes(16), SigningKey.from_seed(bytes(32))
T0, STEP_S = 1_721_606_400, 900
LIMITS = Limits(power_max_w=36_000, resolution_wh=1, rollover_wh=1 << 32)


def reading(step: int, export_wh: int, import_wh: int = 7) -> Reading:
    return Reading(DEVICE, T0 + step * STEP_S, ((1, import_wh), (2, export_wh)))


def content(new: NewBlock) -> Block:
    verdict = verify(new.signed, DEVICE, {DEVICE: DeviceRecord(DEVICE, KEY.public_key, Status.ACTIVE, 9000)})
    assert isinstance(verdict, Verified)
    return verdict.block


def sampler(database: Database, key: SigningKey = KEY) -> Sampler:
    store = ChainStore(database)
    return Sampler(device=DEVICE, key=key, store=store, step_s=STEP_S, block_readings=4, limits=LIMITS)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "spool.db") as database:
        yield database


@pytest.mark.parametrize(
    ("before_s", "after_s", "step"),
    [
        (T0, T0, T0),
        (T0 + 899.0, T0 + 899.9, T0),
        (T0 - 0.1, T0, None),
        (T0 + 899.9, T0 + 900.0, None),
        (T0 + 10, T0 + 5, None),
    ],
)
def test_step_when_a_request_takes_time(before_s: float, after_s: float, step: int | None) -> None:
    """A reading belongs to the step in which the clock stood before and after it, and to no other."""
    assert step_of(before_s, after_s, step_s=STEP_S, late_s_max=STEP_S) == step


def test_step_when_a_reading_is_late() -> None:
    """A reading later in its step than allowed is not taken: its date would be wrong."""
    assert step_of(T0 + 59, T0 + 60, step_s=STEP_S, late_s_max=60) == T0
    assert step_of(T0 + 59, T0 + 60.1, step_s=STEP_S, late_s_max=60) is None


def test_sampler_when_readings_follow_each_other(database: Database) -> None:
    """Four readings make a block, and the next block names it."""
    own = sampler(database)
    taken = [own.take(reading(step, 1000 + 10 * step)) for step in range(8)]
    assert [len(blocks) for blocks in taken] == [0, 0, 0, 1, 0, 0, 0, 1]
    first, second = content(taken[3][0]), content(taken[7][0])
    assert list(first.readings()) == [(T0 + step * STEP_S, (7, 1000 + 10 * step)) for step in range(4)]
    assert (first.seq, first.prev) == (0, FIRST_LINK)
    assert (second.seq, second.prev, second.start_s) == (1, link(taken[3][0].signed), T0 + 4 * STEP_S)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(reading(2, 1000), id="a-step-was-missed"),
        pytest.param(reading(-3, 1000), id="the-clock-was-set-back"),
    ],
)
def test_sampler_when_a_reading_does_not_continue(database: Database, second: Reading) -> None:
    """The block ends, and what was read opens the next one as it was read: nothing is invented or smoothed."""
    own = sampler(database)
    own.take(reading(0, 1000))
    (closed,) = own.take(second)
    assert list(content(closed).readings()) == [(T0, (7, 1000))]
    (following,) = own.close_if_over(second.time_s + 2 * STEP_S)
    registers_wh = tuple(register_wh for _, register_wh in second.registers_wh)
    assert list(content(following).readings()) == [(second.time_s, registers_wh)]


SWAPPED = int.from_bytes((1010).to_bytes(4, "big")[2:] + bytes(2), "big")
DOUBTED = [
    pytest.param(lambda step: reading(step, SWAPPED), "jump", id="words-in-the-wrong-order"),
    pytest.param(lambda step: reading(step, 1000 + 2**33), "jump", id="leapt-beyond-32-bits"),
    pytest.param(lambda step: reading(step, 3 + step), "backwards", id="reset"),
    pytest.param(lambda step: reading(step, 499 + step), "backwards", id="another-meter"),
    pytest.param(lambda step: Reading(DEVICE, T0 + step * STEP_S, ((1, 7),)), "other-registers", id="one-gone"),
]


@pytest.mark.parametrize(("doubted", "label"), DOUBTED)
def test_sampler_when_a_single_reading_cannot_be(
    database: Database, doubted: Callable[[int], Reading], label: str
) -> None:
    """It is counted and not written down; the meter's own readings go on, and nothing became energy."""
    own = sampler(database)
    own.take(reading(0, 1000))
    assert own.take(doubted(1)) == []
    assert (own.doubts, own.doubted_because) == (Counter({label: 1}), label)
    (closed,) = own.take(reading(2, 1020))
    assert own.doubted_because is None
    (following,) = own.close_if_over(T0 + 9 * STEP_S)
    assert list(content(closed).readings()) == [(T0, (7, 1000))]
    assert list(content(following).readings()) == [(T0 + 2 * STEP_S, (7, 1020))]


@pytest.mark.parametrize(("doubted", "label"), DOUBTED)
def test_sampler_when_doubted_readings_follow_each_other(
    database: Database, doubted: Callable[[int], Reading], label: str
) -> None:
    """A meter that was exchanged or reset goes on in a block of its own: what lies between is nobody's energy."""
    own = sampler(database)
    own.take(reading(0, 1000))
    assert own.take(doubted(1)) == []
    (closed,) = own.take(doubted(2))
    assert own.take(doubted(3)) == []
    assert own.doubts == Counter({label: 2, "replaced": 1})
    (following,) = own.close_if_over(T0 + 9 * STEP_S)
    assert list(content(closed).readings()) == [(T0, (7, 1000))]
    assert [time_s for time_s, _ in content(following).readings()] == [T0 + 2 * STEP_S, T0 + 3 * STEP_S]
    growth_wh = [sum(channel.increments_wh) for channel in content(following).channels]
    assert max(growth_wh) <= 1


def test_sampler_when_a_register_rolls_over(database: Database) -> None:
    """A 32-bit register that begins again is told apart from a reset; its turn is not made up."""
    own = sampler(database)
    own.take(reading(0, 2**32 - 50))
    assert own.take(reading(1, 50)) == []
    assert own.doubts == Counter({"roll-over": 1})
    (closed,) = own.take(reading(2, 150))
    (following,) = own.close_if_over(T0 + 9 * STEP_S)
    assert list(content(closed).readings()) == [(T0, (7, 2**32 - 50))]
    assert list(content(following).readings()) == [(T0 + 2 * STEP_S, (7, 150))]


def test_sampler_when_the_gateway_restarts_before_a_doubtful_reading(tmp_path: Path) -> None:
    """What the last block ended with is remembered: the first reading after a restart is judged like any other."""
    path = tmp_path / "spool.db"
    with Database(path) as database, database.transaction():
        own = sampler(database)
        for step in range(4):
            own.take(reading(step, 1000 + step))
    with Database(path) as database, database.transaction():
        own = sampler(database)
        assert own.take(reading(4, 2**30)) == []
        assert own.doubts == Counter({"jump": 1})


@pytest.mark.parametrize("hours", [-5, 5])
def test_sampler_when_the_clock_jumps(database: Database, hours: int) -> None:
    """Readings keep the dates they were taken under, in a new block; each step is taken once, forwards or back."""
    own = sampler(database)
    own.take(reading(0, 1000))
    jumped = 4 * hours
    (closed,) = own.take(reading(jumped, 1010))
    assert own.take(reading(jumped, 1011)) == []
    assert own.take(reading(jumped + 1, 1020)) == []
    (following,) = own.close()
    assert [time_s for time_s, _ in content(closed).readings()] == [T0]
    assert list(content(following).readings()) == [
        (T0 + jumped * STEP_S, (7, 1010)), (T0 + (jumped + 1) * STEP_S, (7, 1020)),
    ]  # fmt: skip
    assert own.doubts == Counter()


def test_sampler_when_the_meter_falls_silent(database: Database) -> None:
    """Readings taken do not wait for a meter that is gone: the block ends when the next step has passed."""
    own = sampler(database)
    own.take(reading(0, 1000))
    assert own.close_if_over(T0 + 2 * STEP_S - 1) == []
    assert len(own.close_if_over(T0 + 2 * STEP_S)) == 1
    assert own.close_if_over(T0 + 9 * STEP_S) == []


def test_is_over_when_the_clock_was_set_back() -> None:
    """A reading from the future does not hold the block open for years."""
    assert is_over(reading(100, 0), T0, step_s=STEP_S)


def test_sampler_when_the_gateway_restarts(tmp_path: Path) -> None:
    """Pending readings, the chain and the last step are on the disk: nothing is read twice, numbers go on."""
    path = tmp_path / "spool.db"
    for step in range(6):
        with Database(path) as database, database.transaction():
            own = sampler(database)
            blocks = own.take(reading(step, 1000 + step))
            assert own.take(reading(step, 1000 + step)) == [], "the second reading of a step is dropped"
            if step == 3:
                first = blocks[0]
    with Database(path) as database, database.transaction():
        (second,) = sampler(database).close_if_over(T0 + 99 * STEP_S)
    assert [time_s for time_s, _ in content(first).readings()] == [T0 + step * STEP_S for step in range(4)]
    assert content(second).prev == link(first.signed)
    assert [time_s for time_s, _ in content(second).readings()] == [T0 + step * STEP_S for step in (4, 5)]


def test_sampler_when_the_transaction_fails(tmp_path: Path) -> None:
    """A reading, its block and the chain's next link become durable together or not at all."""
    path = tmp_path / "spool.db"
    with Database(path) as database:
        own = sampler(database)
        with pytest.raises(StorageError):
            _take_and_fail(database, own)
    with Database(path) as database:
        store = ChainStore(database)
        assert store.pending(DEVICE) == []
        assert store.chain(DEVICE, KEY.public_key).seq == 0


def _take_and_fail(database: Database, own: Sampler) -> None:
    with database.transaction():
        for step in range(4):
            own.take(reading(step, 1000))
        database.execute("no such statement")


def test_sampler_when_the_key_is_new(database: Database) -> None:
    """A new key is a new sequence."""
    own = sampler(database)
    for step in range(4):
        own.take(reading(step, 1000))
    other = SigningKey.generate()
    renewed = sampler(database, other)
    for step in range(4, 7):
        renewed.take(reading(step, 1000))
    (block,) = renewed.take(reading(7, 1000))
    assert block.seq == 0
