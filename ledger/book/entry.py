"""Entries: the envelope that is signed around a body. Bytes: docs/spec/entry.cddl and cose.cddl.

The payload of a transfer's COSE_Sign1 (external_aad "commonwatt/v1/transfer" and the genesis hash):

    [1, 7, h'e47f…', 1721001600, [h'0b5e…', h'ba4e…', 1000, "two baguettes"], []]
"""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

from commonwatt import cbor, cose
from commonwatt.identity import SigningKey
from ledger.book import fields, mint
from ledger.book.body import Body, parse_body
from ledger.book.fields import require
from ledger.book.kinds import WALLET_KINDS, Kind
from ledger.book.mint import Mint

VERSION = 1
SIZE_MAX = 65_535
APPROVALS_MAX = 16
APPROVAL_SIZE_MAX = 160
_COSE_TAG = 0xD2


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. `id` is random and names it for ever; `time_s`: civil time of signing.

    `approvals` are signatures of further role keys (`approve`), collected before the entry itself is signed.
    """

    id: bytes
    time_s: int
    body: Body
    approvals: tuple[bytes, ...] = ()

    @property
    def kind(self) -> Kind:
        """The body's kind."""
        return self.body.kind

    def encode(self) -> bytes:
        """The payload that is signed."""
        return cbor.encode([*self._statement(), list(self.approvals)])

    def statement_sha256(self) -> bytes:
        """What an approver signs: the entry without its approvals."""
        return hashlib.sha256(cbor.encode(self._statement())).digest()

    def approve(self, key: SigningKey, genesis: bytes) -> bytes:
        """A further role's signature, to be handed to `with_approvals`."""
        return cose.sign1(self.statement_sha256(), key, cose.external_aad("approval", genesis))

    def with_approvals(self, *approvals: bytes) -> "Entry":
        """The same entry with these approvals."""
        return replace(self, approvals=approvals)

    def sign(self, key: SigningKey, genesis: bytes = b"") -> bytes:
        """The entry as logged. `genesis` is the hash of the signed genesis entry; empty for genesis itself."""
        assert bool(genesis) != (self.kind is Kind.GENESIS)
        signed = cose.sign1(self.encode(), key, cose.external_aad(self.kind.label, genesis))
        assert len(signed) <= SIZE_MAX
        return signed

    def _statement(self) -> list[Any]:
        return [VERSION, int(self.kind), self.id, self.time_s, self.body.to_cbor()]


@dataclass(frozen=True, slots=True)
class SignedEntry:
    """A parsed entry with its signatures, not yet verified.

    `proven_by`: keys, each with a genesis hash, whose signature another process has verified already (signatures.py).
    """

    entry: Entry
    message: cose.Sign1
    approvals: tuple[cose.Sign1, ...]
    proven_by: list[tuple[bytes, bytes]] = field(default_factory=list, compare=False)

    def is_signed_by(self, public_key: bytes, genesis: bytes) -> bool:
        """Whether the entry itself is signed by this key, for this kind and this ledger."""
        if (public_key, genesis) in self.proven_by:
            return True
        return self.message.is_signed_by(public_key, cose.external_aad(self.entry.kind.label, genesis))

    def is_approved_by(self, approval: cose.Sign1, public_key: bytes, genesis: bytes) -> bool:
        """Whether this approval is by this key and names this entry."""
        return approval.payload == self.entry.statement_sha256() and approval.is_signed_by(
            public_key, cose.external_aad("approval", genesis)
        )


def sha256(data: bytes) -> bytes:
    """SHA-256 of an entry as logged; of the genesis entry, what everything else is bound to."""
    return hashlib.sha256(data).digest()


def parse(data: bytes) -> SignedEntry | Mint:
    """Read an entry as logged, strictly; FormatError "too-large", "malformed" or "not-canonical"."""
    if data[:1] != bytes([_COSE_TAG]) and len(data) <= SIZE_MAX:
        return mint.parse(data)
    message = cose.parse1(data, size_max=SIZE_MAX)
    value = cbor.decode(message.payload, size_max=SIZE_MAX)
    version, kind, entry_id, time_s, body, approvals = fields.array(value, 6, "an entry")
    fields.uint(version, "version", least=VERSION, most=VERSION)
    rows = fields.items(approvals, "approvals", count_max=APPROVALS_MAX)
    require(all(type(row) is bytes for row in rows), "an approval is a byte string")
    entry = Entry(
        fields.identifier(entry_id, "id"), fields.uint(time_s, "time_s"), parse_body(kind, body), tuple(rows)
    )
    is_alone = entry.kind is Kind.GENESIS or entry.kind in WALLET_KINDS
    require(not rows or not is_alone, f"a {entry.kind.label} has no approvals")
    return SignedEntry(entry, message, tuple(cose.parse1(row, size_max=APPROVAL_SIZE_MAX) for row in rows))


def kind_of(data: bytes) -> int:
    """The number of the kind of an entry as logged that was read before; 0 of one that was erased. It stands at a
    place that depends on nothing but the length of the payload, so that nothing needs to be parsed."""
    if mint.is_leaf(data):
        return int(Kind.MINT)
    at = _PAYLOAD_AT + {0x58: 1, 0x59: 2, 0x5A: 4}.get(data[_PAYLOAD_AT], 0) + 1 if data else 0
    return data[at + _KIND_AT] if data else 0


_PAYLOAD_AT = 17
"""Of the byte string with the payload: after the tag, the protected header and the hint of the key (cose.py)."""
_KIND_AT = 2
"""In the payload: after the head of the array and the version."""
