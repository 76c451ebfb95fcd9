"""COSE_Sign1 and blocks against the shared vectors, and the rules that end a block."""

from node import block, cbor, cose
from node.ed25519 import SigningKey, verify

from neutral import raises, seeded, vectors


def _samples(start_s, step_s, channels):
    """Samples from a vector's [[quantity, base_wh, [increments]], ...]."""
    samples = []
    for place in range(len(channels[0][2]) + 1):
        registers = [(quantity, base + sum(growth[:place])) for quantity, base, growth in channels]
        samples.append((start_s + place * step_s, tuple(registers)))
    return samples


def test_block_of_every_accepted_vector():
    """The payload, the signed bytes and the link to the next block are the vectors', byte for byte."""
    shared = vectors("block.json")
    key = SigningKey(bytes.fromhex(shared["seed"]))
    for vector in shared["accepted"]:
        samples = _samples(vector["start_s"], vector["step_s"], vector["channels"])
        prev = bytes.fromhex(vector["prev"])
        payload = block.payload(vector["seq"], prev, vector["step_s"], vector["flags"], samples)
        assert payload.hex() == vector["payload"], vector["name"]
        assert cose.sign1(payload, key, block.AAD).hex() == vector["signed"], vector["name"]


def test_cose_of_every_accepted_vector():
    """Signed messages are the vectors', and parse back into their parts."""
    shared = vectors("cose.json")
    key = SigningKey(bytes.fromhex(shared["seed"]))
    assert key.public_key.hex() == shared["public_key"]
    for vector in shared["accepted"]:
        aad = cose.external_aad(vector["kind"], bytes.fromhex(vector["genesis"]))
        payload = bytes.fromhex(vector["payload"])
        signed = cose.sign1(payload, key, aad)
        assert signed.hex() == vector["signed"], vector["name"]
        assert cose.parse1(signed) == (cose.key_hint(key.public_key), payload, signed[-64:])
        assert verify(key.public_key, cose.to_be_signed(payload, aad), signed[-64:])


def test_cose_of_every_refused_vector():
    """What is not our shape does not parse; what parses and was not signed so does not verify."""
    shared = vectors("cose.json")
    public_key = bytes.fromhex(shared["public_key"])
    for vector in shared["refused"]:
        signed = bytes.fromhex(vector["signed"])
        if vector["reason"] != "bad-signature":
            assert raises(ValueError, cose.parse1, signed), vector["name"]
            continue
        _kid, payload, signature = cose.parse1(signed)
        assert not verify(public_key, cose.to_be_signed(payload, block.AAD), signature), vector["name"]


def test_follows_when_a_rule_is_broken():
    """A gap, a step back in time, a register backwards, other quantities and too much growth each end a block."""
    last = (900, ((1, 100), (2, 5)))
    assert block.follows(last, (1800, ((1, 100), (2, 5))), 900)
    assert block.follows(last, (1800, ((1, 100 + 2**32 - 1), (2, 6))), 900)
    assert not block.follows(last, (2700, ((1, 101), (2, 5))), 900)
    assert not block.follows(last, (900, ((1, 101), (2, 5))), 900)
    assert not block.follows(last, (0, ((1, 101), (2, 5))), 900)
    assert not block.follows(last, (1800, ((1, 99), (2, 5))), 900)
    assert not block.follows(last, (1800, ((1, 101), (3, 5))), 900)
    assert not block.follows(last, (1800, ((1, 101),)), 900)
    assert not block.follows(last, (1800, ((1, 100 + 2**32), (2, 5))), 900)


def test_is_sample_when_it_has_no_place_in_a_block():
    """Times off the step, no, too many or disordered registers, and numbers out of range are no sample."""
    assert block.is_sample((1800, ((1, 0),)), 900)
    assert block.is_sample((1800, tuple([(quantity, 2**63 - 1) for quantity in range(8)])), 900)
    assert not block.is_sample((1801, ((1, 0),)), 900)
    assert not block.is_sample((1800, ()), 900)
    assert not block.is_sample((1800, tuple([(quantity, 0) for quantity in range(9)])), 900)
    assert not block.is_sample((1800, ((2, 0), (1, 0))), 900)
    assert not block.is_sample((1800, ((1, 0), (1, 0))), 900)
    assert not block.is_sample((1800, ((256, 0),)), 900)
    assert not block.is_sample((1800, ((1, 2**63),)), 900)
    assert not block.is_sample((1800, ((1, -1),)), 900)


def test_payload_of_random_samples_reads_back():
    """Whatever the registers do, the block gives them back, in the narrowest arrays that fit."""
    random = seeded(20240715)
    for _ in range(60):
        channels = []
        growth_max = [1, 255, 256, 65535, 65536, 2**32 - 1][random.randrange(6)]
        length = random.randrange(9)
        for quantity in range(1, random.randrange(2, 9)):
            growth = [min(random.getrandbits(32), growth_max) for _ in range(length)]
            channels.append([quantity, random.getrandbits(30), growth])
        samples = _samples(900 * random.getrandbits(20), 900, channels)
        value = cbor.decode(block.payload(7, bytes(16), 900, 1, samples))
        assert value[:6] == [1, 7, bytes(16), samples[0][0], 900, 1]
        assert [[quantity, base, _read(growth)] for quantity, base, growth in value[6]] == channels


def _read(typed):
    size = {64: 1, 69: 2, 70: 4}[typed.number]
    data = typed.value
    values = [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]
    narrowest = 1 if not values or max(values) < 256 else 2 if max(values) < 65536 else 4
    assert size == narrowest
    return values


def test_fits_at_the_limit():
    """A block that fits is at most 1,024 bytes signed; with one sample more it would not be."""
    key = SigningKey(bytes(32))
    seq = 2**63 - 1
    samples = [(0, ((1, 0), (2, 0)))]
    while block.fits(seq, 900, samples):
        time_s, ((_one, wh), _two) = samples[-1]
        samples.append((time_s + 900, ((1, wh + 70000), (2, wh + 70000))))
    largest = cose.sign1(block.payload(seq, bytes(16), 900, 7, samples[:-1]), key, block.AAD)
    too_large = cose.sign1(block.payload(seq, bytes(16), 900, 7, samples), key, block.AAD)
    assert 1000 < len(largest) <= block.SIGNED_SIZE_MAX < len(too_large)
