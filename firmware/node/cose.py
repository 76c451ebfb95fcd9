"""COSE_Sign1 (RFC 9052) in the one shape of docs/spec/cose.cddl.

d2 84 43 a10127  a1 04 48 <kid 8>  <payload bstr>  5840 <signature 64>
"""

import hashlib

from node import cbor

OVERHEAD = 86  # bytes around a payload of 256 bytes or more; a shorter payload needs one or two fewer
_HEAD = b"\xd2\x84\x43\xa1\x01\x27\xa1\x04\x48"
_TAIL = b"\x58\x40"
_CONTEXT = b"\x84\x6aSignature1\x43\xa1\x01\x27"  # ["Signature1", {1: -8}, ...


def key_hint(public_key):
    """The `kid`: first 8 bytes of SHA-256 of the public key, a lookup hint and never a proof."""
    return hashlib.sha256(public_key).digest()[:8]


def external_aad(kind, genesis=b""):
    """What a signature is for: `kind` (str) and, where the specification asks for it, the genesis hash."""
    return b"commonwatt/v1/" + kind.encode() + genesis


def to_be_signed(payload, aad):
    """The Sig_structure of RFC 9052 §4.4."""
    return _CONTEXT + cbor.encode(aad) + cbor.encode(payload)


def sign1(payload, key, aad):
    """The signed message as it travels; `key` has `sign` and `public_key`."""
    signature = key.sign(to_be_signed(payload, aad))
    return b"".join((_HEAD, key_hint(key.public_key), cbor.encode(payload), _TAIL, signature))


def parse1(data):
    """(kid, payload, signature) of a signed message; ValueError unless it has exactly our shape. Verifies nothing."""
    end = len(data) - 64 - len(_TAIL)
    start = len(_HEAD) + 8
    if data[: len(_HEAD)] != _HEAD or end <= start or data[end : end + len(_TAIL)] != _TAIL:
        raise ValueError("not our COSE_Sign1")
    payload = cbor.decode(data[start:end])
    if not isinstance(payload, bytes):
        raise ValueError("the payload is not a byte string")
    return data[len(_HEAD) : start], payload, data[-64:]
