"""Random lives of a village: the rules and a naive model of about a hundred lines always agree, over every kind."""

from collections import defaultdict
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ledger import testing
from ledger.book import erased, rules
from ledger.book.accounts import NOTHING
from ledger.book.reader import LogReader
from ledger.book.replay import replay
from ledger.log import merkle

NAMES = ("ana", "ben", "shop")
UNITS = ("energy", "euro", "mutual", "hours")
SOFT_HARD = {"mutual": (100, 200), "hours": (8000, 8000)}
FREE_MC, RATE_PPM, LEVY_MC = 100, 5000, 250

names = st.sampled_from(NAMES)
accounts = st.builds("{}:{}".format, names, st.sampled_from(UNITS))
amounts_mc = st.integers(0, 300)


class Model:
    """Balances by name and unit. Each method says whether the village may do it, and does it then."""

    def __init__(self) -> None:
        self.held: defaultdict[str, int] = defaultdict(int)
        self.pending: defaultdict[str, int] = defaultdict(int)
        self.received: defaultdict[str, int] = defaultdict(int)
        self.marks: defaultdict[str, int] = defaultdict(int)
        self.limits: dict[str, tuple[int, int]] = {}
        self.standing = dict.fromkeys(NAMES, "activate")
        self.minted_until = dict.fromkeys(NAMES, 0)
        self.stopped: set[tuple[str, int]] = set()
        self.owed: set[tuple[str, int]] = set()
        self.requests: dict[str, list[Any]] = {}
        self.payments: dict[str, list[Any]] = {}
        self.charged: defaultdict[str, int] = defaultdict(int)

    def limit_of(self, account: str) -> tuple[int, int]:
        return self.limits.get(account, SOFT_HARD.get(account.partition(":")[2], (0, 0)))

    def free(self, account: str) -> int:
        return self.held[account] - self.pending[account]

    def may_move(self, payer: str, payee: str, amount: int) -> bool:
        who, whom = payer.partition(":")[0], payee.partition(":")[0]
        is_same_unit = payer.partition(":")[2] == payee.partition(":")[2]
        standing = self.standing[who] == "activate" and self.standing[whom] != "revoke"
        return standing and is_same_unit and payer != payee and amount > 0

    def has(self, payer: str, amount: int) -> bool:
        return self.free(payer) - amount >= -self.limit_of(payer)[1]

    def move(self, payer: str, payee: str, amount: int) -> None:
        self.held[payer] -= amount
        self.held[payee] += amount
        self.received[payee] += amount

    def pay(self, entry: str, payer: str, payee: str, amount: int) -> bool:
        if not (self.may_move(payer, payee, amount) and self.has(payer, amount)):
            return False
        self.move(payer, payee, amount)
        self.payments[entry] = [payer, payee, amount]
        return True

    def ask(self, entry: str, payee: str, payer: str, amount: int, escrow: bool) -> bool:
        is_allowed = self.may_move(payee, payer, amount)  # with the roles turned: who asks must be in good standing
        if is_allowed:
            self.requests[entry] = [payee, payer, amount, escrow, False]
        return is_allowed

    def answer(self, entry: str, request: str, verdict: str) -> bool:
        payee, payer, amount, escrow, is_accepted = self.requests[request]
        if verdict != "withdraw" and (verdict == "settle") != is_accepted:
            return False
        if verdict in ("accept", "settle") and not self.may_move(payer, payee, amount):
            return False
        if verdict == "accept" and not self.has(payer, amount):
            return False
        if verdict == "accept" and escrow:
            self.pending[payer] += amount
            self.requests[request][4] = True
            return True
        self.pending[payer] -= amount if is_accepted else 0
        del self.requests[request]
        if verdict in ("accept", "settle"):
            self.move(payer, payee, amount)
            self.payments[entry] = [payer, payee, amount]
        return True

    def exchange(self, entry: str, name: str, amount: int, cents: int) -> bool:
        """Top-up; negative: redemption."""
        out, reserve = -self.held["issuance:euro"], self.held["reserve:euro"]
        if amount == 0 or out + amount > reserve + 10 * cents or self.free(f"{name}:euro") + amount < 0:
            return False
        self.move("issuance:euro", f"{name}:euro", amount)
        self.move("outside:euro", "reserve:euro", 10 * cents)
        return True

    def reverse(self, entry: str, amount: int) -> bool:
        payer, payee, left = self.payments.get(entry, ("", "", 0))
        if not 0 < amount <= left or not self.has(payee, amount):
            return False
        self.move(payee, payer, amount)
        self.payments[entry][2] -= amount
        return True

    def mint(self, window: int, parts: dict[str, tuple[int, int]]) -> bool:
        for name, part in parts.items():
            is_late = window < self.minted_until[name] and (name, window) not in self.owed
            if sum(part) == 0 or (name, window) in self.stopped or is_late:
                return False
        for name, (own, share) in parts.items():
            self.move("issuance:energy", f"{name}:energy", own)
            self.move("issuance:energy", "association:energy", share)
            self.owed.discard((name, window))
            self.minted_until[name] = max(self.minted_until[name], window + 1)
        return True

    def dues(self, cause: str) -> dict[str, int]:
        unit = "hours" if cause == "expiry" else "energy"
        found = {}
        for account in (f"{name}:{unit}" for name in NAMES):
            spent = self.received[account] - self.held[account]
            wanted = {
                "levy": LEVY_MC,
                "demurrage": max(self.free(account) - FREE_MC, 0) * RATE_PPM // 1_000_000,
                "expiry": self.marks[account] - spent,
            }[cause]
            found[account] = max(0, min(wanted, self.free(account)))
        return found

    def charge(self, cause: str, period: int) -> bool:
        if period < self.charged[cause]:
            return False
        self.charged[cause] = period + 1
        for account, due in self.dues(cause).items():
            self.move(account, f"association:{account.partition(':')[2]}", due)
        if cause == "expiry":
            self.marks.update({f"{name}:hours": self.received[f"{name}:hours"] for name in (*NAMES, "association")})
        return True


