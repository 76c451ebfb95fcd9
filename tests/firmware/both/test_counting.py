"""Pulses to watt-hours: wraps and resets told apart, remainders carried, registers that survive."""

from meters.counting import ChipCounter, Register, gain

from neutral import raises, seeded
from wires import MemoryStore

HOUR_MS = 3600000


def test_growth_when_the_counter_goes_over_the_top():
    """Time allows the few pulses beyond the top: a wrap, counted in full."""
    counter = ChipCounter(16, 36000)
    counter.start(65530, 0)
    assert counter.growth(4, 1000) == 10
    assert (counter.wraps, counter.resets) == (1, 0)


def test_growth_when_the_chip_was_reset():
    """A 24-bit counter that falls to nearly nothing was reset: no 5077 kWh (esphome#15280), only what it has."""
    counter = ChipCounter(24, 36000)
    counter.start(1000000, 0)
    assert counter.growth(3, 1000) == 0
    assert counter.growth(5, 2000) == 5
    assert (counter.wraps, counter.resets) == (0, 1)


def test_growth_when_one_frame_is_damaged():
    """A damaged count that passed its checksum has no follower: the old count goes on, nothing is lost."""
    for damaged in (9000000, 12):
        counter = ChipCounter(24, 36000)
        counter.start(5000, 0)
        assert counter.growth(damaged, 1000) == 0
        assert counter.growth(5008, 2000) == 8
        assert (counter.suspects, counter.jumps, counter.resets) == (1, 0, 0)


def test_growth_when_the_counter_jumps_ahead():
    """More than any load makes, and it goes on from there: nothing is credited, and it is told."""
    counter = ChipCounter(24, 36000)
    counter.start(5000, 0)
    assert [counter.growth(count, 1000 * at) for at, count in enumerate((900000, 900002, 900005), 1)] == [0, 0, 3]
    assert counter.jumps == 1


def test_growth_after_our_own_restart():
    """A chip that went on gives what we missed; one that was reset gives what it has."""
    assert _resumed(1000, (1500, 1501)) == 501
    assert _resumed(1000, (20, 21)) == 21
    assert _resumed(None, (700, 701, 703)) == 2


def _resumed(last, counts):
    counter = ChipCounter(24, 36000, last)
    return sum([counter.growth(count, 1000 * at) for at, count in enumerate(counts)])


def test_growth_never_exceeds_what_time_allows():
    """Random counts, seeded: no noise makes more energy than the rating can carry."""
    chance = seeded(31)
    for bits in (16, 24):
        counter = ChipCounter(bits, 36000)
        counter.start(0, 0)
        credited = sum([counter.growth(chance.randrange(1 << bits), 1000 * at) for at in range(1, 2000)])
        assert 0 <= credited <= 10 * 2000 + 30 * 2000


def test_register_of_thirds():
    """Three pulses of a third of a watt-hour are one watt-hour, however they come and whenever the power goes."""
    store = MemoryStore()
    for pulse in range(1, 3001):
        register = Register(store, 3)
        register.add(1, 1, pulse)
        assert register.read() == pulse // 3
        assert Register(store, 3).count == pulse


def test_register_beyond_what_floats_count():
    """A pulse of 1.5 mWh still counts at 100 MWh."""
    store = MemoryStore()
    register = Register(store, 3600000000)
    register.add(100000000 * 2000 // 3, 5400000)
    before_wh = register.read()
    register.add(2000, 5400000)
    assert register.read() == before_wh + 3


def test_register_when_it_cannot_be_saved():
    """What is not durable is not given out; what nobody saw may be lost."""
    store = MemoryStore()
    register = Register(store, 1)
    register.add(5, 1)
    assert register.read() == 5
    register.add(5, 1)
    store.fails = True
    assert raises(OSError, register.read)
    assert Register(store, 1).wh == 5
    store.fails = False
    assert register.read() == 10


def test_register_between_readings():
    """Saved every ten watt-hours, so a power cut costs less than ten; a flash that fails is counted."""
    store = MemoryStore()
    register = Register(store, 2)
    for half in range(1, 1001):
        register.add(1, 1)
        register.keep(10)
        assert half // 2 - 10 < Register(store, 2).wh <= half // 2
    assert store.saves == 50
    store.fails = True
    register.add(20, 1)
    register.keep(10)
    assert register.unsaved == 1


def test_register_when_nothing_was_counted():
    """An idle plug does not wear its flash."""
    store = MemoryStore()
    register = Register(store, 7)
    for _ in range(100):
        register.read()
    assert store.saves == 1


def test_register_after_a_calibration():
    """Another denominator: the watt-hours stay, the remainder is carried over as near as can be."""
    store = MemoryStore()
    register = Register(store, 10)
    register.add(15, 1)
    register.read()
    calibrated = Register(store, 1000)
    assert calibrated.wh == 1
    calibrated.add(500, 1)
    assert calibrated.read() == 2


def test_gain_outside_its_limits():
    """A gain of a quarter more or a fifth less is a mistake, not a calibration."""
    assert gain({}, "energy") == (1, 1)
    assert gain({"gains": {"energy": [5, 4]}}, "energy") == (5, 4)
    for fraction in ([126, 100], [79, 100], [1, 0], [-1, -1], [0, 1]):
        assert raises(ValueError, gain, {"gains": {"energy": fraction}}, "energy"), fraction
