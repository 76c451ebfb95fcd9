"""Levy, demurrage and expiry: what the policy's text says of them, and what they come to. Pure, whole numbers only.

    [[charge]]
    cause = "demurrage"     # or "levy", "expiry"
    unit = "mutual"         # energy, euro, mutual, hours
    period_s = 2592000
    free_mc = 50000         # demurrage: this much of a balance stays untouched
    rate_ppm = 5000         # demurrage: millionths of the rest, rounded down

A levy takes `amount_mc` from every account, or what is free there. Demurrage takes its share of what is free above
`free_mc`. Expiry takes what an account had received by the expiry before and has not spent since, the oldest being
spent first; then it marks what was received by now. None of them goes below zero or touches what is pending, the
accounts of members and merchants alone are charged, and the association receives.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from commonwatt.units import INT64_MAX
from ledger.book.account_columns import Account
from ledger.book.accounts import Book, Posting
from ledger.book.measures import Cause
from ledger.book.units import Unit, account_in, unit_of

PPM = 1_000_000
_FIELDS = {
    Cause.LEVY: ("amount_mc",),
    Cause.DEMURRAGE: ("free_mc", "rate_ppm"),
    Cause.EXPIRY: (),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """One `[[charge]]` of a policy."""

    cause: Cause
    unit: Unit
    period_s: int
    amount_mc: int = 0
    free_mc: int = 0
    rate_ppm: int = 0

    def due_mc(self, account: Account, free_mc: int, mark_mc: int) -> int:
        """What one account owes: never more than `free_mc`, what it holds and has not promised."""
        match self.cause:
            case Cause.LEVY:
                wanted_mc = self.amount_mc
            case Cause.DEMURRAGE:
                wanted_mc = max(free_mc - self.free_mc, 0) * self.rate_ppm // PPM
            case Cause.EXPIRY:
                wanted_mc = mark_mc - account.debits_mc
        return max(min(wanted_mc, free_mc), 0)


def read_terms(rows: Any) -> tuple[Terms, ...]:
    """The `[[charge]]` tables of a policy; ValueError says what is wrong with them."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("charge is not a list of tables: write [[charge]]")
    terms = tuple(_terms(row) for row in rows)
    if len({(row.cause, row.unit) for row in terms}) < len(terms):
        raise ValueError("two charges have the same cause and unit")
    return terms


def terms_of(policy_text: str, cause: Cause, unit: Unit) -> Terms | None:
    """What a policy says of one charge; None if nothing, or nothing that can be read."""
    try:
        rows = read_terms(tomllib.loads(policy_text).get("charge", []))
    except ValueError:  # TOMLDecodeError is one
        return None
    return next((row for row in rows if (row.cause, row.unit) == (cause, unit)), None)


def postings(terms: Terms, book: Book, payers: Iterator[bytes], association: bytes) -> list[Posting]:
    """The postings of a charge on these holders' accounts; the association's, if anything is due, is the last."""
    rows = []
    for holder in payers:
        account = account_in(holder, terms.unit)
        held = book.accounts.get(account)
        if held is not None:
            due_mc = terms.due_mc(held, book.free_mc(account), book.marks_mc.get(account, 0))
            rows += [Posting(account, -due_mc)] if due_mc else []
    total_mc = -sum(row.amount_mc for row in rows)
    return [*rows, Posting(account_in(association, terms.unit), total_mc)] if rows else []


def mark(book: Book, unit: Unit) -> None:
    """Remember what every account of a unit received until now, for the next expiry."""
    marks = {account: row.credits_mc for account, row in book.accounts.items() if unit_of(account) is unit}
    book.marks_mc.update({account: received_mc for account, received_mc in marks.items() if received_mc})


def _terms(row: dict[str, Any]) -> Terms:
    cause, unit = _member(Cause, row, "cause"), _member(Unit, row, "unit")
    names = ("period_s", *_FIELDS[cause])
    if set(row) != {"cause", "unit", *names}:
        raise ValueError(f"a {cause.name.lower()} has cause, unit, {', '.join(names)}, and nothing else")
    for name in names:
        if type(row[name]) is not int or not 0 <= row[name] <= INT64_MAX:
            raise ValueError(f"{name} is not a whole number from 0 on")
    terms = Terms(cause, unit, **{name: row[name] for name in names})
    if terms.period_s == 0 or terms.rate_ppm > PPM:
        raise ValueError(f"period_s is at least 1, rate_ppm at most {PPM}")
    return terms


def _member(kind: Any, row: dict[str, Any], name: str) -> Any:
    names = [member.name.lower() for member in kind]
    if row.get(name) not in names:
        raise ValueError(f"{name} is one of {', '.join(names)}")
    return kind[row[name].upper()]
