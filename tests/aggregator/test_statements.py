"""Values that people declare and confirm, the operator's requests: signed, logged, paid once or refused by name."""

import json
import time

import pytest

from aggregator.policy.rules import Policy
from aggregator.private.store import PrivateStore
from aggregator.statements import declaring
from aggregator.statements import statement as statements
from aggregator.statements.signers import Signer
from aggregator.statements.statement import EVERYBODY, Statement, Topic
from aggregator.statements.values import Refused, check, sentence
from aggregator.testing import GENESIS, POLICY, TIME_S, commonwatt, ident, key, write_papers
from commonwatt.errors import FormatError
from commonwatt.identity import save_key
from commonwatt.registry import Status
from commonwatt.testing_pages import rows_of
from ledger.book.body import SetStatus
from ledger.book.kinds import Subject
from ledger.sequencer import Placed
from ledger.testing import signed
from tests.aggregator.test_heat_paid import HEAT, heat_meter

HOUR_S, DAY_S = 3600, 86_400
CLOCK = ("--clock", f"{TIME_S + 2 * DAY_S}@{time.time():.0f}x1")
TIME = """
[declared.time]
unit = "h"
rate_mc_per_unit = 10000
cap_mc_per_month = 30000
age_days_max = 30
"""
RULES = Policy.parse(POLICY.text + TIME + HEAT, where="tests")
VALUE = Statement(Topic.VALUE, "time", ident("ana"), TIME_S, TIME_S + DAY_S, 2500, b"\x05" * 32)


@pytest.fixture
def works(make_works):
    """The quarter with a policy that pays for time and heat, its papers, names and the wallets' key files."""
    works = make_works(policy=RULES)
    works.clock.civil_s = TIME_S + 2 * DAY_S
    write_papers(works.directory)
    (works.directory / "policy.toml").write_text(RULES.text)
    people = PrivateStore(works.directory / "private.db")
    for name in ("ana", "ben"):
        people.enrol("members", name.title(), ident(name))
        save_key(works.directory / "keys" / f"{name}.key", key(name))
    people.save()
    return works


def told(works, *words):
    """A command while the aggregator is stopped; its last line or refusal."""
    works.database.close()
    works.ledger.close()
    code, output, errors = commonwatt(*words)
    return (output if code == 0 else errors).strip()


def pass_an_hour(works):
    """The next window closes."""
    works.close_until(works.closer.next_end_s + HOUR_S - 900)


def key_of(works, name):
    return works.directory / "keys" / f"{name}.key"


def declare(works, by="ana", member="Ana", amount="2.5"):
    picture = works.directory / "hedge.jpg"
    picture.write_bytes(b"a hedge")
    words = ("--member", member, "--kind", "time", "--amount", amount, "--on", "2024-07-15", "--text", "cut a hedge")
    files = ("--attach", picture, "--key", key_of(works, by))
    return told(works, "declare", works.directory, *words, *files, *CLOCK).split()[0]


def confirm(works, name, by="ben"):
    return told(works, "declared", "confirm", works.directory, name, "--key", key_of(works, by), *CLOCK)


def test_a_value_is_paid_when_a_second_person_has_seen_it(make_works, works):
    """Declared it waits, confirmed it is one mint of source 6 without energy, and a restart pays nothing again."""
    name = declare(works)
    listed = told(works, "declared", "list", works.directory)
    for words in (name, "Ana", "time", "2.500", "2024-07-15", "cut a hedge", "hedge.jpg"):
        assert words in listed
    again = make_works.reopen(works)
    pass_an_hour(again)
    assert again.balances() == {}
    assert "It is paid when" in confirm(again, name)
    paid = make_works.reopen(again)
    pass_an_hour(paid)
    assert paid.balances() == {"ana": 22_500, "association": 2_500}
    ((page,),) = paid.rows("SELECT columns FROM line_page")
    (line,) = rows_of(page)
    assert (line["source"], line["energy_wh"], line["amount_mc"]) == (6, 0, 25_000)
    once_more = make_works.reopen(paid)
    pass_an_hour(once_more)
    assert once_more.balances() == paid.balances()
    assert told(once_more, "declared", "list", once_more.directory) == ""


