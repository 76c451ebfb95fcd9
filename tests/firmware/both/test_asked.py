"""What the operator asks for: what is not believed, which window counts, and when a relay follows."""

from node.asked import Asked
from node.cell import Cell
from node.command import Control

from blocks import Blocks
from neutral import vectors
from test_command import DEVICE, GENESIS, HOUR, KEY, MONDAY, command

TOLD = vectors("asked.json")
START_S = TOLD["start_s"]


def asked(moves_relay=True):
    return Asked(bytes.fromhex(TOLD["public_key"]), bytes.fromhex(TOLD["genesis"]), moves_relay)


def signed(name):
    (vector,) = [row for row in TOLD["asked"] if row["name"] == name]
    return bytes.fromhex(vector["signed"])


def test_asked_of_every_vector():
    """After two windows of a log of 12 each vector is answered as it says; what is refused is counted alone."""
    for vector in TOLD["asked"]:
        mine = asked()
        assert mine.take(signed("two-windows")) == 0
        before = mine.asks
        assert mine.take(bytes.fromhex(vector["signed"])) == vector["answer"], vector["name"]
        if vector["answer"]:
            assert mine.refused == {vector["answer"]: 1}
            assert mine.asks == before
    assert before == ((START_S, START_S + 7200, True), (START_S + 7200, START_S + 9000, False))


def test_asked_when_it_is_told_again():
    """The same bytes are known; a newer message may say that nothing is asked, and then the older is too old."""
    mine = asked()
    for name, answer in (("two-windows", 0), ("two-windows", 0), ("nothing-any-more", 0), ("two-windows", 4)):
        assert mine.take(signed(name)) == answer
    assert mine.asks == ()


def test_window_that_counts():
    """From its first second to before its last; none while the time is unknown; a peak before a surplus."""
    mine = asked()
    mine.take(signed("two-windows"))
    peak, surplus = mine.asks
    for at_s, expected in [
        (None, None),
        (START_S - 1, None),
        (START_S, peak),
        (START_S + 7199, peak),
        (START_S + 7200, surplus),
        (START_S + 9000, None),
    ]:
        assert mine.now(at_s) == expected
    mine.asks = ((0, 10, False), (2, 8, True), (3, 9, True))
    assert [mine.now(at_s) for at_s in (1, 2, 5, 8, 9)] == [
        (0, 10, False),
        (2, 8, True),
        (2, 8, True),
        (3, 9, True),
        (0, 10, False),
    ]


def test_state_that_is_told():
    """What is asked now, else what comes next; nothing when all is over or the time is unknown."""
    mine = asked()
    mine.take(signed("two-windows"))
    mine.take(b"x")
    assert mine.state(START_S - 1) == {
        "asked": "",
        "asked_next": [START_S, START_S + 7200, "peak"],
        "asked_refused": {"2": 1},
    }
    assert mine.state(START_S + 7200)["asked"] == "surplus"
    assert mine.state(START_S + 9000)["asked_next"] is None
    assert mine.state(None) == {"asked": "", "asked_next": None, "asked_refused": {"2": 1}}


def control(moves, blocks=None):
    return Control(Cell(blocks or Blocks()), DEVICE, KEY.public_key, GENESIS, moves.append)


PEAK, SURPLUS = (MONDAY + 20 * HOUR, False), (MONDAY + 22 * HOUR, True)


def test_relay_in_a_peak_and_a_surplus():
    """Off in the one, on in the other, then where it was; nothing is written, and a restart knows nothing of it."""
    moves, blocks = [], Blocks()
    plug = control(moves, blocks)
    plug.obey(command(1, [1, True]))
    written = bytes(blocks.data[0]) + bytes(blocks.data[1])
    for asked_for in (None, PEAK, PEAK, SURPLUS, None):
        plug.follow(asked_for)
    assert moves == [True, True, False, True]
    plug.follow(PEAK)
    assert (plug.stands, plug.is_on) == (False, True)
    assert bytes(blocks.data[0]) + bytes(blocks.data[1]) == written
    assert control([], blocks).stands is True


def test_relay_when_a_person_wants_it_otherwise():
    """The button wins until the window ends; the next window counts again."""
    moves = []
    plug = control(moves)
    plug.follow(PEAK)
    plug.toggle()
    assert (plug.stands, plug.is_on) == (True, True)
    plug.follow(PEAK)
    assert plug.stands is True
    plug.follow(None)
    plug.follow((PEAK[0] + HOUR, False))
    assert plug.stands is False


def test_relay_when_a_command_comes_in_a_window():
    """A relay command wins until the window ends; a schedule does not, and counts afterwards."""
    plug = control([])
    plug.follow(PEAK)
    assert plug.obey(command(1, [2, [[127, 19 * 60, True], [127, 21 * 60, False]]])) == 0
    plug.tick(MONDAY + 19 * HOUR)
    assert (plug.stands, plug.is_on) == (False, True)
    plug.follow(SURPLUS)
    plug.tick(MONDAY + 21 * HOUR)
    assert (plug.stands, plug.is_on) == (True, False)
    plug.follow(None)
    assert plug.stands is False
    plug.follow(PEAK)
    assert plug.obey(command(2, [1, True])) == 0
    plug.follow(PEAK)
    assert plug.stands is True
