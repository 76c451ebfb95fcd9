"""The book: ledger stories as text. Each line is an entry or a look at a balance; " ! reason" expects a refusal.

admit|merchant ana ben   with wallets               policy              the village's policy, signed by two roles
mint 0 ana 900 100   a leaf of window 0            run 0               the mint-run over the leaves before it
pay ana ben 250      a transfer                    = ana 650           what ana holds, in milli-credits
site farm ana        device meter farm             suspend|revoke|activate member ana
ask ben ana 250 [escrow]   a payment request       accept|decline|settle|withdraw NAME   its answer
topup ana 500 50     500 thousandths for 50 cents  redeem ben 500 48   back for 48 cents
limit ana 50 90      soft and hard, mutual credit  charge levy energy 0 250   period 0 comes to 250
reverse NAME 250     undo a payment                hold ana 0 500      window 0; release|bar NAME ends it
rotate member ana ana2     another key             guard ana 2 phone,paper   who may recover ana
role clerk steward   a further role key            witness tower       who cosigns

A line may end in "as NAME" (its entry's id), "by SIGNER,SIGNER" (other signers) or both. Accounts in another unit are
"ana:mutual"; topup and redeem mean euros, limit mutual credit. "~ ana:mutual" says who the last line left warned.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commonwatt.registry import Status
from ledger import testing
from ledger.book import rules
from ledger.book.accounts import Posting, is_balanced
from ledger.book.body import (
    Body,
    Charge,
    CreditLimit,
    Guard,
    Hold,
    MintRun,
    PaymentAnswer,
    PaymentRequest,
    Policy,
    Redeem,
    Release,
    Reverse,
    Rotate,
    SetStatus,
    TopUp,
    Transfer,
    role_key_id,
)
from ledger.book.kinds import Subject
from ledger.book.measures import Cause
from ledger.book.mint import SOURCE_PRODUCTION
from ledger.book.payments import Verdict
from ledger.book.refusals import Refusal
from ledger.book.state import State
from ledger.book.units import Unit, holder_of
from ledger.log import merkle

STATUSES = {"suspend": Status.SUSPENDED, "revoke": Status.REVOKED, "activate": Status.ACTIVE}


PEOPLE = ("ana", "ben", "eve", "shop")
PERIOD_S = 86_400
_CHARGES_TEXT = """
name = "testville"
[[charge]]
cause = "levy"
unit = "energy"
period_s = 86400
amount_mc = 250
[[charge]]
cause = "demurrage"
unit = "energy"
period_s = 86400
free_mc = 100
rate_ppm = 5000
[[charge]]
cause = "expiry"
unit = "hours"
period_s = 86400
"""
CHARGES = Policy(hashlib.sha256(_CHARGES_TEXT.encode()).digest(), 2, _CHARGES_TEXT)
"""A policy with a levy, demurrage and expiry, to follow the village's own."""


def holder(name: str) -> str:
    """Who signs for an account."""
    return name.partition(":")[0]


def euros(name: str) -> str:
    """The account in euros, unless another is named."""
    return name if ":" in name else f"{name}:euro"


def subject_id(subject: str, name: str) -> bytes:
    """The id of what bears a name; role keys of the genesis entry are named by their key."""
    is_founding = subject == "role" and name in testing.ROLES
    return role_key_id(testing.key(name).public_key) if is_founding else testing.ident(name)


