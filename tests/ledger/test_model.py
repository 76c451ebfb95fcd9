"""Random lives of a village: the rules and a model of thirty lines always agree."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from commonwatt.registry import Status
from ledger import testing
from ledger.book import rules
from ledger.book.body import MintRun
from ledger.book.kinds import ISSUANCE, Subject
from ledger.book.refusals import Refusal
from ledger.book.replay import replay
from ledger.book.state import State
from ledger.log import merkle

NAMES = ("ana", "ben", "eve")
names = st.sampled_from(NAMES)
amounts_mc = st.integers(0, 50)


class Village(RuleBasedStateMachine):
    """The model: balances by name, who is suspended, and until which window each name was minted."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.log: list[bytes] = []
        self.count = 0
        self.balances = dict.fromkeys((*NAMES, "association"), 0)
        self.minted_until = dict.fromkeys(NAMES, 0)
        self.suspended: set[str] = set()
        for data in (testing.GENESIS, testing.policy(), *(testing.member(name) for name in NAMES)):
            assert self.put(data) is None

    def put(self, data: bytes) -> Refusal | None:
        answer = rules.apply(self.state, data, len(self.log))
        if isinstance(answer, Refusal):
            return answer
        self.log.append(data)
        return None

    def fresh(self) -> str:
        self.count += 1
        return str(self.count)

    @rule(payer=names, payee=names, amount_mc=amounts_mc)
    def pay(self, payer: str, payee: str, amount_mc: int) -> None:
        is_allowed = payer not in self.suspended and payer != payee and 0 < amount_mc <= self.balances[payer]
        refusal = self.put(testing.pay(payer, payee, amount_mc, memo=self.fresh()))
        assert (refusal is None) == is_allowed
        if is_allowed:
            self.balances[payer] -= amount_mc
            self.balances[payee] += amount_mc

    @rule(name=names, status=st.sampled_from([Status.ACTIVE, Status.SUSPENDED]))
    def set_status(self, name: str, status: Status) -> None:
        assert self.put(testing.status(Subject.MEMBER, name, status, self.fresh())) is None
        (self.suspended.add if status is Status.SUSPENDED else self.suspended.discard)(name)

    @rule(window=st.integers(0, 6), parts=st.dictionaries(names, st.tuples(amounts_mc, amounts_mc), min_size=1))
    def mint(self, window: int, parts: dict[str, tuple[int, int]]) -> None:
        leaves = [testing.earned(name, *part, window=window) for name, part in parts.items()]
        is_allowed = all(sum(part) > 0 and self.minted_until[name] <= window for name, part in parts.items())
        first, data = len(self.log), [leaf.encode() for leaf in leaves]
        hashes = [merkle.leaf_hash(leaf) for leaf in data]
        total_mc = sum(map(sum, parts.values()))
        start_s = testing.TIME_S + window * testing.WINDOW_S
        run = MintRun(
            *(first, len(leaves), merkle.root(hashes), total_mc, total_mc),
            *(testing.POLICY.sha256, start_s, start_s + testing.WINDOW_S),
        )
        signed = testing.signed(run, "aggregator", entry_id=f"run {self.fresh()}")
        if any(self.put(item) is not None for item in [*data, signed]):
            rules.withdraw_stage(self.state)
            del self.log[first:]
            assert not is_allowed
            return
        assert is_allowed
        for name, (amount_mc, association_mc) in parts.items():
            self.balances[name] += amount_mc
            self.balances["association"] += association_mc
            self.minted_until[name] = window + 1

    @invariant()
    def books_agree(self) -> None:
        for name, balance_mc in self.balances.items():
            assert self.state.book.balance_mc(testing.ident(name)) == balance_mc
        assert self.state.book.balance_mc(ISSUANCE) == -sum(self.balances.values())

    def teardown(self) -> None:
        assert replay(self.log).digest() == self.state.digest()


TestVillage = Village.TestCase
TestVillage.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
