"""Many blocks read as columns are the blocks that are read one by one, and what is not read is left over."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from commonwatt import block, block_columns, cose
from commonwatt.block import Block, Channel
from commonwatt.errors import FormatError
from commonwatt.identity import SigningKey

KEY = SigningKey.from_seed(bytes(32))
SIZES = (0, 1, 23, 24, 255, 256, 65535, 65536, 2**32 - 1)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    """Blocks as devices write them, with numbers at the borders of their spellings; a few beyond what is usual."""
    steps = draw(st.integers(0, 4))
    step_s = draw(st.sampled_from([15, 60, 900]))
    quantities = sorted(draw(st.sets(st.sampled_from([1, 2, 3]), min_size=1)))
    bases = st.sampled_from([*SIZES, 2**32, 2**61 - 1, 2**61, 2**62])
    channels = tuple(
        Channel(q, draw(bases), tuple(draw(st.lists(st.sampled_from(SIZES), min_size=steps, max_size=steps))))
        for q in quantities
    )
    prev = draw(st.binary(min_size=16, max_size=16))
    seq = draw(st.sampled_from([*SIZES, 2**40]))
    return Block(seq, prev, draw(st.sampled_from([0, 1, 2000])) * 900, step_s, draw(st.integers(0, 7)), channels)


def one_by_one(signed: bytes) -> Block | None:
    """What the parsers of one block make of it."""
    try:
        return block.parse(cose.parse1(signed, size_max=block.SIGNED_SIZE_MAX).payload)
    except FormatError:
        return None


def as_columns(signed: list[bytes]) -> tuple[dict[int, Block], list[int]]:
    """The blocks that were read as columns, by row, put together again; and the rows of the others."""
    found, others = block_columns.read(signed)
    read = {}
    for columns in found:
        for at, row in enumerate(columns.row.tolist()):
            channels = tuple(
                Channel(quantity, values[0], tuple(b - a for a, b in pairwise(values)))
                for quantity, values in zip(columns.quantities, columns.energy_wh[at].tolist(), strict=True)
            )
            place = (int(columns.seq[at]), columns.prev[at].tobytes(), int(columns.start_s[at]))
            flags = one_by_one(signed[row]).flags if one_by_one(signed[row]) else -1
            read[row] = Block(*place, int(columns.step_s[at]), flags, channels)
            assert columns.kid[at].tobytes() == cose.parse1(signed[row], size_max=1024).kid
    assert sorted([*read, *others]) == list(range(len(signed)))
    return read, others


@given(st.lists(blocks(), max_size=12))
def test_columns_when_blocks_are_as_devices_write_them(made: list[Block]):
    """Every value as it was signed; only numbers beyond 2^61 are left to be read one by one."""
    read, others = as_columns([each.sign(KEY) for each in made])
    assert read == {row: made[row] for row in read}
    assert all(max(channel.base_wh for channel in made[row].channels) >= 2**61 for row in others)


@given(st.lists(blocks(), min_size=1, max_size=4), st.data())
def test_columns_when_bytes_are_changed(made: list[Block], data: st.DataObject):
    """Flipped, cut out, doubled among good ones: what is read is what the parsers of one block accept, exactly."""
    signed = [each.sign(KEY) for each in made * 2]
    for _change in range(data.draw(st.integers(1, 3))):
        row = data.draw(st.integers(0, len(signed) - 1))
        changed = bytearray(signed[row])
        at = data.draw(st.integers(0, len(changed) - 70))
        match data.draw(st.sampled_from(["flip", "cut", "double"])):
            case "flip":
                changed[at] = data.draw(st.integers(0, 255))
            case "cut":
                del changed[at]
            case _:
                changed.insert(at, changed[at])
        signed[row] = bytes(changed)
    read, _others = as_columns(signed)
    assert read == {row: one_by_one(signed[row]) for row in read}
