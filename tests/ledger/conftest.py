"""The book: ledger stories as text. Each line is an entry or a look at a balance; " ! reason" expects a refusal.

admit ana ben        members with wallets          policy              the village's policy, signed by two roles
mint 0 ana 900 100   a leaf of window 0            run 0               the mint-run over the leaves before it
pay ana ben 250      a transfer                    = ana 650           what ana holds, in milli-credits
site farm ana        device meter farm             suspend|revoke|activate member ana
"""

import itertools
from collections.abc import Callable, Iterator

import pytest

from commonwatt.registry import Status
from ledger import testing
from ledger.book import rules
from ledger.book.body import MintRun
from ledger.book.kinds import ISSUANCE, Subject
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.log import merkle

STATUSES = {"suspend": Status.SUSPENDED, "revoke": Status.REVOKED, "activate": Status.ACTIVE}


class Book:
    """A ledger in memory that is written in lines."""

    def __init__(self) -> None:
        self.state = State()
        self.log: list[bytes] = []
        self._count = itertools.count()
        self.put(testing.GENESIS)

    def put(self, data: bytes) -> Refusal | None:
        """Apply one entry; on a refusal the log does not have it."""
        answer = rules.apply(self.state, data, len(self.log))
        if isinstance(answer, Refusal):
            return answer
        self.log.append(data)
        assert sum(account.balance_mc for account in answer.book.accounts.values()) == 0
        return None

    def write(self, text: str) -> "Book":
        """Carry out every line; the first surprise fails the test."""
        for line in text.strip().splitlines():
            words, _, expected = line.partition("!")
            if words.split():
                self._carry_out(words.split(), expected.strip(), line.strip())
        return self

    def balance_mc(self, name: str) -> int:
        """What an account holds."""
        return self.state.book.balance_mc(ISSUANCE if name == "issuance" else testing.ident(name))

    def _carry_out(self, words: list[str], expected: str, line: str) -> None:
        if words[0] == "=":
            assert self.balance_mc(words[1]) == int(words[2]), line
            return
        refusals = [self.put(data) for data in self._entries(*words)]
        found = next((refusal.label for refusal in refusals if refusal is not None), "")
        assert found == expected, line

    def _entries(self, verb: str, *args: str) -> Iterator[bytes]:
        match verb:
            case "admit":
                yield from (testing.member(name) for name in args)
            case "association":
                yield testing.member("association", Subject.ASSOCIATION)
            case "policy":
                yield testing.policy()
            case "site":
                yield testing.site(*args)
            case "device":
                yield testing.device(*args)
            case "mint":
                window, name, *amounts = args
                yield testing.earned(name, *map(int, amounts), window=int(window)).encode()
            case "run":
                yield self.run(int(args[0]))
            case "pay":
                yield testing.pay(args[0], args[1], int(args[2]), memo=f"payment {next(self._count)}")
            case _:
                subject, name = args
                yield testing.status(Subject[subject.upper()], name, STATUSES[verb], f"{next(self._count)}")

    def run(self, window: int, **changes: object) -> bytes:
        """The run over the staged leaves, as the aggregator signs it; `changes` make it a wrong one."""
        stage = self.state.stage
        start_s = testing.TIME_S + window * testing.WINDOW_S
        fields: dict[str, object] = {
            "first": stage.first if stage else len(self.log),
            "count": len(stage.leaf_hashes) if stage else 0,
            "root": merkle.root(stage.leaf_hashes) if stage else merkle.EMPTY_ROOT,
            "energy_wh": stage.energy_wh if stage else 0,
            "total_mc": stage.total_mc if stage else 0,
            "policy_sha256": testing.POLICY.sha256,
            "window_start_s": start_s,
            "window_end_s": start_s + testing.WINDOW_S,
        }
        body = MintRun(**(fields | changes))  # type: ignore[arg-type]
        return testing.signed(body, "aggregator", entry_id=f"run {next(self._count)}")


@pytest.fixture
def book() -> Book:
    """A founded ledger in memory."""
    return Book()


@pytest.fixture
def write(book: Book) -> Callable[[str], Book]:
    """Carry out lines in a fresh book."""
    return book.write
