"""Mint leaves and the lines they commit to. Bytes: docs/spec/entry.cddl (mint, line).

A leaf is not signed; the mint-run after it is. Its 16 random bytes keep a hash in the tree from being guessed:

    [1, 5, h'3f…', h'0b5e…', 1, 1721001600, 1721005200, 3120, 2808, 312, 4, h'77…']
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from commonwatt import cbor
from commonwatt.identity import ID_SIZE
from commonwatt.units import INT64_MAX
from ledger.book import fields
from ledger.book.kinds import Kind
from ledger.log import merkle

VERSION = 1
LEAF_SIZE_MAX = 256
LEAF_HEAD = b"\x8c"
"""The first byte of every mint leaf, an array of twelve, and of nothing else that is logged."""

SOURCE_PRODUCTION = 1
SOURCE_MATCHED = 2
SOURCE_SAVINGS = 3
SOURCE_SHIFTING = 4
SOURCE_HEAT = 5
SOURCE_DECLARED = 6
SOURCE_LAST = SOURCE_DECLARED


@dataclass(frozen=True, slots=True)
class Mint:
    """What one account earned from one source in one window. `amount_mc` goes to it, `association_mc` beside it."""

    nonce: bytes
    account: bytes
    source: int
    window_start_s: int
    window_end_s: int
    energy_wh: int
    amount_mc: int
    association_mc: int
    lines: int
    lines_root: bytes
    kind: ClassVar[Kind] = Kind.MINT

    @property
    def is_well_formed(self) -> bool:
        """Whether `parse` would read what `encode` writes: for leaves that were never bytes."""
        octets = (self.nonce, self.account, self.lines_root)
        window = (self.window_start_s, self.window_end_s)
        numbers = (self.source, *window, self.energy_wh, self.amount_mc, self.association_mc, self.lines)
        return (
            set(map(type, numbers)) == {int}  # bool is an int in Python but not in CBOR
            and min(numbers) >= 0
            and max(numbers) <= INT64_MAX
            and SOURCE_PRODUCTION <= self.source <= SOURCE_LAST
            and self.window_end_s > self.window_start_s
            and set(map(type, octets)) == {bytes}
            and [len(item) for item in octets] == [ID_SIZE, ID_SIZE, fields.HASH_SIZE]
        )

    def encode(self) -> bytes:
        """The leaf as logged."""
        head = [VERSION, int(Kind.MINT), self.nonce, self.account, self.source]
        window = [self.window_start_s, self.window_end_s]
        amounts = [self.energy_wh, self.amount_mc, self.association_mc]
        return cbor.encode([*head, *window, *amounts, self.lines, self.lines_root])


def parse(data: bytes) -> Mint:
    """Read a leaf strictly; FormatError "too-large", "malformed" or "not-canonical"."""
    return _from_cbor(cbor.decode(data, size_max=LEAF_SIZE_MAX))


def _from_cbor(value: Any) -> Mint:
    version, kind, nonce, account, source, start_s, end_s, energy_wh, amount_mc, association_mc, lines, root = (
        fields.array(value, 12, "a mint")
    )
    fields.uint(version, "version", least=VERSION, most=VERSION)
    fields.uint(kind, "kind", least=Kind.MINT, most=Kind.MINT)
    return Mint(
        fields.octets(nonce, 16, "nonce"),
        fields.identifier(account, "account"),
        fields.uint(source, "source", least=SOURCE_PRODUCTION, most=SOURCE_LAST),
        fields.uint(start_s, "window_start_s"),
        fields.uint(end_s, "window_end_s", least=start_s + 1),
        fields.uint(energy_wh, "energy_wh"),
        fields.uint(amount_mc, "amount_mc"),
        fields.uint(association_mc, "association_mc"),
        fields.uint(lines, "lines"),
        fields.digest(root, "lines_root"),
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One settled span behind a mint. `amount_mc` is before the association's share; `salt` hides the rest.
    A revision that takes something back has less than nothing of both.

    [h'5a…', h'de71…', 1721001600, 1721002500, 0, 120, 96, h'b10c…']
    """

    salt: bytes
    device: bytes
    start_s: int
    end_s: int
    revision: int
    energy_wh: int
    amount_mc: int
    block_sha256: bytes

    def encode(self) -> bytes:
        """The line as hashed into `lines_root`."""
        span = [self.start_s, self.end_s, self.revision]
        return cbor.encode([self.salt, self.device, *span, self.energy_wh, self.amount_mc, self.block_sha256])


def is_leaf(data: bytes) -> bool:
    """Whether an entry as logged is a mint leaf: no other begins with this byte."""
    return data.startswith(LEAF_HEAD)


def lines_root(lines: Iterable[Line]) -> bytes:
    """The RFC 6962 root over the lines, in order."""
    return merkle.root([merkle.leaf_hash(line.encode()) for line in lines])
