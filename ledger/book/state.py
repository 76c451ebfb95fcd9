"""The state that follows from a log: built by rules.apply, equal for everyone who reads the same entries."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from commonwatt import cbor
from ledger.book.accounts import Book
from ledger.book.admissions import Admissions
from ledger.book.constitution import Constitution


@dataclass(slots=True)
class Stage:
    """Mint leaves that wait for their mint-run: nothing of them is posted yet.

    `amounts_mc`: by account, the association's shares apart in `association_mc`; `minted`: claim keys to be taken.
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


@dataclass(slots=True)
class State:
    """Everything the first `size` entries say.

    `ids`: of all signed entries. `policies`: version by hash. `minted_until_s`: per account and source the end of
    the last minted window; windows only move forward, so one number each replaces a set of all claim keys.
    """

    size: int = 0
    constitution: Constitution | None = None
    book: Book = field(default_factory=Book)
    admissions: Admissions = field(default_factory=Admissions)
    policies: dict[bytes, int] = field(default_factory=dict)
    policy_texts: dict[bytes, str] = field(default_factory=dict)
    minted_until_s: dict[tuple[bytes, int], int] = field(default_factory=dict)
    ids: set[bytes] = field(default_factory=set)
    stage: Stage | None = None

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
    def policy_version(self) -> int:
        """The version in force; -1 before the first."""
        return max(self.policies.values(), default=-1)

    def digest(self) -> bytes:
        """SHA-256 over everything above in one order: equal states have equal digests."""
        assert self.stage is None, "a state between a mint and its run is nobody's state"
        accounts = [[a, row.debits_mc, row.credits_mc] for a, row in sorted(self.book.accounts.items())]
        minted: list[list[Any]] = [[*key, end_s] for key, end_s in sorted(self.minted_until_s.items())]
        genesis = self.constitution.genesis_sha256 if self.constitution else b""
        policies = sorted([version, sha256] for sha256, version in self.policies.items())
        value = [self.size, genesis, accounts, self.admissions.rows(), policies, minted, sorted(self.ids)]
        return hashlib.sha256(cbor.encode(value)).digest()
