"""The first page of an account: what it holds, what it earned of late, and its latest movements."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from commonwatt.i18n import _
from ledger.book.account_columns import Account
from ledger.book.kinds import Kind
from ledger.book.units import LENDING_UNITS, Limits, Unit, account_in
from web.account import movements, sentences, summary
from web.account.behind import Held, Plug
from web.account.movements import Together
from web.account.reader import AccountReader, Seen
from web.account.sentences import Known
from web.account.summary import SHARE, Earned, When
from web.book.books import Books
from web.book.followed import FollowedBook
from web.book.index import Row
from web.looks import Words
from web.pay.requests import asked_of
from web.units import unit_name

MONEY = (
    *(Kind.MINT, Kind.MINT_RUN, Kind.TRANSFER, Kind.PAYMENT_REQUEST, Kind.PAYMENT_ANSWER, Kind.TOP_UP),
    *(Kind.REDEEM, Kind.CHARGE, Kind.REVERSE, Kind.HOLD, Kind.RELEASE),
)
"""What moves money, or is about to: keys and admissions are not shown here."""
LATEST_ROWS, LATEST = 200, 8
"""Entries that are looked at for the latest movements, and how many of these are shown."""


@dataclass(frozen=True, slots=True)
class Purse:
    """What an account holds of one unit. `pending_mc`: put aside; `incoming_mc`: earned and held back."""

    unit: Unit
    balance_mc: int
    pending_mc: int
    incoming_mc: int
    limits: Limits

    @property
    def is_past_soft(self) -> bool:
        """Whether it is further below zero than where one is warned."""
        return self.balance_mc - self.pending_mc < -self.limits.soft_mc

    @property
    def left_mc(self) -> int:
        """How much can still be paid."""
        return self.balance_mc - self.pending_mc + self.limits.hard_mc


def purses(book: FollowedBook, holder: bytes) -> list[Purse]:
    """One for every unit of the constitution, energy first; of the others those that ever moved or may go below."""
    state = book.state
    units = [Unit.ENERGY, *(row.unit for row in state.founded.genesis.units)]
    found = []
    for unit in units:
        account, amounts = account_in(holder, unit), state.book
        limits = amounts.limits_of(account)
        if unit is not Unit.ENERGY and account not in amounts.accounts and not limits.hard_mc:
            continue
        balance_mc = amounts.accounts.get(account, Account()).balance_mc
        pending_mc, incoming_mc = amounts.pending_mc.get(account, 0), amounts.incoming_mc.get(account, 0)
        found.append(Purse(unit, balance_mc, pending_mc, incoming_mc, limits))
    return found


class Home:
    """What the page shows of one account."""

    def __init__(self, reader: AccountReader, books: Books) -> None:
        self._reader, self._books = reader, books

    def values(self, holder: bytes, now_s: int, words: Words) -> dict[str, Any]:
        """For its template."""
        zone = self._reader.zone
        held: list[Purse] = []
        rows: list[Row] = []
        asked = 0

        def choose(book: FollowedBook) -> Sequence[Row]:
            nonlocal asked
            asked = asked_of(book.state, holder)
            held.extend(purses(book, holder))
            rows.extend(_earning(book, holder, summary.since_s(now_s, zone)))
            latest = book.index.rows(holder, kinds=MONEY, limit=LATEST_ROWS)
            return movements.newest(latest, LATEST, zone, is_cut=len(latest) == LATEST_ROWS)

        seen = self._reader.see(holder, choose)
        groups = movements.together(seen.movements, zone)
        earned = summary.earned(rows, now_s, zone)
        return {
            "purses": held,
            "asked": asked,
            "earned": earned,
            "earned_says": _earned(earned, self._plugs(holder, earned, seen), words, seen.known) if earned else "",
            "says": [
                *_notes(held, words, seen.known),
                *_waiting(self._reader.held(seen.known.meters), words, seen.known),
            ],
            "unit_name": lambda unit: unit_name(seen.known.unit_names, unit),
            "groups": told(groups, words, seen.known),
        }

    def earned_yesterday(self, holder: bytes, now_s: int, words: Words) -> str:
        """The sentence of what was earned yesterday; "" if nothing was."""
        since_s = summary.since_s(now_s, self._reader.zone)
        rows: list[Row] = []

        def choose(book: FollowedBook) -> Sequence[Row]:
            rows.extend(_earning(book, holder, since_s))
            return ()

        seen = self._reader.see(holder, choose)
        earned = summary.earned(rows, now_s, self._reader.zone)
        if earned is None or earned.when is not When.YESTERDAY:
            return ""
        return _earned(earned, self._plugs(holder, earned, seen), words, seen.known)

    def _plugs(self, holder: bytes, earned: Earned | None, seen: Seen) -> tuple[list[Plug], int]:
        """What used the neighbours' sun of that day, and how much of it there was, Wh."""
        if earned is None:
            return [], 0
        wanted = set(earned.places)
        known = [row for row in seen.movements if row.place in wanted]
        if len(known) < len(wanted):
            known = self._reader.see(
                holder, lambda book: [row for at in earned.places if (row := book.index.row(holder, at))]
            ).movements
        matched = [row for row in known if row.mint is not None and row.mint.source == sentences.MATCHED]
        covered_wh = sum(row.mint.energy_wh for row in matched if row.mint is not None)
        return self._reader.plugs(matched, dict(seen.known.meters)), covered_wh