def test_a_value_that_is_declared_and_confirmed_while_the_aggregator_runs(works):
    """Neither needs it stopped; it is paid with the next window."""
    words = ("--member", "Ana", "--kind", "time", "--amount", "2.5", "--on", "2024-07-15", "--text", "cut a hedge")
    code, said, errors = works.while_running(
        "declare", works.directory, *words, "--key", key_of(works, "ana"), *CLOCK
    )
    assert (code, errors) == (0, "")
    confirmed = ("declared", "confirm", works.directory, said.split()[0], "--key", key_of(works, "ben"), *CLOCK)
    code, said, errors = works.while_running(*confirmed)
    assert (code, errors) == (0, "")
    assert "no declaration that waits" in works.while_running(*confirmed)[2]
    pass_an_hour(works)
    assert works.balances() == {"ana": 22_500, "association": 2_500}


def test_values_above_the_cap_are_not_paid(make_works, works):
    """Thirty credits a month: of the second declaration only what is left, of the third nothing."""
    for name in [declare(works, amount=amount) for amount in ("2.5", "1", "7")]:
        confirm(works, name)
    again = make_works.reopen(works)
    pass_an_hour(again)
    assert again.balances() == {"ana": 27_000, "association": 3_000}


@pytest.mark.parametrize(
    ("declarer", "member", "confirmer", "words"),
    [
        ("ana", "Ana", "ana", "a second person has to"),
        ("ben", "Ana", "ben", "a second person has to"),
        ("ben", "Ana", "ana", "for cannot confirm"),
        ("ana", "Ana", "operator", "no active wallet"),
    ],
)
def test_confirming_when_one_may_not(works, declarer, member, confirmer, words):
    """Neither who declared nor whom it is for, and nobody whom the ledger does not know; by name, nothing entered."""
    name = declare(works, by=declarer, member=member)
    refusal = confirm(works, name, by=confirmer)
    if confirmer == "operator":
        assert "no active wallet" in refusal or "may not state" in refusal
    else:
        assert words in refusal
    assert name in told(works, "declared", "list", works.directory)


@pytest.mark.parametrize(
    ("statement", "time_s", "refused"),
    [
        (VALUE, TIME_S + DAY_S, None),
        (VALUE, TIME_S + 31 * DAY_S, None),
        (VALUE, TIME_S + 31 * DAY_S + 1, Refused.TOO_OLD),
        (VALUE, TIME_S, Refused.IN_THE_FUTURE),
        (Statement(Topic.VALUE, "time", ident("ana"), 0, TIME_S), TIME_S, Refused.NOTHING),
        (Statement(Topic.VALUE, "gold", ident("ana"), 0, TIME_S, 1), TIME_S, Refused.NOT_IN_POLICY),
    ],
)
def test_a_value_when_the_policy_looks_at_it(statement, time_s, refused):
    """The first reason that holds."""
    ben, steward = Signer(b"", "", ident("ben")), Signer(b"", "steward", b"steward")
    assert check(statement, ben, steward, RULES.rules.declared, time_s) is refused
    assert check(statement, ben, None, RULES.rules.declared, time_s) is refused


def test_refusals_when_every_one_has_a_sentence():
    """No two the same."""
    assert len({sentence(refused) for refused in Refused}) == len(Refused)


