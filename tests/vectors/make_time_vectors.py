"""Makes time.json: answers of a gateway to a device's question for the time. Prints it."""

import json

from nacl.signing import SigningKey

from commonwatt import cbor, cose

SEED = bytes(range(32, 64))
NONCE = bytes(range(16))
TIME_S = 1_721_001_600


def _sign(payload: bytes, kind: bytes = b"time", seed: bytes = SEED) -> str:
    key = SigningKey(seed)
    signature = key.sign(cose.to_be_signed(payload, b"commonwatt/v1/" + kind)).signature
    kid = cose.key_hint(bytes(key.verify_key))
    protected = bytes.fromhex("d28443a10127a10448")
    return (protected + kid + cbor.encode(payload) + b"\x58\x40" + signature).hex()


def main() -> None:
    """Print the vectors."""
    good = cbor.encode([1, NONCE, TIME_S])
    forged = bytearray.fromhex(_sign(good))
    forged[-1] ^= 1
    answers = [
        ("good", _sign(good), True),
        ("another-nonce", _sign(cbor.encode([1, bytes(16), TIME_S])), False),
        ("another-version", _sign(cbor.encode([2, NONCE, TIME_S])), False),
        ("another-kind", _sign(good, b"ack"), False),
        ("another-key", _sign(good, seed=bytes(32)), False),
        ("bad-signature", forged.hex(), False),
        ("not-canonical", _sign(good[:-5] + b"\x1b" + TIME_S.to_bytes(8, "big")), False),
        ("time-is-text", _sign(cbor.encode([1, NONCE, "noon"])), False),
        ("garbage", "00ff", False),
        ("empty", "", False),
    ]
    vectors = {
        "seed": SEED.hex(),
        "public_key": bytes(SigningKey(SEED).verify_key).hex(),
        "nonce": NONCE.hex(),
        "time_s": TIME_S,
        "payload": good.hex(),
        "answers": [{"name": name, "signed": signed, "believed": believed} for name, signed, believed in answers],
    }
    print(json.dumps(vectors, indent=1))


if __name__ == "__main__":
    main()
