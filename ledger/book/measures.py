"""What roles do beyond minting, the bodies: limits, charges, reversals, holds. Bytes: docs/spec/entry.cddl."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

from ledger.book import fields
from ledger.book.fields import REASON_BYTES_MAX, require
from ledger.book.kinds import Kind
from ledger.book.mint import SOURCE_LAST, SOURCE_PRODUCTION
from ledger.book.units import Unit

ERASED_RANGES_MAX = 4096
CARRIED_ACCOUNTS_MAX = 1024


class Cause(IntEnum):
    """Why everyone is charged."""

    LEVY = 1  # the same amount from everyone
    DEMURRAGE = 2  # a share of what lies idle
    EXPIRY = 3  # what was received before the last expiry and not spent since


@dataclass(frozen=True, slots=True)
class CreditLimit:
    """How far below zero one account may go, in place of the constitution's limit for its unit.

    [h'ba4e…03', 200000, 300000]
    """

    account: bytes
    soft_mc: int
    hard_mc: int
    kind: ClassVar[Kind] = Kind.CREDIT_LIMIT

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [self.account, self.soft_mc, self.hard_mc]

    @classmethod
    def from_cbor(cls, value: Any) -> "CreditLimit":
        """Read a body."""
        account, soft_mc, hard_mc = fields.array(value, 3, "a credit limit")
        limit = cls(
            fields.account(account, "account"), fields.uint(soft_mc, "soft_mc"), fields.uint(hard_mc, "hard_mc")
        )
        require(limit.soft_mc <= limit.hard_mc, "the soft limit lies beyond the hard one")
        return limit


@dataclass(frozen=True, slots=True)
class Charge:
    """A levy, demurrage or expiry of one period by the policy in force (charges.py); goes to the association.

    `total_mc`: what it comes to over all accounts; who replays the log comes to the same.

    [2, 1, h'c0ff…', 1719792000, 1722470400, 48211]
    """

    cause: Cause
    unit: Unit
    policy_sha256: bytes
    period_start_s: int
    period_end_s: int
    total_mc: int
    kind: ClassVar[Kind] = Kind.CHARGE

    def to_cbor(self) -> list[Any]:
        """The body."""
        head = [int(self.cause), int(self.unit), self.policy_sha256]
        return [*head, self.period_start_s, self.period_end_s, self.total_mc]

    @classmethod
    def from_cbor(cls, value: Any) -> "Charge":
        """Read a body."""
        cause, unit, sha256, start_s, end_s, total_mc = fields.array(value, 6, "a charge")
        return cls(
            Cause(fields.uint(cause, "cause", least=1, most=len(Cause))),
            Unit(fields.uint(unit, "unit", least=1, most=len(Unit))),
            fields.digest(sha256, "policy_sha256"),
            fields.uint(start_s, "period_start_s"),
            fields.uint(end_s, "period_end_s", least=start_s + 1),
            fields.uint(total_mc, "total_mc"),
        )


@dataclass(frozen=True, slots=True)
class Reverse:
    """A payment, top-up or redemption is undone, in part or as a whole; `entry`: its entry's id.

    Nobody is pushed below a limit by it: what the payee no longer has is refused, and can be reversed later.

    [h'e47f…', 1000, "paid twice"]
    """

    entry: bytes
    amount_mc: int
    reason: str
    kind: ClassVar[Kind] = Kind.REVERSE

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [self.entry, self.amount_mc, self.reason]

    @classmethod
    def from_cbor(cls, value: Any) -> "Reverse":
        """Read a body."""
        entry, amount_mc, reason = fields.array(value, 3, "a reversal")
        return cls(
            fields.identifier(entry, "entry"),
            fields.uint(amount_mc, "amount_mc"),
            fields.text(reason, "reason", bytes_max=REASON_BYTES_MAX),
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """A claim may not be minted yet: what this account earned by this source in this time. Signed by a steward.

    `amount_mc`: what the claim comes to, shown to its holder as incoming.

    [h'0b5e…', 1, 1721001600, 1721005200, 2808, "faster than the sun"]
    """

    account: bytes
    source: int
    window_start_s: int
    window_end_s: int
    amount_mc: int
    reason: str
    kind: ClassVar[Kind] = Kind.HOLD

    @property
    def claim(self) -> tuple[bytes, int]:
        """Whose earnings, by which source."""
        return self.account, self.source

    def overlaps(self, start_s: int, end_s: int) -> bool:
        """Whether it stops any part of this time."""
        return self.window_start_s < end_s and start_s < self.window_end_s

    def to_cbor(self) -> list[Any]:
        """The body."""
        head = [self.account, self.source, self.window_start_s, self.window_end_s]
        return [*head, self.amount_mc, self.reason]

    @classmethod
    def from_cbor(cls, value: Any) -> "Hold":
        """Read a body."""
        account, source, start_s, end_s, amount_mc, reason = fields.array(value, 6, "a hold")
        return cls(
            fields.identifier(account, "account"),
            fields.uint(source, "source", least=SOURCE_PRODUCTION, most=SOURCE_LAST),
            fields.uint(start_s, "window_start_s"),
            fields.uint(end_s, "window_end_s", least=start_s + 1),
            fields.uint(amount_mc, "amount_mc"),
            fields.text(reason, "reason", bytes_max=REASON_BYTES_MAX),
        )


@dataclass(frozen=True, slots=True)
class Release:
    """A hold ends: the claim may be minted, also after later ones; or it never may. `hold`: its entry's id.

    [h'7a41…', true, "the meter was right"]
    """

    hold: bytes
    is_granted: bool
    reason: str
    kind: ClassVar[Kind] = Kind.RELEASE

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [self.hold, self.is_granted, self.reason]

    @classmethod
    def from_cbor(cls, value: Any) -> "Release":
        """Read a body."""
        hold, is_granted, reason = fields.array(value, 3, "a release")
        return cls(
            fields.identifier(hold, "hold"),
            fields.boolean(is_granted, "granted"),
            fields.text(reason, "reason", bytes_max=REASON_BYTES_MAX),
        )


@dataclass(frozen=True, slots=True)
class Carried:
    """An account as it stands: all that went out and came in, what is promised, and its mark of the last expiry."""

    account: bytes
    debits_mc: int
    credits_mc: int
    pending_mc: int
    mark_mc: int


@dataclass(frozen=True, slots=True)
class CarryForward:
    """The balances that no longer follow from the log once the entries of `holder` are erased.

    `erased`: ranges of places, first and count, ascending, whose entries this allows to empty (rules_erasure.py).

    [h'0b5e…', [[812, 2], [901, 1]], [[h'ba4e…', 0, 5000, 0, 0], …], "asked for on 2024-07-15"]
    """

    holder: bytes
    erased: tuple[tuple[int, int], ...]
    accounts: tuple[Carried, ...]
    reason: str
    kind: ClassVar[Kind] = Kind.CARRY_FORWARD

    def to_cbor(self) -> list[Any]:
        """The body."""
        rows = [[row.account, row.debits_mc, row.credits_mc, row.pending_mc, row.mark_mc] for row in self.accounts]
        return [self.holder, [list(row) for row in self.erased], rows, self.reason]

    @classmethod
    def from_cbor(cls, value: Any) -> "CarryForward":
        """Read a body."""
        holder, erased, accounts, reason = fields.array(value, 4, "a carry-forward")
        ranges = tuple(_range(row) for row in fields.items(erased, "erased", count_max=ERASED_RANGES_MAX))
        rows = tuple(_carried(row) for row in fields.items(accounts, "accounts", count_max=CARRIED_ACCOUNTS_MAX))
        ends = [first + count for first, count in ranges]
        require(
            all(end < later for end, (later, _) in zip(ends, ranges[1:], strict=False)), "erased ranges touch or mix"
        )
        names = [row.account for row in rows]
        require(names == sorted(set(names)), "carried accounts are not in ascending order")
        return cls(
            fields.identifier(holder, "holder"),
            ranges,
            rows,
            fields.text(reason, "reason", bytes_max=REASON_BYTES_MAX),
        )


def _range(value: Any) -> tuple[int, int]:
    first, count = fields.array(value, 2, "an erased range")
    return fields.uint(first, "first", least=1), fields.uint(count, "count", least=1)


def _carried(value: Any) -> Carried:
    account, *amounts = fields.array(value, 5, "a carried account")
    return Carried(fields.account(account, "account"), *(fields.uint(amount, "an amount") for amount in amounts))
