"""The formats against the shared vectors, and against what nobody thought of."""

import json
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt import block, cbor, cose
from commonwatt.asked import Ask, Asked, Requests, current, ordered
from commonwatt.block import Block, Channel
from commonwatt.errors import FormatError
from commonwatt.identity import SigningKey
from commonwatt.registry import REFUSAL_BY_REASON, Snapshot
from commonwatt.transport import Ack, Batch, Receipt
from tests.vectors.make_vectors import all_vectors

VECTORS = Path(__file__).parents[1] / "vectors"
KEY = SigningKey.from_seed(bytes(range(32)))


def load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def cases(name: str, group: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in load(name)[group]]


def value_of(written: Any) -> Any:
    if isinstance(written, dict):
        if "bytes" in written:
            return bytes.fromhex(written["bytes"])
        if "tag" in written:
            return cbor2.CBORTag(written["tag"][0], value_of(written["tag"][1]))
        return {value_of(key): value_of(item) for key, item in written["map"]}
    if isinstance(written, list):
        return [value_of(item) for item in written]
    return written


def test_vectors_when_the_encoder_is_unchanged() -> None:
    """The committed vectors are what the script writes."""
    for name, text in all_vectors().items():
        assert (VECTORS / name).read_text() == text, f"{name} is stale: python tests/vectors/make_vectors.py"


@pytest.mark.parametrize("case", cases("cbor", "accepted"))
def test_cbor_when_a_value_is_written(case: Any) -> None:
    """Every value has one spelling, written and read."""
    data = bytes.fromhex(case["hex"])
    assert cbor.encode(value_of(case["value"])) == data
    assert cbor.decode(data, size_max=1024) == value_of(case["value"])


@pytest.mark.parametrize("case", cases("cbor", "refused"))
def test_cbor_when_the_spelling_is_another(case: Any) -> None:
    """Any other spelling is refused with its own reason."""
    with pytest.raises(FormatError) as caught:
        cbor.decode(bytes.fromhex(case["hex"]), size_max=1024)
    assert caught.value.reason == case["reason"]


@pytest.mark.parametrize("case", cases("cose", "accepted"))
def test_cose_when_a_message_is_signed(case: Any) -> None:
    """Signing is deterministic, and the message verifies for its purpose only."""
    aad = cose.external_aad(case["kind"], bytes.fromhex(case["genesis"]))
    signed = bytes.fromhex(case["signed"])
    assert cose.sign1(bytes.fromhex(case["payload"]), KEY, aad) == signed
    message = cose.parse1(signed, size_max=1024)
    assert message.payload.hex() == case["payload"]
    assert message.is_signed_by(KEY.public_key, aad)
    assert not message.is_signed_by(KEY.public_key, cose.external_aad("transfer", bytes(32)))


@pytest.mark.parametrize("case", cases("cose", "refused"))
def test_cose_when_a_message_is_not_ours(case: Any) -> None:
    """A message in another shape is refused; one in our shape with a wrong signature does not verify."""
    signed = bytes.fromhex(case["signed"])
    if case["reason"] == "bad-signature":
        assert not cose.parse1(signed, size_max=1024).is_signed_by(KEY.public_key, cose.external_aad("block"))
        return
    with pytest.raises(FormatError) as caught:
        cose.parse1(signed, size_max=1024)
    assert caught.value.reason == case["reason"]


@pytest.mark.parametrize("case", cases("block", "accepted"))
def test_block_when_it_is_read_back(case: Any) -> None:
    """A block is read as it was written, and its link names it as signed."""
    parsed = block.parse(bytes.fromhex(case["payload"]))
    channels = tuple(Channel(quantity, base, tuple(steps)) for quantity, base, steps in case["channels"])
    prev = bytes.fromhex(case["prev"])
    assert parsed == Block(case["seq"], prev, case["start_s"], case["step_s"], case["flags"], channels)
    assert parsed.sign(KEY).hex() == case["signed"]
    assert block.link(bytes.fromhex(case["signed"])).hex() == case["link"]


@pytest.mark.parametrize("case", cases("block", "refused"))
def test_block_when_the_specification_forbids_it(case: Any) -> None:
    """Each thing that the specification forbids is refused."""
    with pytest.raises(FormatError) as caught:
        block.parse(bytes.fromhex(case["payload"]))
    assert caught.value.reason == case["reason"]


READERS = {"batch": Batch, "receipt": Receipt, "ack": Ack, "registry": Snapshot, "asked": Asked, "requests": Requests}


