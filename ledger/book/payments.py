"""What is paid, asked for, bought with euros and given back for euros: the bodies. docs/spec/entry.cddl."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

from commonwatt.units import INT64_MAX
from ledger.book import fields
from ledger.book.fields import MEMO_BYTES_MAX
from ledger.book.kinds import Kind

MC_PER_CENT = 10
"""A euro unit is worth one euro: 1,000 thousandths, 100 cents."""
CENTS_MAX = INT64_MAX // MC_PER_CENT


class Verdict(IntEnum):
    """What payer or payee say to a payment request."""

    ACCEPT = 1  # the payer: pay, or with escrow put aside
    DECLINE = 2  # the payer, before accepting
    SETTLE = 3  # the payer, of what was put aside: it was delivered, pay
    WITHDRAW = 4  # the payee, at any time before it is paid


@dataclass(frozen=True, slots=True)
class Transfer:
    """A payment, signed by the wallet of `payer` ("from" in the specification); both accounts are of one unit.

    [h'0b5e…', h'ba4e…', 1000, "two baguettes"]
    """

    payer: bytes
    payee: bytes
    amount_mc: int
    memo: str
    kind: ClassVar[Kind] = Kind.TRANSFER

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [self.payer, self.payee, self.amount_mc, self.memo]

    @classmethod
    def from_cbor(cls, value: Any) -> "Transfer":
        """Read a body."""
        payer, payee, amount_mc, memo = fields.array(value, 4, "a transfer")
        return cls(
            fields.account(payer, "from"),
            fields.account(payee, "to"),
            fields.uint(amount_mc, "amount_mc"),
            fields.text(memo, "memo", bytes_max=MEMO_BYTES_MAX),
        )


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """The payee asks; signed by the wallet of `payee`. With `is_escrow` an acceptance puts the amount aside only.

    [h'ba4e…', h'0b5e…', 1000, false, "two baguettes"]
    """

    payee: bytes
    payer: bytes
    amount_mc: int
    is_escrow: bool
    memo: str
    kind: ClassVar[Kind] = Kind.PAYMENT_REQUEST

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [self.payee, self.payer, self.amount_mc, self.is_escrow, self.memo]

    @classmethod
    def from_cbor(cls, value: Any) -> "PaymentRequest":
        """Read a body."""
        payee, payer, amount_mc, is_escrow, memo = fields.array(value, 5, "a payment request")
        return cls(
            fields.account(payee, "to"),
            fields.account(payer, "from"),
            fields.uint(amount_mc, "amount_mc"),
            fields.boolean(is_escrow, "escrow"),
            fields.text(memo, "memo", bytes_max=MEMO_BYTES_MAX),
        )


@dataclass(frozen=True, slots=True)
class PaymentAnswer:
    """What becomes of a request, named by its entry's id; signed by the wallet that the verdict belongs to.

    [h'e47f…', 1]
    """

    request: bytes
    verdict: Verdict
    kind: ClassVar[Kind] = Kind.PAYMENT_ANSWER

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [self.request, int(self.verdict)]

    @classmethod
    def from_cbor(cls, value: Any) -> "PaymentAnswer":
        """Read a body."""
        request, verdict = fields.array(value, 2, "a payment answer")
        return cls(
            fields.identifier(request, "request"),
            Verdict(fields.uint(verdict, "verdict", least=1, most=len(Verdict))),
        )


@dataclass(frozen=True, slots=True)
class TopUp:
    """Euros came into the reserve, euro units go to `account`; signed as the quorum says.

    `paid_cents`: of euros; `reference`: by which the bank statement is found, never a name.

    [h'0b5e…02', 20000, 2000, "2024-07-15/3"]
    """

    account: bytes
    amount_mc: int
    paid_cents: int
    reference: str
    kind: ClassVar[Kind] = Kind.TOP_UP

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [self.account, self.amount_mc, self.paid_cents, self.reference]

    @classmethod
    def from_cbor(cls, value: Any) -> "TopUp":
        """Read a body."""
        return cls(*_exchange(value, "a top-up"))


@dataclass(frozen=True, slots=True)
class Redeem:
    """A merchant gives euro units back and is paid euros out of the reserve.

    Signed by the merchant's wallet and approved as the quorum says: both agree to `paid_cents`, the fee deducted.

    [h'ba4e…02', 50000, 4850, "2024-07-31/1"]
    """

    account: bytes
    amount_mc: int
    paid_cents: int
    reference: str
    kind: ClassVar[Kind] = Kind.REDEEM

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [self.account, self.amount_mc, self.paid_cents, self.reference]

    @classmethod
    def from_cbor(cls, value: Any) -> "Redeem":
        """Read a body."""
        return cls(*_exchange(value, "a redemption"))


def _exchange(value: Any, what: str) -> tuple[bytes, int, int, str]:
    account, amount_mc, paid_cents, reference = fields.array(value, 4, what)
    return (
        fields.account(account, "account"),
        fields.uint(amount_mc, "amount_mc"),
        fields.uint(paid_cents, "paid_cents", most=CENTS_MAX),
        fields.text(reference, "reference", bytes_max=MEMO_BYTES_MAX),
    )
