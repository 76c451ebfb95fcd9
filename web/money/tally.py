"""Sums of everything that moved, by month and account, by day, and by origin: kept while the log is followed.

Each entry is looked at once, mint leaves and plain payments in columns; so a page costs the same after a day and
after a year. What follows from no single entry alone (charges, reversals, what was carried over erased entries) is
what the balances say beyond what is known: it is found at the end of each stretch that holds such an entry.

`tally.cbor` (tally_file.py) only saves the time to look again; it may be thrown away.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ledger.book import entry as entries_of
from ledger.book import mint, mint_arrays, transfer_arrays
from ledger.book.account_columns import view
from ledger.book.body import (
    CarryForward,
    Charge,
    MintRun,
    PaymentAnswer,
    PaymentRequest,
    Redeem,
    Reverse,
    TopUp,
    Transfer,
)
from ledger.book.entry import SignedEntry
from ledger.book.kinds import Kind
from ledger.book.mint import LEAF_HEAD, SOURCE_LAST
from ledger.book.mint_arrays import MintArrays
from ledger.book.payments import Verdict
from ledger.book.state import State
from ledger.book.units import SYSTEM_HOLDERS, Unit, holder_of, unit_of
from web.money.days import LocalDays

Integers = NDArray[np.int64]
SOURCES = SOURCE_LAST


class Of(IntEnum):
    """Columns of an account's month, in thousandths of the account's unit unless the name says otherwise.

    `EARNED` and `ENERGY_WH` have a column for each source.
    """

    EARNED = 0
    ENERGY_WH = SOURCES
    SHARE = 2 * SOURCES
    PAID = SHARE + 1
    PAYMENTS = SHARE + 2  # how many were paid
    RECEIVED = SHARE + 3
    RECEIPTS = SHARE + 4  # how many were received
    BOUGHT = SHARE + 5
    BOUGHT_CENTS = SHARE + 6
    REDEEMED = SHARE + 7
    REDEEMED_CENTS = SHARE + 8
    OTHER = SHARE + 9  # charges, reversals: what is left


WIDTH = Of.OTHER + 1
SIGNS = np.zeros(WIDTH, dtype=np.int64)
"""How each column counts in the balance."""
SIGNS[[*range(SOURCES), Of.SHARE, Of.RECEIVED, Of.BOUGHT, Of.OTHER]] = 1
SIGNS[[Of.PAID, Of.REDEEMED]] = -1


class Day(IntEnum):
    """Columns of a day, over all accounts. `PAYMENTS` and `VOLUME` have a column for each unit, by its number."""

    MINTED = 0
    SHARE = SOURCES
    ENERGY_WH = 2 * SOURCES
    PAYMENTS = 3 * SOURCES - 1
    VOLUME = 3 * SOURCES - 1 + len(Unit)
    BOUGHT_CENTS = 3 * SOURCES + 2 * len(Unit)
    REDEEMED_CENTS = 3 * SOURCES + 2 * len(Unit) + 1


DAY_WIDTH = Day.REDEEMED_CENTS + 1


@dataclass(frozen=True, slots=True)
class Euros:
    """A line of the reserve's cash book: euros that came in for units, or went out (negative) for units back."""

    place: int
    entry_id: bytes
    time_s: int
    account: bytes
    amount_mc: int
    paid_cents: int
    reference: str


@dataclass(frozen=True, slots=True)
class Others:
    """What entries at a place moved beyond payments and mints: the numbers of accounts, and by how much."""

    place: int
    time_s: int
    kind: str
    numbers: Integers
    amounts_mc: Integers


