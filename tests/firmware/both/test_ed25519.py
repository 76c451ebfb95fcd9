"""SHA-512 and Ed25519 against public vectors and the textbook."""

from node import ed25519
from node.sha512 import sha512

import ed25519_textbook as textbook
from neutral import seeded, vectors


def test_sha512_of_published_messages():
    """FIPS 180-4's own examples: none, three letters, two blocks."""
    assert sha512(b"").hex().startswith("cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce")
    assert sha512(b"abc").hex().endswith("2a9ac94fa54ca49f")
    assert sha512(b"abc").hex().startswith("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea2")


def test_sha512_around_the_ends_of_a_block():
    """The padding is right for every length, also where it needs a block of its own."""
    random = seeded(512)
    for size in [0, 1, 63, 64, 110, 111, 112, 113, 126, 127, 128, 129, 239, 240, 255, 256, 1000]:
        message = bytes([random.getrandbits(8) for _ in range(size)])
        assert sha512(message) == textbook.sha512(message), size


def test_sha512_by_either_path():
    """Machine code and plain Python give the same halves; on CPython there is only the latter."""
    from node import sha512 as module

    random = seeded(64)
    for blocks in range(1, 40):
        message = bytes([random.getrandbits(8) for _ in range(128 * blocks)])
        halves = list(module._digest_by_halves(message))
        assert module._machine is None or list(module._digest_by_machine(message)) == halves
        assert all(0 <= half < 1 << 32 for half in halves)


def test_sign_when_rfc_8032_says_the_answer():
    """Key pairs and signatures of RFC 8032 §7.1."""
    for vector in vectors("rfc8032/rfc8032-7.1-tests-1-3.json"):
        key = ed25519.SigningKey(bytes.fromhex(vector["seed"]))
        message = bytes.fromhex(vector["msg"])
        assert key.public_key.hex() == vector["public"]
        assert key.sign(message).hex() == vector["sig"]
        assert ed25519.verify(key.public_key, message, bytes.fromhex(vector["sig"]))


def test_sign_as_the_textbook_does():
    """The comb gives the same signatures as double-and-add, for many keys and messages."""
    random = seeded(25519)
    for size in range(0, 400, 57):
        seed, message = [bytes([random.getrandbits(8) for _ in range(n)]) for n in (32, size)]
        key = ed25519.SigningKey(seed)
        assert key.public_key == textbook.public_key(seed)
        assert key.sign(message) == textbook.sign(seed, key.public_key, message)


def test_comb_at_the_edges_of_its_rows():
    """Scalars whose bits touch the ends of the five rows, and those around the order."""
    order = textbook.L
    for scalar in [order - 2, order - 1, order, order + 1, 2**51 - 1, 2**51, 2**102, 2**153, 2**204 - 1, 2**204]:
        expected = textbook._encode(textbook._multiply(scalar, textbook.BASE))
        assert ed25519._encode(ed25519._multiply_base(scalar)) == expected, scalar
    for scalar in [0, 1, 2, 2**63, 2**64, 2**64 - 1, 2**128, 2**192, 2**192 - 1, 2**255, 2**256 - 1]:
        expected = textbook._encode(textbook._multiply(scalar, textbook.BASE))
        assert ed25519._encode(ed25519._multiply_base(scalar)) == expected, scalar


def test_verify_of_every_wycheproof_vector():
    """Accepts what is valid and refuses what is not: other spellings, cut or swapped halves, S beyond the order."""
    tried = 0
    for group in vectors("ed25519/wycheproof_ed25519_test.json")["testGroups"]:
        public_key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            verified = ed25519.verify(public_key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert verified == (case["result"] == "valid"), case["tcId"]
            tried += 1
    assert tried > 100


def test_verify_when_the_key_has_small_order():
    """A key of small order verifies nothing, though the equation would hold for any message."""
    neutral = b"\x01" + bytes(31)
    assert not ed25519.verify(neutral, b"anything", neutral + bytes(32))