def test_papers_when_somebody_changed_them(works):
    """A picture that is not the one handed in is not confirmed."""
    name = declare(works)
    (picture,) = [path for path in (works.directory / "papers").iterdir() if path.suffix != ".json"]
    picture.write_bytes(b"another hedge")
    assert "missing or were changed" in told(works, "declared", "list", works.directory)
    assert "missing or were changed" in confirm(works, name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("member,kind\n", "does not name the columns"),
        ("member,kind,amount,on,text,attach\n", "1 to 500 rows"),
        ("member,kind,amount,on,text,attach\nAna,time,1,2024-07-15\n", "line 2: has more or fewer fields"),
        ("member,kind,amount,on,text,attach\nAna,time,1,2024-07-15,x,\nEve,time,1,2024-07-15,x,\n", "row 2: nobody"),
        ("member,kind,amount,on,text,attach\nAna,gold,1,2024-07-15,x,\n", "row 1: the policy in force pays for"),
        ("member,kind,amount,on,text,attach\nAna,time,1.2345,2024-07-15,x,\n", "row 1: an amount is written"),
        ("member,kind,amount,on,text,attach\nAna,time,1,15/07/2024,x,\n", "row 1: an amount is written"),
        ("member,kind,amount,on,text,attach\nAna,time,0,2024-07-15,x,\n", "row 1: a value has an amount"),
        ("member,kind,amount,on,text,attach\nAna,time,1,2024-07-15,x,gone.jpg\n", "gone.jpg: there is no such file"),
    ],
)  # fmt: skip
def test_a_table_with_a_mistake(works, text, words):
    """Named with its row, and nothing of the file is declared or kept."""
    table = works.directory / "values.csv"
    table.write_text(text)
    assert words in told(works, "declare", works.directory, "--csv", table, "--key", key_of(works, "ben"), *CLOCK)
    assert not (works.directory / "papers").exists()


def test_a_table_of_values(make_works, works):
    """Each row is a declaration; files lie beside the table."""
    (works.directory / "a.txt").write_text("a list")
    table = works.directory / "values.csv"
    table.write_text(
        'member,kind,amount,on,text,attach\nAna,time,1,2024-07-15,soup,a.txt\nBen,time,"0,5",2024-07-15,x,\n'
    )
    told(works, "declare", works.directory, "--csv", table, "--key", key_of(works, "steward"), *CLOCK)
    names = [item.statement for item in declaring.stated_in(works.directory)]
    assert [(said.subject, said.number) for said in names] == [(ident("ana"), 1000), (ident("ben"), 500)]


@pytest.mark.parametrize(
    "data",
    [
        VALUE.encode() + b"\x00",
        VALUE.encode()[:-1],
        Statement(Topic.VALUE, "w" * 17, ident("ana"), 0, 1).encode(),
        Statement(Topic.VALUE, "time", ident("ana"), 5, 5).encode(),
        VALUE.encode().replace(b"\x88\x01\x02", b"\x88\x01\x05", 1),
        b"\x88\x01\x02",
    ],
)
def test_a_statement_that_is_none(data):
    """One spelling only."""
    with pytest.raises(FormatError):
        Statement.parse(data)


def test_a_statement_is_read_as_it_was_signed():
    """By its key alone, for this commune alone; every further letter makes it words."""
    text = statements.reason_of(VALUE.sign(key("ana"), GENESIS))
    assert len(text.encode()) <= 256
    status = SetStatus(Subject.MEMBER, ident("ana"), Status.ACTIVE, text)
    found = statements.read(status)
    assert found is not None
    assert found.statement == VALUE
    assert found.is_by(key("ana").public_key, GENESIS)
    assert not found.is_by(key("ben").public_key, GENESIS)
    assert not found.is_by(key("ana").public_key, bytes(32))
    for other in ("=", "A", " "):
        assert statements.read(SetStatus(Subject.MEMBER, ident("ana"), Status.ACTIVE, text + other)) is None


def test_the_longest_statement_has_room_in_an_entry():
    """Times and numbers of 63 bits and a name of sixteen letters."""
    longest = Statement(Topic.VALUE, "w" * 16, ident("ana"), 2**33, 2**34, 2**32, b"\x05" * 32)
    assert len(statements.reason_of(longest.sign(key("ana"), GENESIS)).encode()) <= 256
    assert Statement.parse(longest.encode()) == longest


BEFORE = ("--clock", f"{TIME_S + HOUR_S}@{time.time():.0f}x1")
"""Two days earlier: what is asked for lies ahead."""


def announce(works, *words):
    place = ("operator", "announce", works.directory)
    return told(works, *place, "--from", "2024-07-16T18:00", "--to", "2024-07-16T20:00", *words, *BEFORE)


