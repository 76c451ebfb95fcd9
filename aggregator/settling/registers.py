"""Registers as they are kept in a table: CBOR pairs of quantity and Wh, ascending. Example: 8282011904d282020c."""

from collections.abc import Sequence

from aggregator.settling.settlement import Registers
from commonwatt import cbor

SIZE_MAX = 256


def encode(registers_wh: Registers) -> bytes:
    """The stored form."""
    return cbor.encode([[quantity, registers_wh[quantity]] for quantity in sorted(registers_wh)])


def encode_ascending(quantities: Sequence[int], registers_wh: Sequence[int]) -> bytes:
    """The same for quantities that ascend already, as those of a block do."""
    return cbor.encode(list(zip(quantities, registers_wh, strict=True)))


def decode(data: bytes) -> Registers:
    """What `encode` was given."""
    return dict(cbor.decode(data, size_max=SIZE_MAX))
