"""Whole mint-runs at once: what rules.py decides leaf by leaf, over columns.

This way only ever says yes. Whatever it would not allow, or does not understand, goes leaf by leaf through rules.py,
which names the leaf and the refusal: so there is one set of rules, and a test holds this way to their answers.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from commonwatt.units import INT64_MAX
from ledger.book.account_columns import HAS_WALLET, SOURCES, octets, view
from ledger.book.body import MintRun
from ledger.book.columns import Integers, Truths
from ledger.book.entry import SignedEntry
from ledger.book.kinds import ISSUANCE
from ledger.book.mint import SOURCE_PRODUCTION
from ledger.book.mint_arrays import MintArrays
from ledger.book.rules import RUN_LEAVES_MAX
from ledger.book.state import State


@dataclass(frozen=True, slots=True)
class Credits:
    """What a run would do to the state.

    `claims`: places in the column of claims. `accounts`: their numbers; `after_mc`: what each has received then.
    """

    claims: Integers
    accounts: Integers
    after_mc: Integers
    energy_wh: int
    total_mc: int
    end_s: int


def credits_of(state: State, leaves: MintArrays) -> Credits | None:
    """What these leaves come to; None unless rules.py would stage every one of them. The state stays as it is."""
    start_s, end_s = leaves.window_start_s, leaves.window_end_s
    is_late = any(
        owed_s < end_s and start_s < owed_end_s for _account, _source, owed_s, owed_end_s in state.claims.owed
    )
    is_usual = state.size > 0 and state.stage is None and not is_late
    if not is_usual or not 0 < len(leaves) <= RUN_LEAVES_MAX or not leaves.is_well_formed:
        return None
    if are_held(state, leaves).any():
        return None
    numbers = state.book.accounts.numbers(leaves.account_names())
    claims = _claims(state, leaves, numbers)
    energy_wh, amount_mc, association_mc = map(_sum, (leaves.energy_wh, leaves.amount_mc, leaves.association_mc))
    total_mc = amount_mc + association_mc
    gross_mc = leaves.amount_mc.view(np.uint64) + leaves.association_mc.view(np.uint64)
    if claims is None or not gross_mc.all() or max(energy_wh, total_mc) > INT64_MAX:
        return None
    credits_mc = _by_account(state, leaves, numbers, association_mc)
    moved = np.flatnonzero(credits_mc)
    before_mc = view(state.book.accounts.credits_mc)[moved]
    issued_mc = state.book.accounts[ISSUANCE].debits_mc + total_mc
    if (before_mc > INT64_MAX - credits_mc[moved]).any() or issued_mc > INT64_MAX:
        return None
    return Credits(claims, moved, before_mc + credits_mc[moved], energy_wh, total_mc, leaves.window_end_s)


def are_held(state: State, leaves: MintArrays) -> Truths:
    """Which leaves a hold stops now. Whoever mints leaves them out, and mints them after a release (CLAIM_HELD)."""
    window = (leaves.window_start_s, leaves.window_end_s)
    return _are_of(leaves, [claim for claim in state.claims.held if state.claims.is_held(claim, *window)])


def are_barred(state: State, leaves: MintArrays) -> Truths:
    """Which of them a hold stops that was refused for good: nobody needs to keep those."""
    refused = [state.claims.holds[hold] for hold in state.claims.refused]
    window = (leaves.window_start_s, leaves.window_end_s)
    return _are_of(leaves, [row.claim for row in refused if row.overlaps(*window)])


def are_stranded(state: State, leaves: MintArrays) -> Truths:
    """Which leaves can never be minted as they are (WINDOW_MINTED): later time was minted, and a released hold left
    only a part of their own time owed. Whoever mints leaves them out."""
    start_s, end_s = leaves.window_start_s, leaves.window_end_s
    owed = {row[:2] for row in state.claims.owed if row[2] < end_s and start_s < row[3]}
    late = (claim for claim in owed if start_s < state.minted_until_s.get(claim, 0))
    return _are_of(leaves, [claim for claim in late if not state.claims.is_owed(claim, start_s, end_s)])


def apply_run(state: State, credit: Credits, signed: SignedEntry, run: MintRun) -> bool:
    """Put the leaves and their run into the state; False, and nothing changed, unless rules.py would.

    `run` is the body of `signed`; its root and sums are those of the leaves. `credit` is of this very state.
    """
    is_new = signed.entry.id not in state.ids and run.policy_sha256 in state.policies
    if not is_new or run.first != state.size or state.founded.check_quorum(signed) is not None:
        return False
    accounts = state.book.accounts
    issuance = accounts.open(ISSUANCE)
    view(accounts.credits_mc)[credit.accounts] = credit.after_mc
    accounts.debits_mc[issuance] += credit.total_mc
    view(accounts.minted_until_s)[credit.claims] = credit.end_s
    state.book.touched.update(credit.accounts.tolist())
    state.book.touched.add(issuance)
    state.size += run.count + 1
    state.ids.add(signed.entry.id)
    return True


def _are_of(leaves: MintArrays, claims: Iterable[tuple[bytes, int]]) -> Truths:
    """Which leaves are of any of these accounts and sources."""
    found = np.zeros(len(leaves), dtype=np.bool_)
    for account, source in claims:
        is_account = (leaves.account_ids == np.frombuffer(account, dtype=np.uint8)).all(axis=1)
        found |= is_account & (leaves.sources == source)
    return found


def _claims(state: State, leaves: MintArrays, numbers: Integers) -> Integers | None:
    """Where the claim keys of the leaves stand, if each is there once, of an admitted account, and free."""
    accounts = state.book.accounts
    is_admitted = octets(accounts.standings, 1)[numbers, 0] & HAS_WALLET != 0
    is_admitted |= numbers == accounts.number(state.founded.genesis.association)
    if (numbers < 0).any() or not is_admitted.all():
        return None
    claims: Integers = numbers * SOURCES + (leaves.sources - SOURCE_PRODUCTION)
    until_s = view(accounts.minted_until_s)
    is_claimed = np.zeros(len(until_s), dtype=np.bool_)
    is_claimed[claims] = True
    is_free = np.count_nonzero(is_claimed) == len(leaves) and (until_s[claims] <= leaves.window_start_s).all()
    return claims if is_free else None


def _by_account(state: State, leaves: MintArrays, numbers: Integers, association_mc: int) -> Integers:
    """What each account gets, by number; no sum overflows, because the sum of all does not."""
    credits_mc = np.zeros(len(state.book.accounts), dtype=np.int64)
    np.add.at(credits_mc, numbers, leaves.amount_mc)
    credits_mc[state.book.accounts.open(state.founded.genesis.association)] += association_mc
    return credits_mc


def _sum(values: Integers) -> int:
    """The exact sum of values of up to 63 bits."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFF_FFFF).sum())