class Book:
    """A ledger in memory that is written in lines."""

    def __init__(self) -> None:
        self.state = State()
        self.log: list[bytes] = []
        self._count = itertools.count()
        self._name, self._by = "", tuple[str, ...]()
        self.put(testing.GENESIS)

    def put(self, data: bytes) -> Refusal | None:
        """Apply one entry; on a refusal the log does not have it."""
        answer = rules.apply(self.state, data, len(self.log))
        if isinstance(answer, Refusal):
            return answer
        self.log.append(data)
        assert is_balanced([Posting(name, row.balance_mc) for name, row in answer.book.accounts.items()])
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
        return self.state.book.balance_mc(testing.account(name))

    def attempt(self, line: str) -> str:
        """Carry out one line that is an entry: "" or the label of its refusal."""
        words = line.split()
        options = {"as": f"line {next(self._count)}", "by": ""}
        while len(words) > 2 and words[-2] in options:
            *words, option, value = words
            options[option] = value
        self._name, self._by = options["as"], tuple(filter(None, options["by"].split(",")))
        refusals = [self.put(data) for data in self._entries(*words)]
        return next((refusal.label for refusal in refusals if refusal is not None), "")

    def _carry_out(self, words: list[str], expected: str, line: str) -> None:
        if words[0] == "=":
            assert self.balance_mc(words[1]) == int(words[2]), line
            return
        if words[0] == "~":
            assert self.state.warned == tuple(map(testing.account, words[1:])), line
            return
        assert self.attempt(" ".join(words)) == expected, line

    def _entries(self, verb: str, *args: str) -> Iterator[bytes]:
        match verb:
            case "admit":
                yield from (testing.member(name) for name in args)
            case "merchant":
                yield from (testing.member(name, Subject.MERCHANT) for name in args)
            case "association":
                yield testing.member("association", Subject.ASSOCIATION)
            case "policy":
                yield testing.policy()
            case "charges":
                yield testing.policy(CHARGES)
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
                payer, payee = map(testing.account, args[:2])
                yield self._signed(Transfer(payer, payee, int(args[2]), ""), holder(args[0]))
            case "role" | "witness":
                yield getattr(testing, verb)(*args)
            case "suspend" | "revoke" | "activate":
                subject, name = args
                body = SetStatus(Subject[subject.upper()], subject_id(subject, name), STATUSES[verb], "")
                yield self._signed(
                    body, *(("steward", "townhall") if subject in ("role", "witness") else ("steward",))
                )
            case _:
                yield self._signed(*self._body(verb, *args))

    def _body(self, verb: str, *args: str) -> tuple[Body, *tuple[str, ...]]:
        """The body of a further kind, and who signs it unless the line says otherwise."""
        match verb:
            case "ask":
                payee, payer, amount_mc, *escrow = args
                accounts = (testing.account(payee), testing.account(payer))
                return PaymentRequest(*accounts, int(amount_mc), bool(escrow), ""), holder(payee)
            case "accept" | "decline" | "settle" | "withdraw":
                request = testing.entry_id(args[0])
                asked = self.state.requests.get(request)
                owner = b"" if asked is None else holder_of(asked.request.payer)
                if asked is not None and verb == "withdraw":
                    owner = holder_of(asked.request.payee)
                signer = next((name for name in PEOPLE if testing.ident(name) == owner), "ana")
                return PaymentAnswer(request, Verdict[verb.upper()]), signer
            case "topup":
                return TopUp(testing.account(euros(args[0])), int(args[1]), int(args[2]), "bank"), "steward"
            case "redeem":
                account = testing.account(euros(args[0]))
                return Redeem(account, int(args[1]), int(args[2]), "bank"), holder(args[0]), "steward"
            case "limit":
                account = testing.account(args[0] if ":" in args[0] else f"{args[0]}:mutual")
                return CreditLimit(account, int(args[1]), int(args[2])), "steward"
            case "charge":
                cause, unit, period, total_mc = args
                start_s = testing.TIME_S - 10 * PERIOD_S + int(period) * PERIOD_S
                head = (Cause[cause.upper()], Unit[unit.upper()], self.state.policy_in_force or bytes(32))
                return Charge(*head, start_s, start_s + PERIOD_S, int(total_mc)), "steward", "townhall"
            case "reverse":
                return Reverse(testing.entry_id(args[0]), int(args[1]), "an error"), "steward", "townhall"
            case "hold":
                start_s = testing.TIME_S + int(args[1]) * testing.WINDOW_S
                window = (start_s, start_s + testing.WINDOW_S)
                return Hold(testing.ident(args[0]), SOURCE_PRODUCTION, *window, int(args[2]), "odd"), "steward"
            case "release" | "bar":
                return Release(testing.entry_id(args[0]), verb == "release", "seen"), "steward"
            case "guard":
                keys = tuple(testing.key(name).public_key for name in args[2].split(","))
                return Guard(testing.ident(args[0]), int(args[1]), keys), args[0]
            case "rotate":
                subject, name, new = args
                body = Rotate(Subject[subject.upper()], subject_id(subject, name), testing.key(new).public_key)
                return body, *(self._by or (name,)), new
        raise AssertionError(f"no line begins with {verb}")

    def _signed(self, body: Body, *signers: str) -> bytes:
        is_rotation = isinstance(body, Rotate)
        return testing.signed(body, *(self._by if self._by and not is_rotation else signers), entry_id=self._name)

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
def new_book() -> type[Book]:
    """Makes founded ledgers in memory."""
    return Book


@pytest.fixture
def book() -> Book:
    """A founded ledger in memory."""
    return Book()


@pytest.fixture
def write(book: Book) -> Callable[[str], Book]:
    """Carry out lines in a fresh book."""
    return book.write


@pytest.fixture(params=["sqlite", "postgres"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory whose ledger lies in SQLite or in PostgreSQL: every test that asks for it runs on both."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        (tmp_path / "ledger.toml").write_text(f'store = "{url}"\n')
    return tmp_path
