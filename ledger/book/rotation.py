"""New keys for old ones, and who may give them when the old one is lost: the bodies. docs/spec/entry.cddl."""

from dataclasses import dataclass
from typing import Any, ClassVar

from ledger.book import fields
from ledger.book.fields import require
from ledger.book.kinds import Kind, Subject

GUARD_KEYS_MAX = 8


@dataclass(frozen=True, slots=True)
class Rotate:
    """A subject gets another key: signed by the old one, or by those who may recover it; approved by the new one.

    [4, h'de71…', h'c9d0…']
    """

    subject: Subject
    id: bytes
    public_key: bytes
    kind: ClassVar[Kind] = Kind.ROTATE

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [int(self.subject), self.id, self.public_key]

    @classmethod
    def from_cbor(cls, value: Any) -> "Rotate":
        """Read a body."""
        subject, ident, public_key = fields.array(value, 3, "a rotation")
        return cls(
            Subject(fields.uint(subject, "subject", least=1, most=len(Subject))),
            fields.identifier(ident, "id"),
            fields.public_key(public_key, "public_key"),
        )


@dataclass(frozen=True, slots=True)
class Guard:
    """A holder names keys that can recover the wallet: `k` of them, where the association counts as one more.

    For example a second device, a code printed on paper, and the association: two of three. Signed by the wallet.
    It replaces the guard before it; without keys there is none.

    [h'0b5e…', 2, [h'10f2…', h'88ac…']]
    """

    account: bytes
    k: int
    public_keys: tuple[bytes, ...]
    kind: ClassVar[Kind] = Kind.GUARD

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [self.account, self.k, list(self.public_keys)]

    @classmethod
    def from_cbor(cls, value: Any) -> "Guard":
        """Read a body."""
        account, k, keys = fields.array(value, 3, "a guard")
        rows = fields.items(keys, "a guard's keys", count_max=GUARD_KEYS_MAX)
        public_keys = tuple(fields.public_key(key, "a guard's key") for key in rows)
        require(len(set(public_keys)) == len(public_keys), "a guard's key stands there twice")
        return cls(
            fields.identifier(account, "account"),
            fields.uint(k, "k", least=min(len(rows), 1), most=len(rows) + bool(rows)),
            public_keys,
        )
