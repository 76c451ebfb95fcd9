"""The sums that are kept while the log is followed: whatever happens, they come to the balances of the ledger."""

import hashlib
import random
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from commonwatt.errors import FormatError
from ledger import testing
from ledger.app import LOG
from ledger.book.body import Charge, PaymentAnswer, PaymentRequest, Policy, Redeem, Reverse, TopUp, Transfer
from ledger.book.charges import postings, terms_of
from ledger.book.kinds import Subject
from ledger.book.measures import Cause
from ledger.book.payments import Verdict
from ledger.book.state import State
from ledger.book.units import SYSTEM_HOLDERS, Unit, holder_of
from ledger.follower import LogFollower
from ledger.log.published import PublishedLog
from ledger.sequencer import Placed, Sequencer
from ledger.testing import TIME_S, account, entry_id, ident, signed
from web.money import tally_file
from web.money.tally import SIGNS, Of, Tally
from web.money.tally_file import KeptTally

ZONE = ZoneInfo("Europe/Paris")
DAY_S = 86_400
PEOPLE = ("ana", "ben", "cleo", "dora")
TEXT = 'name = "t"\n[[charge]]\ncause = "levy"\nunit = "energy"\nperiod_s = 864000\namount_mc = 7\n'
LEVY = Policy(hashlib.sha256(TEXT.encode()).digest(), 2, TEXT)


