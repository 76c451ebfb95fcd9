"""Whole mint-runs at once: what rules.py decides leaf by leaf, over columns.

This way only ever says yes. Whatever it would not allow, or does not understand, goes leaf by leaf through rules.py,
which names the leaf and the refusal: so there is one set of rules, and a test holds this way to their answers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonwatt.units import INT64_MAX
from ledger.book.accounts import Account
from ledger.book.body import MintRun
from ledger.book.claim_keys import SOURCES
from ledger.book.entry import SignedEntry
from ledger.book.kinds import ISSUANCE
from ledger.book.mint import SOURCE_PRODUCTION
from ledger.book.mint_arrays import Integers, MintArrays
from ledger.book.rules import RUN_LEAVES_MAX
from ledger.book.state import State


@dataclass(frozen=True, slots=True)
class Credits:
    """What a run would do to the state. `claims`: places in the claim keys; `after_mc`: what each row has then."""

    claims: Integers
    accounts: list[bytes]
    rows: list[Account]
    after_mc: list[int]
    energy_wh: int
    total_mc: int
    end_s: int


def credits_of(state: State, leaves: MintArrays) -> Credits | None:
    """What these leaves come to; None unless rules.py would stage every one of them. The state stays as it is."""
    held = state.claims
    is_usual = state.size > 0 and state.stage is None and not held.held and not held.owed
    if not is_usual or not 0 < len(leaves) <= RUN_LEAVES_MAX or not leaves.is_well_formed:
        return None
    claims = _claims(state, leaves)
    totals = (_sum(leaves.energy_wh), _sum(leaves.amount_mc), _sum(leaves.association_mc))
    energy_wh, amount_mc, association_mc = totals
    total_mc = amount_mc + association_mc
    gross_mc = leaves.amount_mc.view(np.uint64) + leaves.association_mc.view(np.uint64)
    if claims is None or not gross_mc.all() or max(energy_wh, total_mc) > INT64_MAX:
        return None
    credits_mc = _by_account(state, leaves, claims, association_mc)
    moved = np.flatnonzero(credits_mc)
    names = list(map(state.minted_until_s.accounts.__getitem__, moved.tolist()))
    rows = list(map(state.book.accounts.__getitem__, names))
    after_mc = [row.credits_mc + more_mc for row, more_mc in zip(rows, credits_mc[moved].tolist(), strict=True)]
    issued_mc = state.book.accounts[ISSUANCE].debits_mc + total_mc
    if max(after_mc) > INT64_MAX or issued_mc > INT64_MAX:
        return None
    return Credits(claims, names, rows, after_mc, energy_wh, total_mc, leaves.window_end_s)


def apply_run(state: State, credit: Credits, signed: SignedEntry, run: MintRun) -> bool:
    """Put the leaves and their run into the state; False, and nothing changed, unless rules.py would.

    `run` is the body of `signed`; its root and sums are those of the leaves. `credit` is of this very state.
    """
    is_new = signed.entry.id not in state.ids and run.policy_sha256 in state.policies
    if not is_new or run.first != state.size or state.founded.check_quorum(signed) is not None:
        return False
    for row, after_mc in zip(credit.rows, credit.after_mc, strict=True):
        row.credits_mc = after_mc
    state.book.accounts[ISSUANCE].debits_mc += credit.total_mc
    state.book.touched.update(credit.accounts)
    state.book.touched.add(ISSUANCE)
    _until(state)[credit.claims] = credit.end_s
    state.size += run.count + 1
    state.ids.add(signed.entry.id)
    return True


def _claims(state: State, leaves: MintArrays) -> Integers | None:
    """Where the claim keys of the leaves stand, if each is there once, of an account that is there, and free."""
    names = leaves.account_names()
    found = state.minted_until_s.numbers(names)
    if found is None:
        # The first run of an account. Accounts stay, so who has a number need not be looked for again.
        if any(account == ISSUANCE or account not in state.book.accounts for account in names):
            return None
        found = list(map(state.minted_until_s.number, names))
    numbers = np.array(found, dtype=np.int64)
    claims: Integers = numbers * SOURCES + (leaves.sources - SOURCE_PRODUCTION)
    until_s = _until(state)
    is_claimed = np.zeros(len(until_s), dtype=np.bool_)
    is_claimed[claims] = True
    is_free = np.count_nonzero(is_claimed) == len(leaves) and (until_s[claims] <= leaves.window_start_s).all()
    return claims if is_free else None


def _by_account(state: State, leaves: MintArrays, claims: Integers, association_mc: int) -> Integers:
    """What each account gets, by number; no sum overflows, because the sum of all does not."""
    association = state.minted_until_s.number(state.founded.genesis.association)
    credits_mc = np.zeros(len(state.minted_until_s.accounts), dtype=np.int64)
    np.add.at(credits_mc, claims // SOURCES, leaves.amount_mc)
    credits_mc[association] += association_mc
    return credits_mc


def _until(state: State) -> NDArray[Any]:
    """The ends of the last windows as an array; not to be kept, because the keys cannot grow while it lives."""
    return np.frombuffer(state.minted_until_s.until_s, dtype=np.int64)


def _sum(values: Integers) -> int:
    """The exact sum of values of up to 63 bits."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFF_FFFF).sum())