def _earning(book: FollowedBook, holder: bytes, since_s: int) -> list[Row]:
    """What was earned since then, or the very last of it."""
    index = book.index
    return index.rows(holder, since_s=since_s, kinds=summary.EARNING) or index.rows(
        holder, kinds=summary.EARNING, limit=1
    )


def _earned(earned: Earned, plugs: tuple[list[Plug], int], words: Words, known: Known) -> str:
    """ "You earned 3.2 credits yesterday: 2.1 from your roof, 1.1 because you used your neighbours’ sun." """
    whys = []
    for source, amount_mc in earned.by_source_mc.items():
        if source == SHARE:
            why = _("as the association’s share")
        elif source == sentences.MATCHED:
            why = sentences.because_of_plugs(*plugs, amount_mc, words, known)
        else:
            why = sentences.because(source)
        whys.append((words.exact(amount_mc), why))
    text = {
        When.YESTERDAY: _("You earned {amount} yesterday"),
        When.TODAY: _("You have earned {amount} today so far"),
        When.EARLIER: _("You earned {amount} on {day}"),
    }[earned.when]
    said = text.format(amount=words.in_credits(earned.amount_mc), day=words.day(earned.day))
    if len(whys) == 1:
        return _("{earned}, {why}.").format(earned=said, why=whys[0][1])
    parts = [_("{amount} {why}").format(amount=amount, why=why) for amount, why in whys]
    return _("{earned}: {parts}.").format(earned=said, parts=", ".join(parts))


def _notes(held: Sequence[Purse], words: Words, known: Known) -> list[tuple[bool, str]]:
    """What else there is to know of the money, and whether it is a warning."""
    found: list[tuple[bool, str]] = []
    for purse in held:

        def said(amount_mc: int, unit: Unit = purse.unit) -> str:
            return sentences.amount(words, known, unit, amount_mc)

        if purse.incoming_mc:
            text = _("{amount} more are earned and held back until the association has looked at a meter.")
            found.append((False, text.format(amount=said(purse.incoming_mc))))
        if purse.pending_mc:
            text = _("{amount} of it are put aside for payments that you have accepted.")
            found.append((False, text.format(amount=said(purse.pending_mc))))
        if purse.unit in LENDING_UNITS and purse.is_past_soft:
            text = _("You are far below zero: {left} are left until payments are refused.")
            found.append((True, text.format(left=said(max(purse.left_mc, 0)))))
    return found


def _waiting(held: Sequence[Held], words: Words, known: Known) -> Iterator[tuple[bool, str]]:
    """What the aggregator set aside before it became credits."""
    for row in held:
        text = _("{energy} of {meter} wait until the association has looked at them: {when}.")
        when = words.between(row.start_s, row.end_s)
        yield False, text.format(energy=words.energy(row.energy_wh), meter=known.meter(row.device), when=when)


def told(groups: Sequence[Together], words: Words, known: Known) -> list[dict[str, Any]]:
    """Groups of movements as a list shows them."""
    return [
        {
            "title": sentences.title(group.first, known),
            "day": words.day(group.day),
            "why": sentences.why(group, words, known),
            "amount_mc": group.amount_mc,
            "amount": words.signed(group.amount_mc) if group.amount_mc else "",
            "unit": "" if group.first.row.unit is Unit.ENERGY else unit_name(known.unit_names, group.first.row.unit),
            "place": group.first.place,
            "parts": [
                {
                    "place": part.place,
                    "when": words.between(part.mint.window_start_s, part.mint.window_end_s, on=group.day),
                    "amount": words.signed(part.row.amount_mc),
                }
                for part in group.movements
                if len(group.movements) > 1 and part.mint is not None
            ],
        }
        for group in groups
    ]