@pytest.mark.parametrize("case", cases("transport", "accepted"))
def test_transport_when_a_message_is_read_back(case: Any) -> None:
    """Reading and writing a message gives the same bytes."""
    reader = READERS[case["name"].partition("-")[0]]
    payload = bytes.fromhex(case["payload"])
    assert reader.parse(payload).encode() == payload


@pytest.mark.parametrize("case", cases("transport", "refused"))
def test_transport_when_a_message_is_malformed(case: Any) -> None:
    """What the specification forbids is refused."""
    reader = READERS[case["name"].partition("-")[0]]
    with pytest.raises(FormatError) as caught:
        reader.parse(bytes.fromhex(case["payload"]))
    assert caught.value.reason == case["reason"]


PEAK, SURPLUS = Ask(0, 3600, is_peak=True), Ask(1800, 7200, is_peak=False)


def test_asks_when_two_are_at_once() -> None:
    """The peak counts; a second after its end the other one does."""
    assert [current((PEAK, SURPLUS), at_s) for at_s in (-1, 0, 1800, 3599, 3600, 7200)] == [
        *(None, PEAK, PEAK, PEAK, SURPLUS, None)
    ]
    assert ordered([SURPLUS, PEAK, Ask(0, 3600, is_peak=False), PEAK]) == (PEAK, Ask(0, 3600, is_peak=False), SURPLUS)


channels_of = st.integers(0, 15).flatmap(
    lambda steps: st.lists(
        st.builds(
            Channel,
            st.integers(1, 3),
            st.integers(0, 2**62),
            st.lists(st.integers(0, 2**32 - 1), min_size=steps, max_size=steps).map(tuple),
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda channel: channel.quantity,
    ).map(lambda found: tuple(sorted(found, key=lambda channel: channel.quantity)))
)


@given(st.integers(0, 2**63 - 1), st.binary(min_size=16, max_size=16), st.integers(0, 10**7), channels_of)
def test_block_when_any_block_makes_the_round_trip(
    seq: int, prev: bytes, slot: int, channels: tuple[Channel, ...]
) -> None:
    """Any block is read back equal, and its readings end at the sum of its increments."""
    made = Block(seq, prev, slot * 60, 60, 0, channels)
    assert block.parse(made.encode()) == made
    last_s, registers_wh = list(made.readings())[-1]
    assert last_s == made.end_s
    assert registers_wh == tuple(c.base_wh + sum(c.increments_wh) for c in channels)


@given(st.binary(max_size=200))
def test_parsers_when_given_any_bytes(data: bytes) -> None:
    """No bytes make a parser raise anything but FormatError."""
    for parse in (block.parse, *(reader.parse for reader in READERS.values()), cose.parse1):
        try:
            parse(data, size_max=1024) if parse is cose.parse1 else parse(data)  # type: ignore[call-arg]
        except FormatError as error:
            assert error.reason in REFUSAL_BY_REASON  # noqa: PT017 (most bytes do not raise at all)


@given(st.data())
def test_signed_block_when_one_bit_flips(data: st.DataObject) -> None:
    """A signed block with one flipped bit never verifies."""
    signed = bytearray(Block(3, bytes(16), 900, 900, 0, (Channel(1, 9, (1, 2)),)).sign(KEY))
    position = data.draw(st.integers(0, len(signed) * 8 - 1))
    signed[position // 8] ^= 1 << position % 8
    try:
        message = cose.parse1(bytes(signed), size_max=1024)
    except FormatError:
        return
    assert not message.is_signed_by(KEY.public_key, block.AAD)


@pytest.mark.parametrize(
    ("parse", "value"),
    [
        (Ack.parse, [1, 3, bytes(32), False]),
        (Receipt.parse, [1, 3, bytes(32), {0: True}]),
        (Snapshot.parse, [True, 9, []]),
        (Snapshot.parse, [1, 9, {}]),
        (Snapshot.parse, {1: 0, 9: 0, 3: 0}),
        (Snapshot.parse, [1, 9, [[bytes(16), bytes(32), True, 5]]]),
        (Snapshot.parse, [1, 9, [{bytes(16): 0, bytes(32): 0, 1: 0, 5: 0}]]),
    ],
)
def test_message_when_another_type_counts_as_the_same_in_python(parse: Any, value: Any) -> None:
    """False is no 0 and a map of keys no array: a message has one spelling only. Fuzzing found these."""
    with pytest.raises(FormatError):
        parse(cbor.encode(value))
