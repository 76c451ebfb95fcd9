"""The pattern and the general parser read the same blocks, and refuse the same."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt import block, block_shape, cbor
from commonwatt.block import Block, Channel
from commonwatt.errors import FormatError
from commonwatt.units import INT64_MAX

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "block.json").read_text())

uints = st.one_of(
    st.integers(0, 30), st.integers(0, INT64_MAX), st.sampled_from([23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32])
)


def generally(payload: bytes) -> Block | str:
    try:
        return block.parse_generally(payload)
    except FormatError as error:
        return error.reason


def answer(payload: bytes) -> Block | str:
    try:
        return block.parse(payload)
    except FormatError as error:
        return error.reason


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    steps = draw(st.integers(0, 30))
    step_s = draw(st.sampled_from([1, 15, 60, 300, 900]))
    quantities = sorted(draw(st.sets(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=4)))
    largest = draw(st.sampled_from([0, 1, 255, 256, 65535, 65536, 2**32 - 1]))
    channels = tuple(
        Channel(
            quantity,
            draw(st.integers(0, INT64_MAX - 31 * 2**32)),
            tuple(draw(st.lists(st.integers(0, largest), min_size=steps, max_size=steps))),
        )
        for quantity in quantities
    )
    start_s = draw(st.integers(0, 2**33)) * step_s
    return Block(
        draw(uints), draw(st.binary(min_size=16, max_size=16)), start_s, step_s, draw(st.integers(0, 7)), channels
    )


@given(blocks())
def test_block_when_it_is_one(made: Block):
    """Every block that we can write is read at one glance, as the general parser reads it."""
    payload = made.encode()
    assert block_shape.read(payload) is not None
    assert answer(payload) == generally(payload)


@given(blocks(), st.data())
def test_block_when_bytes_of_it_are_changed(made: Block, data: st.DataObject):
    """Flipped, cut out, doubled: the same block or the same reason from both."""
    payload = bytearray(made.encode())
    for _change in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "double"])):
            case "flip":
                payload[at] = data.draw(st.integers(0, 255))
            case "cut" if len(payload) > 1:
                del payload[at]
            case _:
                payload.insert(at, payload[at])
    assert answer(bytes(payload)) == generally(bytes(payload))


any_uint = st.one_of(uints, st.integers(INT64_MAX, 2**64 - 1))


@given(any_uint, any_uint, any_uint, any_uint, any_uint, st.sampled_from([64, 69, 70]), st.binary(max_size=40))
def test_block_when_its_numbers_are_odd(seq, start_s, step_s, quantity, base_wh, tag, data):
    """The right shape with any numbers in it."""
    import cbor2

    payload = cbor.encode([1, seq, bytes(16), start_s, step_s, 0, [[quantity, base_wh, cbor2.CBORTag(tag, data)]]])
    assert answer(payload) == generally(payload)


@given(blocks())
def test_block_when_a_number_is_spelled_longer(made: Block):
    """Not deterministic, and said so."""
    payload = made.encode()
    longer = payload[:1] + b"\x18\x01" + payload[2:]
    assert block_shape.read(longer) is None
    assert answer(longer) == "not-canonical"


@pytest.mark.parametrize("case", VECTORS["accepted"], ids=lambda case: case.get("name", ""))
def test_vector_when_valid(case: dict[str, str]):
    """The published vectors go the short way."""
    payload = bytes.fromhex(case["payload"])
    assert block_shape.read(payload) is not None
    assert block.parse(payload) == generally(payload)
