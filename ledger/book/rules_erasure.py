"""What an erased entry leaves behind, and the carry-forward that replaces it.

Once somebody's entries are erased, their slots in the log are empty and only their hashes remain. Whoever replays
such a log knows some balances no longer: from the first empty slot on nothing is refused for want of funds, until a
carry-forward has named every empty slot. It was signed while everyone could still replay it, and it was refused if
it stated anything but the book; so with its balances the replay is exact again, and strict.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from commonwatt.registry import Status
from ledger.book.account_columns import Account
from ledger.book.accounts import Book, Posting, is_balanced
from ledger.book.body import CarryForward, MintRun
from ledger.book.measures import CARRIED_ACCOUNTS_MAX, ERASED_RANGES_MAX, Carried
from ledger.book.refusals import Refusal
from ledger.book.state import Stage, State
from ledger.book.units import holder_of
from ledger.log import merkle


def skip(state: State, leaf_hash: bytes) -> Refusal | None:
    """Pass over an empty slot; between mint leaves it was one of them."""
    if state.size == 0:
        return Refusal.MISPLACED
    state.erasure.count += 1
    state.erasure.uncovered.add(state.size)
    state.book.is_blurred = True
    if state.stage is not None:
        state.stage.leaf_hashes.append(leaf_hash)
        state.stage.erased += 1
    else:
        state.erasure.remember(state.size, leaf_hash)
    state.size += 1
    return None


def is_run_of_erased(state: State, run: MintRun) -> bool:
    """Whether a run has leaves among empty slots."""
    if not state.erasure.uncovered:
        return False
    return state.stage is None or state.stage.erased > 0 or run.first != state.stage.first


def close_run(state: State, run: MintRun) -> Stage | Refusal:
    """The stage as it was before leaves of it were erased, as far as that can be known.

    Their hashes still have to give the run's root. What their leaves minted goes to the association until the
    carry-forward says whose it is.
    """
    stage = state.stage or Stage(state.size, run.window_start_s, run.window_end_s)
    slots = state.erasure.before(stage.first)
    missing = run.count - len(stage.leaf_hashes)
    if not 0 <= missing <= len(slots) or run.first != stage.first - missing:
        return Refusal.RUN_RANGE
    if run.root != merkle.root([*slots[len(slots) - missing :], *stage.leaf_hashes]):
        return Refusal.RUN_ROOT
    if run.energy_wh < stage.energy_wh or run.total_mc < stage.total_mc:
        return Refusal.RUN_TOTAL
    stage.association_mc += run.total_mc - stage.total_mc
    stage.total_mc = run.total_mc
    return stage


def carry_forward(state: State, body: CarryForward) -> Refusal | None:
    """Confirm the balances that will not follow from the log any more; after the erasure, restore them."""
    if any(first + count > state.size for first, count in body.erased):
        return Refusal.RUN_RANGE
    if not state.erasure.uncovered:
        return _confirm(state, body)
    uncovered = state.erasure.uncovered - set(_places(body))
    if not uncovered and not _is_balanced_with(state.book, body.accounts):
        return Refusal.WRONG_BALANCE
    for row in body.accounts:
        restore(state.book, row)
    state.erasure.uncovered = uncovered
    state.book.is_blurred = bool(uncovered)
    return None


def _confirm(state: State, body: CarryForward) -> Refusal | None:
    holder = state.admissions.account(body.holder)
    if holder is None:
        return Refusal.UNKNOWN_ACCOUNT
    if holder[1] is not Status.REVOKED:
        return Refusal.NOT_REVOKED
    if _has_open(state, body.holder):
        return Refusal.STILL_OPEN
    return None if all(row == carried(state.book, row.account) for row in body.accounts) else Refusal.WRONG_BALANCE


def carried(book: Book, account: bytes) -> Carried:
    """An account as a carry-forward states it."""
    row = book.accounts.get(account, Account())
    pending_mc, mark_mc = book.pending_mc.get(account, 0), book.marks_mc.get(account, 0)
    return Carried(account, row.debits_mc, row.credits_mc, pending_mc, mark_mc)


def restore(book: Book, row: Carried) -> None:
    """Set an account to what a carry-forward states."""
    book.put(row.account, Account(row.debits_mc, row.credits_mc))
    for amounts_mc, amount_mc in ((book.pending_mc, row.pending_mc), (book.marks_mc, row.mark_mc)):
        amounts_mc.pop(row.account, None)
        if amount_mc:
            amounts_mc[row.account] = amount_mc


def compose(holder: bytes, places: Iterable[int], truth: Book, blurred: Book, reason: str) -> CarryForward | None:
    """The carry-forward that makes a replay without these places exact; None if it is too large for one entry.

    `truth` is the book as it is, `blurred` that of a replay in which the places were empty.
    """
    names = sorted(truth.accounts.keys() | blurred.accounts.keys())
    rows = tuple(carried(truth, name) for name in names if carried(truth, name) != carried(blurred, name))
    ranges = tuple(_ranges(sorted(places)))
    if len(rows) > CARRIED_ACCOUNTS_MAX or len(ranges) > ERASED_RANGES_MAX:
        return None
    return CarryForward(holder, ranges, rows, reason)


def _places(body: CarryForward) -> Iterator[int]:
    return chain.from_iterable(range(first, first + count) for first, count in body.erased)


def _ranges(places: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for at in range(1, len(places) + 1):
        if at == len(places) or places[at] != places[at - 1] + 1:
            yield places[start], at - start
            start = at


def _has_open(state: State, holder: bytes) -> bool:
    asked = (row.request for row in state.requests.values())
    is_party = any(holder in (holder_of(row.payer), holder_of(row.payee)) for row in asked)
    holds = (row for hold, row in state.claims.holds.items() if hold not in state.claims.refused)
    return is_party or any(row.account == holder for row in holds)


def _is_balanced_with(book: Book, rows: tuple[Carried, ...]) -> bool:
    balances_mc = {name: row.balance_mc for name, row in book.accounts.items()}
    balances_mc |= {row.account: row.credits_mc - row.debits_mc for row in rows}
    return is_balanced([Posting(name, amount_mc) for name, amount_mc in balances_mc.items()])