class Village(RuleBasedStateMachine):
    """Writes a line into the book and asks the model whether it should have been taken."""

    def __init__(self, book: Any) -> None:
        super().__init__()
        self.book, self.model, self.count = book, Model(), 0
        self.keys = {name: name for name in NAMES}
        self.holds: dict[str, tuple[str, int]] = {}
        book.write("policy\n charges\n association\n admit ana ben\n merchant shop")

    def check(self, line: str, is_allowed: bool) -> None:
        refusal = self.book.attempt(line)
        assert (refusal == "") == is_allowed, f"{line}: {refusal or 'taken'}"

    def name(self) -> str:
        self.count += 1
        return f"e{self.count}"

    def key_of(self, account: str) -> str:
        return self.keys[account.partition(":")[0]]

    @rule(payer=accounts, payee=accounts, amount=amounts_mc)
    def pay(self, payer: str, payee: str, amount: int) -> None:
        entry = self.name()
        is_allowed = self.model.pay(entry, payer, payee, amount)
        self.check(f"pay {payer} {payee} {amount} as {entry} by {self.key_of(payer)}", is_allowed)
        if is_allowed:
            is_warned = self.model.free(payer) < -self.model.limit_of(payer)[0]
            assert self.book.state.warned == ((testing.account(payer),) if is_warned else ())

    @rule(payee=accounts, payer=names, amount=amounts_mc, escrow=st.booleans())
    def ask(self, payee: str, payer: str, amount: int, escrow: bool) -> None:
        entry, payer = self.name(), f"{payer}:{payee.partition(':')[2]}"
        is_allowed = self.model.ask(entry, payee, payer, amount, escrow)
        line = f"ask {payee} {payer} {amount} {'escrow' if escrow else ''} as {entry} by {self.key_of(payee)}"
        self.check(line, is_allowed)

    @precondition(lambda self: self.model.requests)
    @rule(data=st.data(), verdict=st.sampled_from(["accept", "decline", "settle", "withdraw"]))
    def answer(self, data: Any, verdict: str) -> None:
        request = data.draw(st.sampled_from(sorted(self.model.requests)))
        payee, payer = self.model.requests[request][:2]
        entry, signer = self.name(), self.key_of(payee if verdict == "withdraw" else payer)
        line = f"{verdict} {request} as {entry} by {signer}"
        self.check(line, self.model.answer(entry, request, verdict))

    @rule(name=names, amount=amounts_mc, cents=st.integers(0, 30))
    def top_up(self, name: str, amount: int, cents: int) -> None:
        entry = self.name()
        is_allowed = self.model.standing[name] != "revoke" and self.model.exchange(entry, name, amount, cents)
        self.check(f"topup {name} {amount} {cents} as {entry}", is_allowed)

    @rule(name=names, amount=amounts_mc, cents=st.integers(0, 30))
    def redeem(self, name: str, amount: int, cents: int) -> None:
        entry = self.name()
        is_merchant = name == "shop" and self.model.standing[name] == "activate"
        is_allowed = is_merchant and self.model.exchange(entry, name, -amount, -cents)
        self.check(f"redeem {name} {amount} {cents} as {entry} by {self.keys[name]},steward", is_allowed)

    @precondition(lambda self: self.model.payments)
    @rule(data=st.data(), amount=amounts_mc)
    def reverse(self, data: Any, amount: int) -> None:
        payment = data.draw(st.sampled_from(sorted(self.model.payments)))
        self.check(f"reverse {payment} {amount} as {self.name()}", self.model.reverse(payment, amount))

    @rule(name=names, unit=st.sampled_from(UNITS), soft=st.integers(0, 50), more=st.integers(0, 50))
    def limit(self, name: str, unit: str, soft: int, more: int) -> None:
        is_allowed = unit in SOFT_HARD and self.model.standing[name] != "revoke"
        self.check(f"limit {name}:{unit} {soft} {soft + more} as {self.name()}", is_allowed)
        if is_allowed:
            self.model.limits[f"{name}:{unit}"] = (soft, soft + more)

    @rule(name=names, verb=st.sampled_from(["activate", "suspend", "activate", "suspend", "revoke"]))
    def set_status(self, name: str, verb: str) -> None:
        is_allowed = self.model.standing[name] != "revoke" and not (verb == "revoke" and self.count < 30)
        if verb == "revoke" and not is_allowed and self.model.standing[name] != "revoke":
            return  # late, or the village is soon empty
        subject = "merchant" if name == "shop" else "member"
        self.check(f"{verb} {subject} {name} as {self.name()}", is_allowed)
        if is_allowed:
            self.model.standing[name] = verb

    @rule(window=st.integers(0, 6), parts=st.dictionaries(names, st.tuples(amounts_mc, amounts_mc), min_size=1))
    def mint(self, window: int, parts: dict[str, tuple[int, int]]) -> None:
        lines = [f"mint {window} {name} {own} {share}" for name, (own, share) in parts.items()]
        size = len(self.book.log)
        is_taken = all(self.book.attempt(line) == "" for line in (*lines, f"run {window} as {self.name()}"))
        is_allowed = self.model.mint(window, parts)
        assert is_taken == is_allowed
        if not is_allowed:
            rules.withdraw_stage(self.book.state)
            del self.book.log[size:]

    @rule(name=names, window=st.integers(0, 6))
    def hold(self, name: str, window: int) -> None:
        entry, claim = self.name(), (name, window)
        is_minted = window < self.model.minted_until[name] and claim not in self.model.owed
        is_allowed = not is_minted and claim not in self.model.stopped
        self.check(f"hold {name} {window} 5 as {entry}", is_allowed)
        if is_allowed:
            self.holds[entry] = claim
            self.model.owed.discard(claim)
            self.model.stopped.add(claim)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), verb=st.sampled_from(["release", "release", "bar"]))
    def release(self, data: Any, verb: str) -> None:
        hold = data.draw(st.sampled_from(sorted(self.holds)))
        claim = self.holds.pop(hold)
        self.check(f"{verb} {hold} as {self.name()}", True)
        if verb == "release":
            self.model.stopped.discard(claim)
            self.model.owed.add(claim)
        self.check(f"{verb} {hold} as {self.name()}", False)

    @rule(cause=st.sampled_from(["levy", "demurrage", "expiry"]), period=st.integers(0, 9), off=st.integers(0, 4))
    def charge(self, cause: str, period: int, off: int) -> None:
        unit = "hours" if cause == "expiry" else "energy"
        error = 1 if off == 4 else 0  # sometimes the total is wrong
        total = sum(self.model.dues(cause).values()) + error
        is_allowed = not error and self.model.charge(cause, period)
        self.check(f"charge {cause} {unit} {period} {total} as {self.name()}", is_allowed)

    @rule(name=names, signers=st.sampled_from(["wallet", "old", "steward", "steward,townhall"]))
    def rotate(self, name: str, signers: str) -> None:
        new = f"{name}-{self.name()}"
        by = {"wallet": self.keys[name], "old": "zoe"}.get(signers, signers)
        is_allowed = self.model.standing[name] != "revoke" and signers in ("wallet", "steward,townhall")
        self.check(f"rotate {'merchant' if name == 'shop' else 'member'} {name} {new} as {new} by {by}", is_allowed)
        if is_allowed:
            self.keys[name] = new

    @invariant()
    def books_agree(self) -> None:
        book = self.book.state.book
        for account, held in self.model.held.items():
            name = testing.account(account.removesuffix(":energy"))
            assert (book.balance_mc(name) if name in book.accounts else 0) == held, account
            assert book.pending_mc.get(name, 0) == self.model.pending[account], account

    def teardown(self) -> None:
        assert replay(self.book.log).digest() == self.book.state.digest()
        is_open = any("ana" in request[0] or "ana" in request[1] for request in self.model.requests.values())
        if not is_open and not any(name == "ana" for name, _ in self.holds.values()):
            self.erase_ana()

    def erase_ana(self) -> None:
        if self.model.standing["ana"] != "revoke":
            self.book.write("revoke member ana as gone")
        slots = [(data, merkle.leaf_hash(data)) for data in self.book.log]
        body = erased.compose(testing.ident("ana"), slots, self.book.state, "asked for")
        assert body is not None
        assert self.book.put(testing.signed(body, "steward", "townhall")) is None
        gone = {place for first, count in body.erased for place in range(first, first + count)}
        kept = [b"" if place in gone else data for place, data in enumerate(self.book.log)]
        reader = LogReader()
        reader.read(kept, [merkle.leaf_hash(data) for data in self.book.log])
        assert reader.finish(), (reader.size, reader.refused)
        for name, row in self.book.state.book.accounts.items():
            assert reader.state.book.accounts.get(name, NOTHING) == row


def test_village_when_it_lives_at_random(new_book: Any) -> None:
    """Whatever is tried, the rules take what the model takes, and every balance is the model's."""
    calm = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Village(new_book()),
        settings=settings(
            max_examples=40, stateful_step_count=30, deadline=None, derandomize=True, suppress_health_check=calm
        ),
    )
