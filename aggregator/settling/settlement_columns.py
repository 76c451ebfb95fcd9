"""The same as settlement.py for all devices at once. Pure; test_settlement_columns.py holds one against the other.

Devices go on in rounds: the first reading of each, then the second of those that have one, and so on. In the usual
closing there is one round.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.settling.open_readings import Waiting
from aggregator.settling.settlement import Span
from commonwatt.block import FLAG_REGISTER_REPLACED
from commonwatt.page import UNKNOWN, Integers

NOT_BEGUN = -1
"""The time of a device without a settled reading."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """`Settled` of devices in columns that `settle` changes, in the order of `devices` (numbers, ascending).
    Registers in Wh by quantity, UNKNOWN: not seen yet."""

    devices: Integers
    times_s: Integers
    first_times_s: Integers
    registers_wh: dict[int, Integers]
    first_wh: dict[int, Integers]


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans in columns. `devices`: numbers; `growth_wh`: by quantity, UNKNOWN where a span says nothing of it."""

    devices: Integers
    starts_s: Integers
    ends_s: Integers
    growth_wh: Mapping[int, Integers]
    received_s: Integers
    evidence_ids: Integers
    is_replaced: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.devices)

    def where(self, rows: NDArray[np.bool_]) -> "Spans":
        """Some of the rows."""
        return Spans(
            *(self.devices[rows], self.starts_s[rows], self.ends_s[rows]),
            {quantity: growth_wh[rows] for quantity, growth_wh in self.growth_wh.items()},
            *(self.received_s[rows], self.evidence_ids[rows], self.is_replaced[rows]),
        )

    def span(self, row: int, device: bytes) -> Span:
        """One row as the plain functions take it."""
        growth_wh = {quantity: int(values[row]) for quantity, values in self.growth_wh.items()}
        return Span(
            *(device, int(self.starts_s[row]), int(self.ends_s[row])),
            {quantity: wh for quantity, wh in growth_wh.items() if wh != UNKNOWN},
            *(int(self.received_s[row]), int(self.evidence_ids[row]), bool(self.is_replaced[row])),
        )


def settle(accounts: Accounts, readings: Waiting, wraps_at_wh: Integers) -> Spans:
    """Take readings, in any order, into the accounts of their devices; the spans that they complete, in no order.

    `wraps_at_wh`: where the registers of each account's device begin at 0 again; 0: not declared.
    """
    for quantity in readings.registers_wh:
        for registers_wh in (accounts.registers_wh, accounts.first_wh):
            registers_wh.setdefault(quantity, np.full(len(accounts.devices), UNKNOWN))
    at = np.searchsorted(accounts.devices, readings.devices)
    rows = _in_turn(at, readings)
    rows = rows[readings.times_s[rows] > accounts.times_s[at[rows]]]
    turns = _turns(at[rows])
    found: list[Spans] = []
    for turn in range(int(turns.max()) + 1 if len(turns) else 0):
        take = rows[turns == turn]
        found.append(_advance(accounts, readings, take, at[take], wraps_at_wh[at[take]]))
    return _joined(found, list(accounts.registers_wh))


def _in_turn(at: Integers, readings: Waiting) -> Integers:
    """Rows by device and time; of several of one time that of the smallest seq."""
    order = np.lexsort((readings.seqs, readings.times_s, at))
    at, times_s = at[order], readings.times_s[order]
    is_first = np.ones(len(order), dtype=np.bool_)
    is_first[1:] = (at[1:] != at[:-1]) | (times_s[1:] != times_s[:-1])
    rows: Integers = order[is_first]
    return rows


def _turns(at: Integers) -> Integers:
    """Of rows by device: the how many-th of its device each is."""
    places = np.arange(len(at))
    is_first = np.ones(len(at), dtype=np.bool_)
    is_first[1:] = at[1:] != at[:-1]
    return places - np.maximum.accumulate(np.where(is_first, places, 0))


def _advance(accounts: Accounts, readings: Waiting, rows: Integers, at: Integers, wraps_at_wh: Integers) -> Spans:
    """One reading each of several devices; the spans of those that had begun."""
    has_begun = accounts.times_s[at] != NOT_BEGUN
    is_replaced = (readings.flags[rows] & FLAG_REGISTER_REPLACED) != 0
    growth_wh: dict[int, Integers] = {}
    for quantity, values in readings.registers_wh.items():
        before, after, first = accounts.registers_wh[quantity][at], values[rows], accounts.first_wh[quantity][at]
        is_known = (before != UNKNOWN) & (after != UNKNOWN)
        has_wrapped = is_known & (after < before) & (before < wraps_at_wh)
        jump = np.where(has_wrapped, -wraps_at_wh, 0)
        grown = np.where(is_known, after, 0) - np.where(is_known, before, 0)
        jump = np.where(is_known & is_replaced, grown, jump)
        growth_wh[quantity] = np.where(is_known, grown + np.where(has_wrapped, wraps_at_wh, 0), UNKNOWN)
        accounts.registers_wh[quantity][at] = np.where(after == UNKNOWN, before, after)
        accounts.first_wh[quantity][at] = np.where(first == UNKNOWN, after, first + jump)
    starts_s, ends_s = accounts.times_s[at], readings.times_s[rows]
    accounts.first_times_s[at] = np.where(has_begun, accounts.first_times_s[at], ends_s)
    accounts.times_s[at] = ends_s
    return Spans(
        accounts.devices[at][has_begun],
        starts_s[has_begun],
        ends_s[has_begun],
        {quantity: values[has_begun] for quantity, values in growth_wh.items()},
        readings.received_s[rows][has_begun],
        readings.evidence_ids[rows][has_begun],
        is_replaced[has_begun],
    )


def _joined(parts: list[Spans], quantities: list[int]) -> Spans:
    def column(name: str) -> Integers:
        return np.concatenate([getattr(part, name) for part in parts] or [np.empty(0, dtype=np.int64)])

    growth_wh: dict[int, Integers] = {
        quantity: np.concatenate(
            [part.growth_wh.get(quantity, np.full(len(part), UNKNOWN)) for part in parts]
            or [np.empty(0, dtype=np.int64)]
        )
        for quantity in quantities
    }
    devices, starts_s, ends_s, received_s, evidence_ids = map(
        column, ("devices", "starts_s", "ends_s", "received_s", "evidence_ids")
    )
    is_replaced = column("is_replaced").astype(np.bool_)
    return Spans(devices, starts_s, ends_s, growth_wh, received_s, evidence_ids, is_replaced)
