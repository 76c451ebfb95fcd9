"""Reads a log through the rules in groups of entries: how a sequencer starts, and how an auditor convinces itself.

Mint leaves wait for their run and are then read in columns (mint_arrays.py, mint_bulk.py). Whenever that way does not
say yes, the leaves and what follows them go one by one through rules.py, which names the entry and the refusal.
"""

from collections.abc import Sequence

from commonwatt.errors import FormatError
from ledger.book import entry, mint_arrays, mint_bulk, rules
from ledger.book.batch import Batch
from ledger.book.body import MintRun
from ledger.book.entry import SignedEntry
from ledger.book.mint import LEAF_HEAD
from ledger.book.refusals import Refusal
from ledger.book.rules import RUN_LEAVES_MAX
from ledger.book.state import State
from ledger.book.transfer_bulk import Together
from ledger.log import merkle


class LogReader:
    """`state`: after everything that was read, but for mint leaves whose run has not come.

    `refused`: the first entry that breaks a rule; nothing is read after it. Empty entries are those that were erased;
    each must be named by a carry-forward before the log ends, unless it `may_end_blurred`.
    """

    def __init__(self, state: State | None = None, *, may_end_blurred: bool = False) -> None:
        self.state = state or State()
        self._may_end_blurred = may_end_blurred
        self.refused: Refusal | None = None
        self._leaves: list[bytes] = []
        self._hashes: list[bytes] = []

    @property
    def size(self) -> int:
        """How many entries were read; the place of the refused one, if there is one."""
        if self.refused is Refusal.NOT_CARRIED:
            return min(self.state.erasure.uncovered)
        return self.state.size + len(self._leaves)

    def read(self, entries: Sequence[bytes], leaf_hashes: Sequence[bytes], batch: Batch | None = None) -> bool:
        """Read the next entries, whose leaf hashes the caller has checked; False when one is refused.

        `batch`: the same entries, if the caller has read them already and had their signatures verified.
        """
        together = Together(self.state, batch) if batch is not None else None
        start = 0
        while start < len(entries) and self.refused is None:
            made = together.take(start) if together is not None and not self._leaves else []
            if made:
                start += len(made)
                continue
            end = _end_of_leaves(entries, start)
            self._leaves += entries[start:end]
            self._hashes += leaf_hashes[start:end]
            if len(self._leaves) > RUN_LEAVES_MAX:
                self._read_one_by_one()
            elif end < len(entries):
                signed = (
                    batch.signed(end, self.state.genesis_sha256) if batch is not None and self.state.size else None
                )
                self._read_signed(entries[end], leaf_hashes[end], signed)
            start = end + 1
        return self.refused is None

    def finish(self) -> bool:
        """No more entries come. False when one is refused, or leaves are left without their run."""
        self._read_one_by_one()
        if self.refused is None and self.state.stage is not None:
            rules.withdraw_stage(self.state)
            self.refused = Refusal.MISPLACED
        if self.refused is None and self.state.erasure.uncovered and not self._may_end_blurred:
            self.refused = Refusal.NOT_CARRIED
        return self.refused is None

    def _read_signed(self, data: bytes, leaf_hash: bytes, signed: SignedEntry | None) -> None:
        if not (self._leaves and self._read_run(data)):
            self._read_one_by_one()
            self._apply(data, leaf_hash, signed)

    def _read_run(self, data: bytes) -> bool:
        """Read the waiting leaves and their run at once; False, and nothing changed, if that is not to be."""
        leaves = mint_arrays.parse(self._leaves)
        credit = mint_bulk.credits_of(self.state, leaves) if leaves is not None else None
        if leaves is None or credit is None:
            return False
        try:
            signed = entry.parse(data)
        except FormatError:
            return False
        run = signed.entry.body if isinstance(signed, SignedEntry) else None
        if not isinstance(signed, SignedEntry) or not isinstance(run, MintRun):
            return False
        says = (run.count, run.window_start_s, run.window_end_s, run.energy_wh, run.total_mc, run.root)
        sums = (len(leaves), leaves.window_start_s, leaves.window_end_s, credit.energy_wh, credit.total_mc)
        if says != (*sums, merkle.root(self._hashes)) or not mint_bulk.apply_run(self.state, credit, signed, run):
            return False
        self._leaves, self._hashes = [], []
        return True

    def _read_one_by_one(self) -> None:
        waiting = list(zip(self._leaves, self._hashes, strict=True))
        self._leaves, self._hashes = [], []
        for data, leaf_hash in waiting:
            if self.refused is None:
                self._apply(data, leaf_hash)

    def _apply(self, data: bytes, leaf_hash: bytes, signed: SignedEntry | None = None) -> None:
        if self.refused is not None:
            return
        if signed is not None:
            answer = rules.apply_parsed(self.state, signed, data, self.state.size)
        else:
            answer = rules.apply(self.state, data, self.state.size, leaf_hash)
        if isinstance(answer, Refusal):
            self.refused = answer


def _end_of_leaves(entries: Sequence[bytes], start: int) -> int:
    """Where the next entry stands that is no mint leaf."""
    leaf = LEAF_HEAD[0]
    for end in range(start, len(entries)):
        data = entries[end]
        if not data or data[0] != leaf:
            return end
    return len(entries)