class Tally:
    """The sums. Whoever calls holds the lock of the book that is followed."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.days_of = LocalDays(zone)
        self.size = 0
        self.last_sha256 = b""
        self.months: dict[int, Integers] = {}
        self.days: dict[int, Integers] = {}
        self.origins: dict[tuple[int, int], Integers] = {}
        """By source and version of the policy: credits to members, the association's share, energy in Wh."""
        self.euros: list[Euros] = []
        self.others: list[Others] = []
        self.active_s: Integers = np.zeros(0, dtype=np.int64)
        self.known_mc: Integers = np.zeros(0, dtype=np.int64)
        self.leaves: list[bytes] = []
        self.requests: dict[bytes, PaymentRequest] = {}

    def __call__(self, first: int, entries: Sequence[bytes], state: State) -> None:
        """See entries from the place `first` on, and the state after them."""
        fresh = entries[max(0, self.size - first) :]
        if not fresh:
            return
        self._grow(len(state.book.accounts))
        place, others = first + len(entries) - len(fresh), None
        payments = transfer_arrays.parse(fresh)
        usual = set(payments.rows.tolist())
        for row, data in enumerate(fresh):
            if not data or row in usual:
                continue
            if data[0] == LEAF_HEAD[0]:
                self.leaves.append(data)
                continue
            signed = entries_of.parse(data)
            if isinstance(signed, SignedEntry) and self._see(place + row, signed, state):
                others = (place + row, signed.entry.time_s, signed.entry.kind.label)
        columns = (payments.payers, payments.payees, payments.amount_mc.tolist(), payments.time_s.tolist())
        for payment in zip(*columns, strict=True):
            self._pay(state, *payment)
        if others is not None or not all(fresh):
            self._rest(state, *(others or (place + len(fresh) - 1, self._last_s(), Kind.CARRY_FORWARD.label)))
        self.size = first + len(entries)
        self.last_sha256 = hashlib.sha256(fresh[-1]).digest()

    def month(self, number: int) -> Integers:
        """The columns of a month, a row for each account; zeros if nothing moved."""
        return self.months.get(number, np.zeros((len(self.known_mc), WIDTH), dtype=np.int64))

    def span(self, first: int, last: int) -> Integers:
        """The sums of the days of these ordinals, both included."""
        found = np.zeros(DAY_WIDTH, dtype=np.int64)
        for day, row in self.days.items():
            if first <= day <= last:
                found += row
        return found

    def balance_mc(self, number: int, after: int) -> int:
        """What an account held at the end of a month (by its number): what it holds without what came later."""
        later = sum(int(rows[number] @ SIGNS) for month, rows in self.months.items() if month > after)
        return int(self.known_mc[number]) - later

    def _see(self, place: int, signed: SignedEntry, state: State) -> bool:
        """Note one entry; whether it moves what only the balances tell."""
        body, time_s = signed.entry.body, signed.entry.time_s
        match body:
            case MintRun():
                self._mint(state, body)
            case Transfer():
                self._pay(state, body.payer, body.payee, body.amount_mc, time_s)
            case PaymentRequest():
                self.requests[signed.entry.id] = body
            case PaymentAnswer():
                self._answer(state, body, time_s)
            case TopUp():
                self._exchange(state, place, signed, body, Of.BOUGHT)
            case Redeem():
                self._exchange(state, place, signed, body, Of.REDEEMED)
            case Charge() | Reverse() | CarryForward():
                return True
        return False

    def _mint(self, state: State, run: MintRun) -> None:
        leaves, self.leaves = self.leaves, []
        columns = mint_arrays.parse(leaves) if leaves else None
        if columns is not None:
            self._mint_columns(state, columns, run)
        else:  # erased leaves among them, or several windows
            for leaf in map(mint.parse, leaves):
                self._mint_columns(state, mint_arrays.from_leaves([leaf]), run)

    def _mint_columns(self, state: State, leaves: MintArrays, run: MintRun) -> None:
        accounts, end_s = state.book.accounts, leaves.window_end_s
        month, day = self._month(end_s - 1), self._day(end_s - 1)
        numbers, at = accounts.numbers(leaves.account_names()), leaves.sources - 1
        np.add.at(month, (numbers, Of.EARNED + at), leaves.amount_mc)
        np.add.at(month, (numbers, Of.ENERGY_WH + at), leaves.energy_wh)
        np.add.at(self.known_mc, numbers, leaves.amount_mc)
        share_mc = int(leaves.association_mc.sum())
        if share_mc:
            association = accounts.open(state.founded.genesis.association)
            month[association, Of.SHARE] += share_mc
            self.known_mc[association] += share_mc
        sums = (leaves.amount_mc, leaves.association_mc, leaves.energy_wh)
        for head, column in zip((Day.MINTED, Day.SHARE, Day.ENERGY_WH), sums, strict=True):
            np.add.at(day, head + at, column)
        version = state.policies.get(run.policy_sha256, -1)
        for source in np.unique(leaves.sources).tolist():
            is_it = leaves.sources == source
            origin = self.origins.setdefault((source, version), np.zeros(3, dtype=np.int64))
            origin += [int(column[is_it].sum()) for column in sums]

    def _pay(self, state: State, payer: bytes, payee: bytes, amount_mc: int, time_s: int) -> None:
        out, into = state.book.accounts.open(payer), state.book.accounts.open(payee)
        month, day, unit = self._month(time_s), self._day(time_s), unit_of(payer)
        month[out, Of.PAID] += amount_mc
        month[out, Of.PAYMENTS] += 1
        month[into, Of.RECEIVED] += amount_mc
        month[into, Of.RECEIPTS] += 1
        self.known_mc[out] -= amount_mc
        self.known_mc[into] += amount_mc
        day[Day.PAYMENTS + unit] += 1
        day[Day.VOLUME + unit] += amount_mc
        self.active_s[out] = max(int(self.active_s[out]), time_s)
        self.active_s[into] = max(int(self.active_s[into]), time_s)

    def _answer(self, state: State, body: PaymentAnswer, time_s: int) -> None:
        """An acceptance with escrow puts aside; what was put aside is paid when it is settled."""
        asked = self.requests.get(body.request)
        if asked is None or (body.verdict is Verdict.ACCEPT and asked.is_escrow):
            return
        if body.verdict in (Verdict.ACCEPT, Verdict.SETTLE):
            self._pay(state, asked.payer, asked.payee, asked.amount_mc, time_s)
        del self.requests[body.request]

    def _exchange(self, state: State, place: int, signed: SignedEntry, body: TopUp | Redeem, column: Of) -> None:
        number, time_s = state.book.accounts.open(body.account), signed.entry.time_s
        sign = 1 if column is Of.BOUGHT else -1
        month = self._month(time_s)
        month[number, column] += body.amount_mc
        month[number, column + 1] += body.paid_cents
        self.known_mc[number] += sign * body.amount_mc
        self._day(time_s)[Day.BOUGHT_CENTS if sign > 0 else Day.REDEEMED_CENTS] += body.paid_cents
        moved = (sign * body.amount_mc, sign * body.paid_cents)
        self.euros.append(Euros(place, signed.entry.id, time_s, body.account, *moved, body.reference))

    def _rest(self, state: State, place: int, time_s: int, kind: str) -> None:
        """What the balances say beyond what is known."""
        accounts = state.book.accounts
        held_mc = view(accounts.credits_mc) - view(accounts.debits_mc)
        rest_mc = held_mc - self.known_mc[: len(held_mc)]
        rest_mc[np.array([holder_of(name) in SYSTEM_HOLDERS for name in accounts.names])] = 0
        (numbers,) = np.nonzero(rest_mc)
        if len(numbers) and not state.book.is_blurred:
            self._month(time_s)[numbers, Of.OTHER] += rest_mc[numbers]
            self.known_mc[numbers] += rest_mc[numbers]
            self.others.append(Others(place, time_s, kind, numbers, rest_mc[numbers]))

    def _grow(self, count: int) -> None:
        """Room for as many accounts, and some more, so that it is not made anew for each newcomer."""
        if count <= len(self.known_mc):
            return
        more = count + 64 + count // 8 - len(self.known_mc)
        self.known_mc, self.active_s = (np.pad(column, (0, more)) for column in (self.known_mc, self.active_s))
        self.months = {month: np.pad(rows, ((0, more), (0, 0))) for month, rows in self.months.items()}

    def _month(self, time_s: int) -> Integers:
        number = self.days_of.month(time_s)
        rows = self.months.get(number)
        if rows is None:
            rows = self.months[number] = np.zeros((len(self.known_mc), WIDTH), dtype=np.int64)
        return rows

    def _day(self, time_s: int) -> Integers:
        day = self.days_of.day(time_s)
        row = self.days.get(day)
        if row is None:
            row = self.days[day] = np.zeros(DAY_WIDTH, dtype=np.int64)
        return row

    def _last_s(self) -> int:
        return int(self.active_s.max(initial=0))
