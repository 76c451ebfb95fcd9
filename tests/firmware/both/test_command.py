"""Signed commands and the relay: what is refused, what survives, and what never moves a load."""

from node import cbor, cose
from node.cell import Cell
from node.command import LABELS, Control, scheduled
from node.ed25519 import SigningKey

from blocks import Blocks, PowerCutError
from neutral import vectors

TOLD = vectors("command.json")
KEY = SigningKey(bytes([7]) * 32)
GENESIS = bytes.fromhex(TOLD["genesis"])
DEVICE = bytes.fromhex(TOLD["device"])
MONDAY = 1721001600 - 1721001600 % 86400  # 2024-07-15
HOUR = 3600


def control(blocks, moves=None):
    moves = [] if moves is None else moves
    return Control(Cell(blocks), DEVICE, KEY.public_key, GENESIS, moves.append)


def command(counter, action):
    return cose.sign1(cbor.encode([1, DEVICE, counter, action]), KEY, cose.external_aad("command", GENESIS))


def test_command_of_every_vector():
    """After counter 4 each vector is answered as it says and counted; only what is obeyed moves the relay."""
    for vector in TOLD["commands"]:
        moves = []
        plug = control(Blocks(), moves)
        assert plug.obey(command(4, [1, True])) == 0
        before = len(moves)
        assert plug.obey(bytes.fromhex(vector["signed"])) == vector["answer"], vector["name"]
        if vector["answer"]:
            assert plug.refused == {vector["answer"]: 1}
            assert vector["name"].startswith(LABELS[vector["answer"]])
            assert (plug.counter, plug.is_on, len(moves)) == (4, True, before)
        else:
            assert plug.counter == 5


def test_command_when_the_power_is_cut_at_every_write():
    """The command was obeyed and is remembered, or was not and can be sent again; it is never obeyed twice."""
    for cut in range(0, 129, 4):
        blocks = Blocks()
        plug = control(blocks)
        plug.obey(command(1, [1, True]))
        blocks.restart(0, cut)
        moves = []
        try:
            control(blocks, moves).obey(command(2, [1, False]))
        except PowerCutError:
            pass
        assert moves == [True]  # the relay does not move before the counter is durable
        again = control(blocks.restart())
        assert again.is_on == (again.counter == 1)
        expected = 0 if again.counter == 1 else 6
        assert again.obey(command(2, [1, False])) == expected
        assert (again.counter, again.is_on) == (2, False)


def test_command_when_the_device_restarts():
    """The relay goes where the last command put it, the counter too, so an old command stays old."""
    blocks = Blocks()
    control(blocks).obey(command(9, [1, False]))
    moves = []
    plug = control(blocks, moves)
    assert moves == [False]
    assert plug.obey(command(9, [1, True])) == 6
    assert plug.obey(command(8, [1, True])) == 7


def test_command_when_the_flash_fails():
    """What cannot be remembered is not obeyed."""
    blocks = Blocks()
    moves = []
    plug = control(blocks, moves)
    blocks.broken = True
    assert plug.obey(command(1, [1, False])) == 9
    assert moves == [True]
    plug.toggle()  # a person at the button is obeyed all the same
    assert moves == [True, False]
    assert plug.unwritten == 1


def test_command_when_the_counter_is_lost():
    """No command is obeyed, the load is supplied, and a command of long ago opens nothing."""
    blocks = Blocks(2)
    plug = control(blocks)
    for counter in (1, 2):
        plug.obey(command(counter, [1, False]))
    for block in blocks.data:
        block[7] ^= 1
    moves = []
    plug = control(blocks, moves)
    assert moves == [True]
    assert plug.obey(command(1, [1, False])) == 5
    plug.toggle()
    assert control(blocks).obey(command(3, [1, False])) == 5


def test_schedule_over_a_week():
    """The newest rule counts, also across midnight and over the weekend."""
    rules = ((0b0011111, 6 * 60, True), (0b1111111, 22 * 60, False))
    for day, hour, expected in [
        (0, 5, False),
        (0, 6, True),
        (0, 21, True),
        (0, 22, False),
        (1, 0, False),
        (4, 12, True),
        (5, 12, False),
        (6, 23, False),
        (7, 7, True),
    ]:
        assert scheduled(rules, MONDAY + day * 86400 + hour * HOUR) == expected, (day, hour)
    assert scheduled((), MONDAY) is None
    assert scheduled(((1, 600, True),), MONDAY + 9 * HOUR) is True  # last Monday's


def test_schedule_when_the_time_is_unknown():
    """The relay stays where it was; with the time it follows, through restarts."""
    blocks = Blocks()
    moves = []
    plug = control(blocks, moves)
    plug.obey(command(1, [2, [[127, 360, False]]]))
    plug.tick(None)
    assert plug.is_on
    plug.tick(MONDAY + 7 * HOUR)
    assert moves[-1] is False
    assert control(blocks).is_on is False


def test_button_when_a_schedule_runs():
    """Who presses the button is right until the next command."""
    plug = control(Blocks())
    plug.obey(command(1, [2, [[127, 360, False]]]))
    plug.toggle()
    plug.tick(MONDAY + 7 * HOUR)
    assert plug.is_on is False
    plug.toggle()
    plug.tick(MONDAY + 8 * HOUR)
    assert plug.is_on is True
    assert plug.counter == 1
