"""COSE_Sign1 as docs/spec/cose.cddl describes it, read with cbor2 and checked with PyNaCl."""

import hashlib
from dataclasses import dataclass

import cbor2
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

PROTECTED = bytes.fromhex("a10127")


class UnreadableError(Exception):
    """Bytes that are not what the specification says; the message says how."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed message, not yet checked."""

    kid: bytes
    payload: bytes
    signature: bytes

    def is_by(self, public_key: bytes, kind: str, genesis: bytes = b"") -> bool:
        """Whether this key signed this message, for this purpose and this commune."""
        if self.kid != hashlib.sha256(public_key).digest()[:8]:
            return False
        aad = b"commonwatt/v1/" + kind.encode() + genesis
        signed_bytes = encode(["Signature1", PROTECTED, aad, self.payload])
        try:
            VerifyKey(public_key).verify(signed_bytes, self.signature)
        except (BadSignatureError, ValueError):
            return False
        return True


def read_signed(data: bytes) -> Signed:
    """The parts of a signed message; UnreadableError if it is none."""
    message = read_cbor(data)
    match message:
        case cbor2.CBORTag(tag=18, value=[protected, {4: kid}, bytes(payload), bytes(signature)]):
            if protected == PROTECTED and len(message.value[1]) == 1:
                return Signed(kid, payload, signature)
    raise UnreadableError("not a COSE_Sign1 with our headers")


def encode(value: object) -> bytes:
    """Deterministic CBOR."""
    return cbor2.dumps(value, canonical=True)


def read_cbor(data: bytes) -> object:
    """The value that `data` spells, in its deterministic spelling only."""
    try:
        value = cbor2.loads(data)
        canonical = encode(value)
    except (cbor2.CBORDecodeError, cbor2.CBOREncodeError, ValueError, TypeError) as error:
        raise UnreadableError(f"not CBOR: {error}") from error
    if canonical != data:
        raise UnreadableError("not the deterministic encoding")
    return value
