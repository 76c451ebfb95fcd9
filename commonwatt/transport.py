"""What travels between device, gateway and aggregator: batches, receipts and acknowledgements.

Bytes and limits: docs/spec/transport.cddl. A batch on the wire is a COSE_Sign1 whose payload is

    [1, 42, 1721001600, [h'd284…', h'd284…']]
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from commonwatt import cbor
from commonwatt.errors import FormatError
from commonwatt.refusal import Refusal
from commonwatt.units import INT64_MAX

VERSION = 1
BATCH_SIZE_MAX = 256 * 1024
BATCH_BLOCKS_MAX = 1000
RECEIPT_SIZE_MAX = 16 * 1024
ACK_SIZE_MAX = 64
HASH_SIZE = 32

BATCH = "batch"
RECEIPT = "receipt"
REGISTRY = "registry"
"""The kinds named in external_aad."""


def sha256(data: bytes) -> bytes:
    """How messages name each other: 32 bytes over the message as sent."""
    return hashlib.sha256(data).digest()


@dataclass(frozen=True, slots=True)
class Batch:
    """Signed blocks of many devices, exactly as received. `sent_s`: civil time of closing the batch."""

    seq: int
    sent_s: int
    blocks: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The payload that the gateway signs."""
        return cbor.encode([VERSION, self.seq, self.sent_s, list(self.blocks)])

    @classmethod
    def parse(cls, payload: bytes) -> "Batch":
        """Read a payload; FormatError for anything that is not a batch. Blocks are not looked into."""
        seq, sent_s, blocks = _fields(payload, BATCH_SIZE_MAX, 3)
        _require(_is_uint(seq) and _is_uint(sent_s), "seq and sent_s are unsigned integers")
        _require(type(blocks) is list and 1 <= len(blocks) <= BATCH_BLOCKS_MAX, "not 1 to 1000 blocks")
        _require(all(type(block) is bytes for block in blocks), "a block is a byte string")
        return cls(seq, sent_s, tuple(blocks))


@dataclass(frozen=True, slots=True)
class Receipt:
    """The aggregator's word that every block not named in `refused` is durable. Keys: index in the batch."""

    seq: int
    batch_sha256: bytes
    refused: Mapping[int, Refusal] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The payload that the aggregator signs."""
        refused = {index: int(reason) for index, reason in self.refused.items()}
        return cbor.encode([VERSION, self.seq, self.batch_sha256, refused])

    @classmethod
    def parse(cls, payload: bytes) -> "Receipt":
        """Read a payload; FormatError for anything that is not a receipt."""
        seq, batch_sha256, refused = _fields(payload, RECEIPT_SIZE_MAX, 3)
        _require(_is_uint(seq), "seq is an unsigned integer")
        _require(_is_hash(batch_sha256), "batch_sha256 is 32 bytes")
        _require(type(refused) is dict and all(map(_is_uint, refused)), "refused maps indexes to reasons")
        return cls(seq, batch_sha256, {index: _refusal(reason) for index, reason in refused.items()})


@dataclass(frozen=True, slots=True)
class Ack:
    """The gateway's word to a device: durable (`refusal` is None), or refused for good."""

    seq: int
    block_sha256: bytes
    refusal: Refusal | None = None

    def encode(self) -> bytes:
        """The message as sent; it is not signed."""
        return cbor.encode([VERSION, self.seq, self.block_sha256, int(self.refusal or 0)])

    @classmethod
    def parse(cls, data: bytes) -> "Ack":
        """Read a message; FormatError for anything that is not an acknowledgement."""
        seq, block_sha256, reason = _fields(data, ACK_SIZE_MAX, 3)
        _require(_is_uint(seq), "seq is an unsigned integer")
        _require(_is_hash(block_sha256), "block_sha256 is 32 bytes")
        return cls(seq, block_sha256, None if type(reason) is int and reason == 0 else _refusal(reason))


def _fields(payload: bytes, size_max: int, count: int) -> list[Any]:
    value = cbor.decode(payload, size_max=size_max)
    _require(type(value) is list and len(value) == count + 1, f"not an array of {count + 1}")
    _require(type(value[0]) is int and value[0] == VERSION, "another version")
    return list(value[1:])


def _refusal(reason: Any) -> Refusal:
    _require(_is_uint(reason) and reason in Refusal._value2member_map_, f"unknown reason {reason!r}")
    return Refusal(reason)


def _is_hash(value: object) -> bool:
    return type(value) is bytes and len(value) == HASH_SIZE


def _is_uint(value: object) -> bool:
    return type(value) is int and 0 <= value <= INT64_MAX


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise FormatError("malformed", otherwise)
