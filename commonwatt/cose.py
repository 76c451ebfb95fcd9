"""COSE_Sign1 (RFC 9052 §4.2) in the one shape that Commonwatt signs: docs/spec/cose.cddl.

    d2 84 43 a10127  a1 04 48 <kid 8>  <payload bstr>  5840 <signature 64>

The external_aad names what was signed for: nothing signed for one purpose or commune serves another.
"""

from collections.abc import Callable
from dataclasses import dataclass

from commonwatt import cbor
from commonwatt.errors import FormatError
from commonwatt.identity import HINT_SIZE, SIGNATURE_SIZE, SigningKey, is_signed_by, key_hint

PROTECTED = bytes.fromhex("a10127")  # {1: -8}: EdDSA
HEAD = bytes.fromhex("d28443a10127a10448")
_TAIL = bytes.fromhex("5840")
_CONTEXT = bytes.fromhex("846a5369676e61747572653143a10127")  # ["Signature1", protected, …
_AAD = b"commonwatt/v1/"
GENESIS_SIZE = 32


@dataclass(frozen=True, slots=True)
class Sign1:
    """A parsed, not yet verified COSE_Sign1."""

    kid: bytes
    payload: bytes
    signature: bytes

    def is_signed_by(self, public_key: bytes, aad: bytes) -> bool:
        """Whether the signature verifies for this purpose; the hint must name the key too."""
        return self.kid == key_hint(public_key) and is_signed_by(
            public_key, self.signature, to_be_signed(self.payload, aad)
        )


def external_aad(kind: str, genesis: bytes = b"") -> bytes:
    """What a signature is for: the kind, and the genesis hash where the specification asks for it."""
    assert len(genesis) in (0, GENESIS_SIZE)
    return _AAD + kind.encode("ascii") + genesis


def bstr(data: bytes) -> bytes:
    """A CBOR byte string, its length in the shortest form."""
    size = len(data)
    if size < 24:
        return bytes([0x40 | size]) + data
    if size < 2**8:
        return bytes([0x58, size]) + data
    if size < 2**16:
        return b"\x59" + size.to_bytes(2, "big") + data
    return b"\x5a" + size.to_bytes(4, "big") + data


def to_be_signed(payload: bytes, aad: bytes) -> bytes:
    """The Sig_structure of RFC 9052 §4.4: ["Signature1", protected, external_aad, payload]."""
    return _CONTEXT + bstr(aad) + bstr(payload)


def whole_verifier(aad: bytes) -> Callable[[bytes, bytes], bool]:
    """Whether a message that `parse1` reads is signed by a key, for one purpose: of many, as they lie there."""
    before, start, end = _CONTEXT + bstr(aad), len(HEAD) + HINT_SIZE, -SIGNATURE_SIZE - len(_TAIL)

    def is_signed(data: bytes, public_key: bytes) -> bool:
        is_hinted = data[len(HEAD) : start] == key_hint(public_key)
        return is_hinted and is_signed_by(public_key, data[-SIGNATURE_SIZE:], before + data[start:end])

    return is_signed


def sign1(payload: bytes, key: SigningKey, aad: bytes) -> bytes:
    """The signed message as it travels."""
    signature = key.sign(to_be_signed(payload, aad))
    return b"".join((HEAD, key_hint(key.public_key), bstr(payload), _TAIL, signature))


def parse1(data: bytes, *, size_max: int) -> Sign1:
    """Read a signed message strictly.

    Raises FormatError "too-large", "malformed" (not our COSE_Sign1) or "not-canonical" (it is, in another
    spelling). A message with our fixed head and tail and a shortest-form length has one spelling only, so
    the general parser is asked only to tell the last two apart.
    """
    if len(data) > size_max:
        raise FormatError("too-large", f"{len(data)} bytes, at most {size_max} are read")
    start = len(HEAD) + HINT_SIZE
    end = len(data) - SIGNATURE_SIZE - len(_TAIL)
    if data[: len(HEAD)] == HEAD and end > start and data[end : end + len(_TAIL)] == _TAIL:
        payload = _read_bstr(data[start:end])
        if payload is not None:
            return Sign1(data[len(HEAD) : start], payload, data[-SIGNATURE_SIZE:])
    cbor.decode(data, size_max=size_max)
    raise FormatError("malformed", "not a COSE_Sign1 with the headers of docs/spec/cose.cddl")


def _read_bstr(data: bytes) -> bytes | None:
    """The content, if `data` is exactly one shortest-form byte string."""
    first = data[0]
    head = 1 if 0x40 <= first < 0x58 else {0x58: 2, 0x59: 3, 0x5A: 5}.get(first, 0)
    if head == 0:
        return None
    content = data[head:]
    return content if bstr(content) == data else None