def test_a_request_of_the_operator(make_works, works):
    """In the log by the operator's signature, by the commune's clock, and shown to everybody."""
    assert "It counts from" in announce(works, "--kind", "peak")
    (item,) = declaring.stated_in(works.directory)
    assert item.signer.role == "operator"
    evening_s = TIME_S + DAY_S + 16 * HOUR_S
    assert item.statement == Statement(Topic.REQUEST, "peak", EVERYBODY, evening_s, evening_s + 2 * HOUR_S)
    shown = told(works, "operator", "requests", works.directory)
    assert shown.split() == ["2024-07-16", "18:00", "–", "2024-07-16", "20:00", "peak", "everybody"]
    assert make_works.reopen(works).closer is not None


def test_a_request_while_the_aggregator_runs(works):
    """Entered through its inbox, known to it at once."""
    hours = ("--from", "2024-07-16T18:00", "--to", "2024-07-16T20:00", "--kind", "surplus")
    code, said, errors = works.while_running("operator", "announce", works.directory, *hours, *BEFORE)
    assert (code, errors) == (0, "")
    assert "It counts from" in said
    assert "surplus" in commonwatt("operator", "requests", works.directory)[1]
    assert "at that time already" in works.while_running("operator", "announce", works.directory, *hours, *BEFORE)[2]
    wrong = ("--from", "2024-07-16T20:00", "--to", "2024-07-16T21:00", "--kind", "peak")
    wrong += ("--key", key_of(works, "steward"))
    assert "may not state" in works.while_running("operator", "announce", works.directory, *wrong, *BEFORE)[2]


@pytest.mark.parametrize(
    ("words", "told_"),
    [
        (("--kind", "low"), "a peak or a surplus"),
        (("--kind", "peak", "--feeder", "Moon"), "no feeder is called 'Moon'"),
        (("--kind", "peak", "--to", "2024-07-16T19:05"), "from one quarter hour to another"),
        (("--kind", "peak", "--to", "2024-07-17T19:00"), "twelve hours at most"),
        (("--kind", "peak", "--from", "soon"), "is no time"),
        (("--kind", "peak", "--from", "2024-07-15T01:00", "--to", "2024-07-15T03:00"), "have begun already"),
    ],
)
def test_a_request_that_is_none(works, words, told_):
    """What is wrong, and nothing in the log."""
    assert told_ in announce(works, *words)
    assert declaring.stated_in(works.directory) == []


def test_a_request_by_somebody_else(works):
    """The steward is not the operator, whoever places the entry."""
    assert "may not state" in announce(works, "--kind", "peak", "--key", key_of(works, "steward"))


def test_a_statement_that_the_wrong_person_signed_is_words(make_works, works):
    """The ledger takes any reason; settling believes only whom it may."""
    request = Statement(Topic.REQUEST, "peak", EVERYBODY, TIME_S, TIME_S + HOUR_S)
    for name in ("ana", "steward"):
        text = statements.reason_of(request.sign(key(name), GENESIS))
        (answer,) = works.ledger.submit(
            [signed(SetStatus(Subject.MEMBER, ident("ana"), Status.ACTIVE, text), "steward")]
        )
        assert isinstance(answer, Placed)
    works.ledger.publish()
    assert declaring.stated_in(works.directory) == []


def test_replay_values_heat_and_time(make_works, works):
    """A proposal that pays twice for both; the present policy's side is what was minted."""
    works.deliver(*heat_meter(works).sign_each(TIME_S, [(0,), (1000,), (2000,), (3000,), (4000,)]))
    confirm(works, declare(works))
    again = make_works.reopen(works)
    again.close_until(TIME_S + 2 * DAY_S + HOUR_S)
    balances = again.balances()
    proposal = again.directory / "proposal.toml"
    proposal.write_text(
        RULES.text.replace("rate_mc_per_unit = 10000", "rate_mc_per_unit = 5000").replace("kwh = 500", "kwh = 1000")
    )
    found = json.loads(told(again, "policy", "replay", again.directory, proposal, "--json"))
    accounts = {name: found["accounts"][ident(name).hex()] for name in ("ana", "sun")}
    assert {name: row["before_mc"] for name, row in accounts.items()} == {name: balances[name] for name in accounts}
    assert accounts["ana"]["after_mc"] == 11_250
    assert accounts["sun"]["after_mc"] == 2200 * 9 // 10
    assert found["association"]["before_mc"] == balances["association"]
