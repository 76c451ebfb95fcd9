"""The replay meter and the registry of drivers."""

import meters
from node.clock import UnknownTime

from neutral import HandClock, folder, raises


def _meter(text, clock):
    path = folder() + "/recording"
    with open(path, "w") as file:
        file.write(text)
    return meters.make({"type": "replay", "file": path}, clock)


def test_replay_over_its_rows():
    """The last row at or before now, before the first row the first; also when time goes back."""
    clock = HandClock(0)
    meter = _meter("quantities,1,2\n900,10,0\n1800,11,5\n2700,12,6\n", clock)
    for now_s, expected in [
        (0, (10, 0)),
        (900, (10, 0)),
        (1799, (10, 0)),
        (1800, (11, 5)),
        (9999, (12, 6)),
        (950, (10, 0)),
    ]:
        clock.set_s = now_s
        assert meter.read() == [(1, expected[0]), (2, expected[1])]


def test_replay_when_the_time_is_unknown():
    """A recording cannot be read without the time: the meter does not answer."""
    meter = _meter("quantities,1\n900,10\n", UnknownTime())
    assert raises(OSError, meter.read)


def test_replay_of_a_broken_recording():
    """A file without its head or its rows, or with a row of other columns, is nonsense."""
    clock = HandClock(0)
    for text in ("", "900,10\n", "quantities,1\n", "quantities,1\n900,10,3\n", "quantities,1\nnoon,10\n"):
        assert raises(ValueError, _meter, text, clock), text