class Life:
    """A village where everything happens by chance; the tally sees it in stretches of any length."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.ledger: Sequencer = testing.village(directory, *PEOPLE)
        self.directory, self.step, self.paid, self.asked = directory, 0, [], []
        self.put(testing.member("baker", Subject.MERCHANT))
        self.put(testing.signed(LEVY, "steward", "townhall"))
        self.ledger.publish()
        self.tally = Tally(ZONE)
        self.follower = LogFollower(PublishedLog(directory / LOG), watch=self.tally)

    def put(self, entry: bytes) -> bool:
        (answer,) = self.ledger.submit([entry])
        return isinstance(answer, Placed)

    def act(self) -> None:
        """One thing, which the ledger may refuse."""
        self.step += 1
        name, time_s = f"step {self.step}", TIME_S + self.step * DAY_S // 2
        payer, payee = self.rng.sample([*PEOPLE, "baker"], 2)
        unit = self.rng.choice(["", ":euro", ":mutual", ":hours"])
        amount_mc = self.rng.randrange(1, 120)
        match self.rng.randrange(8):
            case 0 | 1:
                body = Transfer(account(payer + unit), account(payee + unit), amount_mc, "m")
                if self.put(signed(body, payer, entry_id=name, time_s=time_s)):
                    self.paid.append(name)
            case 2:
                leaves = [
                    testing.earned(one, self.rng.randrange(1, 900), self.rng.randrange(90), window=self.step)
                    for one in sorted(self.rng.sample(PEOPLE, 2), key=ident)
                ]
                testing.mint(self.ledger, leaves, run=name, window=self.step)
            case 3:
                body = PaymentRequest(
                    account(payee + unit), account(payer + unit), amount_mc, self.rng.random() < 0.5, ""
                )
                if self.put(signed(body, payee, entry_id=name, time_s=time_s)):
                    self.asked.append((name, payer, payee))
            case 4 if self.asked:
                asked, payer, payee = self.rng.choice(self.asked)
                verdict = self.rng.choice(list(Verdict))
                signer = payee if verdict is Verdict.WITHDRAW else payer
                self.put(signed(PaymentAnswer(entry_id(asked), verdict), signer, entry_id=name, time_s=time_s))
            case 5:
                body = TopUp(account(f"{payee}:euro"), 1000, 100, name)
                self.put(signed(body, "steward", entry_id=name, time_s=time_s))
                self.put(
                    signed(
                        Redeem(account("baker:euro"), 100, 9, name),
                        "baker",
                        "steward",
                        entry_id=name + "r",
                        time_s=time_s,
                    )
                )
            case 6 if self.paid:
                body = Reverse(entry_id(self.rng.choice(self.paid)), self.rng.randrange(1, 50), "wrong")
                self.put(signed(body, "steward", "townhall", entry_id=name, time_s=time_s))
            case 7:
                self.levy(name, time_s)

    def levy(self, name: str, time_s: int) -> None:
        state, terms = self.ledger.state, terms_of(TEXT, Cause.LEVY, Unit.ENERGY)
        assert terms is not None
        payers = iter([ident(one) for one in (*PEOPLE, "baker")])
        total_mc = sum(max(row.amount_mc, 0) for row in postings(terms, state.book, payers, ident("association")))
        body = Charge(Cause.LEVY, Unit.ENERGY, LEVY.sha256, time_s - 864_000, time_s, total_mc)
        self.put(signed(body, "steward", "townhall", entry_id=name, time_s=time_s))

    def look(self) -> State:
        self.ledger.publish()
        self.follower.step()
        return self.follower.state


def assert_balances(tally: Tally, state: State) -> None:
    """What is known of every account is what it holds."""
    for number, name in enumerate(state.book.accounts.names):
        if holder_of(name) not in SYSTEM_HOLDERS:
            by_month = sum(int(rows[number] @ SIGNS) for rows in tally.months.values())
            assert by_month == tally.known_mc[number] == state.book.balance_mc(name), number


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 30))])
def test_sums_when_anything_happens(tmp_path: Path, seed: int) -> None:
    """They are the balances at any time; seen at once, in stretches, or with a file between, they are the same."""
    life = Life(tmp_path, seed)
    for step in range(70):
        life.act()
        if life.rng.random() < 0.1:
            assert_balances(life.tally, life.look())
        if step == 35:
            life.look()
            again = Tally(ZONE)
            tally_file.read(again, tally_file.spell(life.tally, testing.GENESIS_SHA256), testing.GENESIS_SHA256)
            life.follower = LogFollower(PublishedLog(tmp_path / LOG), watch=again)
            life.tally = again
    state = life.look()
    assert_balances(life.tally, state)
    whole = Tally(ZONE)
    assert_balances(whole, LogFollower(PublishedLog(tmp_path / LOG), watch=whole).state)
    assert {key: row.tolist() for key, row in whole.origins.items()} == {
        key: row.tolist() for key, row in life.tally.origins.items()
    }
    assert sorted(whole.days) == sorted(life.tally.days)
    assert all((whole.days[day] == life.tally.days[day]).all() for day in whole.days)
    assert whole.euros == life.tally.euros
    assert len(whole.months) > 1
    life.ledger.close()


def test_balance_of_a_month_that_is_over(tmp_path: Path) -> None:
    """What an account held at its end, whatever came later."""
    life = Life(tmp_path, 5)
    held: dict[int, int] = {}
    for step in range(72):
        life.act()
        if step % 9:
            continue
        state = life.look()
        month = life.tally.days_of.month(TIME_S + life.step * DAY_S // 2)
        held[month] = state.book.balance_mc(ident("ana"))
    number = state.book.accounts.number(ident("ana"))
    assert number is not None
    months = sorted(held)
    assert life.tally.balance_mc(number, months[-1]) == held[months[-1]]
    sums = [int(life.tally.month(month)[number] @ SIGNS) for month in sorted(life.tally.months)]
    assert [life.tally.balance_mc(number, month) for month in sorted(life.tally.months)] == np.cumsum(sums).tolist()
    life.ledger.close()


def test_file_when_it_is_damaged_or_of_another_log(tmp_path: Path) -> None:
    """It is made anew; nobody is shown other figures."""
    life = Life(tmp_path, 7)
    for _step in range(20):
        life.act()
    life.look()
    data = tally_file.spell(life.tally, testing.GENESIS_SHA256)
    for wrong in (data[:-1], b"", data[:40] + b"x" + data[41:], tally_file.spell(life.tally, bytes(32))):
        (tmp_path / tally_file.FILE).write_bytes(wrong)
        kept = KeptTally(tmp_path, ZONE, testing.GENESIS_SHA256)
        assert kept.size == 0
        LogFollower(PublishedLog(tmp_path / LOG), watch=kept)
        assert np.trim_zeros(kept.known_mc).tolist() == np.trim_zeros(life.tally.known_mc).tolist()
        kept.save()
        assert KeptTally(tmp_path, ZONE, testing.GENESIS_SHA256).size == kept.size
    life.tally.last_sha256 = bytes(32)
    (tmp_path / tally_file.FILE).write_bytes(tally_file.spell(life.tally, testing.GENESIS_SHA256))
    with pytest.raises(FormatError, match="another log"):
        LogFollower(PublishedLog(tmp_path / LOG), watch=KeptTally(tmp_path, ZONE, testing.GENESIS_SHA256))
    assert not (tmp_path / tally_file.FILE).exists()
    life.ledger.close()


def test_columns_when_the_sums_are_added() -> None:
    """Every column that moves money has its sign."""
    assert np.flatnonzero(SIGNS).tolist() == [
        *range(6),
        Of.SHARE,
        Of.PAID,
        Of.RECEIVED,
        Of.BOUGHT,
        Of.REDEEMED,
        Of.OTHER,
    ]
