"""Deterministic CBOR against the shared vectors."""

from node import cbor

from neutral import raises, vectors


def _value(spelled):
    """The value that the vector file's JSON stands for."""
    if isinstance(spelled, list):
        return [_value(item) for item in spelled]
    if isinstance(spelled, dict):
        if "bytes" in spelled:
            return bytes.fromhex(spelled["bytes"])
        if "map" in spelled:
            return {_value(key): _value(item) for key, item in spelled["map"]}
        return cbor.Tag(spelled["tag"][0], _value(spelled["tag"][1]))
    return spelled


def test_encode_of_every_accepted_vector():
    """A value has the bytes that the vectors say, whatever order a dict keeps."""
    for vector in vectors("cbor.json")["accepted"]:
        assert cbor.encode(_value(vector["value"])).hex() == vector["hex"], vector["name"]


def test_decode_of_every_accepted_vector():
    """The bytes give the value back."""
    for vector in vectors("cbor.json")["accepted"]:
        assert cbor.decode(bytes.fromhex(vector["hex"])) == _value(vector["value"]), vector["name"]


def test_decode_of_every_refused_vector():
    """Any other spelling is refused."""
    for vector in vectors("cbor.json")["refused"]:
        assert raises(ValueError, cbor.decode, bytes.fromhex(vector["hex"])), vector["name"]


def test_decode_when_cut_anywhere():
    """No beginning of a message is a message."""
    data = cbor.encode([1, 300, b"abc", {"k": [None, True]}, cbor.Tag(64, b"\x01")])
    for size in range(len(data)):
        assert raises(ValueError, cbor.decode, data[:size])


def test_decode_when_a_length_promises_more_than_memory():
    """A length beyond the message is refused before anything is allocated."""
    for data in ("9bffffffffffffffff", "5b7fffffffffffffff", "bb7fffffffffffffff", "a18000"):
        assert raises(ValueError, cbor.decode, bytes.fromhex(data)), data


def test_encode_of_what_has_no_encoding():
    """Floats and integers beyond 64 bits are our own mistakes."""
    assert raises(TypeError, cbor.encode, 1.5)
    assert raises(TypeError, cbor.encode, 1 << 64)
