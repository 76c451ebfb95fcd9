"""The state that follows from a log: built by rules.apply, equal for everyone who reads the same entries."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from commonwatt import cbor
from commonwatt.identity import key_hint
from commonwatt.registry import Status
from ledger.book.account_columns import HAS_WALLET, MAY_BE_PAID, MAY_PAY
from ledger.book.accounts import Book, Posting
from ledger.book.admissions import Admissions
from ledger.book.claim_keys import ClaimKeys
from ledger.book.constitution import Constitution
from ledger.book.entry_ids import EntryIds
from ledger.book.measures import Cause, Hold
from ledger.book.payments import PaymentRequest
from ledger.book.refusals import Refusal
from ledger.book.tenures import Holder, Tenures
from ledger.book.units import Unit

REVERSIBLE_HALF = 32_768
"""Of the payments made last, at least this many and at most twice as many can be reversed: memory has a bound."""


@dataclass(slots=True)
class OpenRequest:
    """A payment request that was neither paid nor closed. `is_accepted`: its amount is put aside."""

    request: PaymentRequest
    is_accepted: bool = False


@dataclass(slots=True)
class Moved:
    """What a payment posted, and how much of its first posting was not reversed yet."""

    postings: tuple[Posting, ...]
    left_mc: int


@dataclass(slots=True)
class Claims:
    """Claims that a hold stopped, a claim being an account and a source.

    `holds`: by their entry's id, those that were refused for good too; `refused`: which. `held`: the same by claim.
    `owed`: released, to be minted even after later windows: claim, start and end, of which none overlap.
    """

    holds: dict[bytes, Hold] = field(default_factory=dict)
    refused: set[bytes] = field(default_factory=set)
    held: dict[tuple[bytes, int], list[Hold]] = field(default_factory=dict)
    owed: set[tuple[bytes, int, int, int]] = field(default_factory=set)

    def is_held(self, claim: tuple[bytes, int], start_s: int, end_s: int) -> bool:
        """Whether any part of this time is held."""
        return any(row.overlaps(start_s, end_s) for row in self.held.get(claim, ()))

    def is_owed(self, claim: tuple[bytes, int], start_s: int, end_s: int) -> bool:
        """Whether all of this time was held and released, and is not minted yet."""
        owed_s = start_s
        for _account, _source, first_s, last_s in sorted(row for row in self.owed if row[:2] == claim):
            owed_s = max(owed_s, last_s) if first_s <= owed_s else owed_s
        return owed_s >= end_s

    def take_owed(self, claim: tuple[bytes, int], start_s: int, end_s: int) -> None:
        """This time is minted, or held again: what is owed before and after it still is."""
        for row in [row for row in self.owed if row[:2] == claim and row[2] < end_s and start_s < row[3]]:
            self.owed.remove(row)
            parts = ((row[2], start_s), (end_s, row[3]))
            self.owed.update((*claim, first_s, last_s) for first_s, last_s in parts if first_s < last_s)


@dataclass(slots=True)
class Stage:
    """Mint leaves that wait for their mint-run: nothing of them is posted yet.

    `amounts_mc`: by account, the association's shares apart in `association_mc`; `minted`: claim keys to be taken;
    `erased`: how many of `leaf_hashes` are of empty slots.
    """

    first: int
    window_start_s: int
    window_end_s: int
    leaf_hashes: list[bytes] = field(default_factory=list)
    energy_wh: int = 0
    association_mc: int = 0
    total_mc: int = 0
    amounts_mc: dict[bytes, int] = field(default_factory=dict)
    minted: set[tuple[bytes, int]] = field(default_factory=set)
    erased: int = 0


@dataclass(slots=True)
class Erasure:
    """Slots whose entries were erased: how many, and the places that no carry-forward has named yet.

    `slots`: the hashes of those that stand directly before `slots_end`; mint leaves may be among them.
    """

    count: int = 0
    uncovered: set[int] = field(default_factory=set)
    slots: list[bytes] = field(default_factory=list)
    slots_end: int = 0

    def remember(self, place: int, leaf_hash: bytes) -> None:
        """A slot at a place."""
        if place != self.slots_end:
            self.slots = []
        self.slots.append(leaf_hash)
        self.slots_end = place + 1

    def before(self, place: int) -> list[bytes]:
        """The hashes of the empty slots directly before a place."""
        return self.slots if place == self.slots_end else []


@dataclass(slots=True)
class State:
    """Everything the first `size` entries say.

    `ids`: of all signed entries. `policies`: version by hash.
    `requests`: open ones, by their entry's id. `charged_until_s`: the end of the last period charged.
    `paid` and `paid_before`: the payments that can be reversed, by entry id, in two generations.
    `tenures`: which keys were in force where in the log; no rule asks, so it is not in the digest.
    `warned`: accounts that the entry applied last left past their soft limit; an answer, not part of the state.
    """

    size: int = 0
    constitution: Constitution | None = None
    book: Book = field(default_factory=Book)
    admissions: Admissions = field(default_factory=Admissions)
    policies: dict[bytes, int] = field(default_factory=dict)
    policy_texts: dict[bytes, str] = field(default_factory=dict)
    ids: EntryIds = field(default_factory=EntryIds)
    requests: dict[bytes, OpenRequest] = field(default_factory=dict)
    requests_by_payee: dict[bytes, int] = field(default_factory=dict)
    charged_until_s: dict[tuple[Cause, Unit], int] = field(default_factory=dict)
    claims: Claims = field(default_factory=Claims)
    paid: dict[bytes, Moved] = field(default_factory=dict)
    paid_before: dict[bytes, Moved] = field(default_factory=dict)
    erasure: Erasure = field(default_factory=Erasure)
    warned: tuple[bytes, ...] = ()
    stage: Stage | None = None
    tenures: Tenures = field(default_factory=Tenures)

    @property
    def founded(self) -> Constitution:
        """The constitution of a ledger that has one."""
        assert self.constitution is not None
        return self.constitution

    @property
    def genesis_sha256(self) -> bytes:
        """What every signature here is bound to."""
        return self.founded.genesis_sha256

    @property
    def minted_until_s(self) -> ClaimKeys:
        """Per account and source the end of the last minted window."""
        return ClaimKeys(self.book.accounts)

    @property
    def policy_version(self) -> int:
        """The version in force; -1 before the first."""
        return max(self.policies.values(), default=-1)

    @property
    def policy_in_force(self) -> bytes | None:
        """Its hash; None before the first."""
        return max(self.policies, key=lambda sha256: self.policies[sha256], default=None)

    def note_wallet(self, account: bytes) -> None:
        """Have the columns of accounts repeat what the admissions say of this one, if it is one."""
        found = self.admissions.account(account)
        if found is None:
            return
        admission, status = found
        standing = HAS_WALLET
        standing |= MAY_PAY if status is Status.ACTIVE else 0
        standing |= MAY_BE_PAID if status is not Status.REVOKED else 0
        self.book.accounts.note_wallet(account, admission.wallet, standing)

    def holder(self, identifier: bytes) -> Holder | None:
        """The key of an account, or of a role by its key's id, if it is in force."""
        held = self.founded.ids.get(identifier)
        if held is not None:
            is_active = key_hint(held.public_key) in self.founded.keys
            return Holder(held.public_key, role=held.role) if is_active else None
        found = self.admissions.account(identifier)
        if found is None or found[1] is not Status.ACTIVE:
            return None
        return Holder(found[0].wallet, account=identifier)

    def holder_at(self, hint: bytes, place: int) -> Holder | None:
        """Whose key of a hint was in force for the entry at a place; at `size`, for the one that comes next."""
        role, row = self.founded.keys.get(hint), self.admissions.by_id.by_hint(hint)
        if role is not None:
            present: Holder | None = Holder(role.public_key, role=role.role)
        else:
            present = self.holder(row.admission.id) if row is not None else None
        if present is not None and self._since(present) < place:
            return present
        return self.tenures.find(hint, place)

    def note_holder(self, identifier: bytes, before: Holder | None) -> None:
        """Note what the entry that is carried out does to somebody's key; `before`: their `holder` until then."""
        after = self.holder(identifier)
        if after == before:
            return
        if before is not None:
            self.tenures.end(before, self._since(before), self.size)
        if after is not None and after.role:
            self.tenures.roles[key_hint(after.public_key)] = self.size
        elif after is not None:
            self.admissions.by_id.set_since(after.account, self.size)

    def _since(self, present: Holder) -> int:
        if present.role:
            return self.tenures.roles.get(key_hint(present.public_key), 0)
        return self.admissions.by_id.since(present.account)

    def move(self, postings: tuple[Posting, ...], entry_id: bytes) -> Refusal | None:
        """Make the postings of a payment that can be reversed by its entry's id; or why they cannot be made."""
        refusal = self.book.check(postings)
        if refusal is not None:
            return refusal
        self.book.post(postings)
        self.warned = self.book.past_soft_limit(postings)
        self.remember_paid([entry_id], [Moved(postings, abs(postings[0].amount_mc))])
        return None

    def remember_paid(self, ids: Sequence[bytes], moved: Sequence[Moved]) -> None:
        """Keep what payments posted, so that they can be reversed; the oldest are forgotten."""
        start = 0
        while start < len(ids):
            if len(self.paid) >= REVERSIBLE_HALF:
                self.paid, self.paid_before = {}, self.paid
            end = min(len(ids), start + REVERSIBLE_HALF - len(self.paid))
            self.paid.update(zip(ids[start:end], moved[start:end], strict=True))
            start = end

    def payment(self, entry_id: bytes) -> Moved | None:
        """A payment that can be reversed."""
        return self.paid.get(entry_id) or self.paid_before.get(entry_id)

    def digest(self) -> bytes:
        """SHA-256 over everything above in one order: equal states have equal digests."""
        assert self.stage is None, "a state between a mint and its run is nobody's state"
        genesis = self.constitution.genesis_sha256 if self.constitution else b""
        policies = sorted([version, sha256] for sha256, version in self.policies.items())
        minted: list[list[Any]] = [[*key, end_s] for key, end_s in sorted(self.minted_until_s.items())]
        value = [
            *(self.size, genesis, self._accounts(), self.admissions.rows(), policies, minted, self.ids.chain),
            *(self._open(), self._reversible()),
        ]
        return hashlib.sha256(cbor.encode(value)).digest()

    def _accounts(self) -> list[Any]:
        book = self.book
        rows = [[a, row.debits_mc, row.credits_mc] for a, row in sorted(book.accounts.items())]
        limits = [[a, row.soft_mc, row.hard_mc] for a, row in sorted(book.limits.items())]
        amounts = (book.pending_mc, book.incoming_mc, book.marks_mc)
        return [rows, limits, *([list(row) for row in sorted(amount.items())] for amount in amounts)]

    def _open(self) -> list[Any]:
        requests = [[i, row.request.to_cbor(), row.is_accepted] for i, row in sorted(self.requests.items())]
        holds = [[i, row.to_cbor(), i in self.claims.refused] for i, row in sorted(self.claims.holds.items())]
        owed = [list(row) for row in sorted(self.claims.owed)]
        charged = [[int(cause), int(unit), end_s] for (cause, unit), end_s in sorted(self.charged_until_s.items())]
        return [requests, holds, owed, charged]

    def _reversible(self) -> list[Any]:
        generations = (self.paid_before, self.paid)
        return [[[i, row.left_mc] for i, row in sorted(paid.items())] for paid in generations]
