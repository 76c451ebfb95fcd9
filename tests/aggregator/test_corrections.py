"""What was settled and proves wrong later: a visible revision, signed by two roles, balanced by what comes next."""

import json
import random
import time
from itertools import accumulate

import pytest

from aggregator.minting.corrections import Standing, stands, taken_back
from aggregator.private.store import PrivateStore
from aggregator.statements.corrections import agreed, waiting
from aggregator.statements.signers import Signer
from aggregator.statements.statement import Statement, Topic, reason_of
from aggregator.statements.values import Stated
from aggregator.testing import GENESIS, POLICY, TIME_S, ident, key, write_papers
from commonwatt.identity import save_key
from commonwatt.registry import Status
from commonwatt.testing_pages import rows_of
from ledger.book.body import SetStatus
from ledger.book.kinds import Subject
from ledger.testing import signed

HOUR_S = 3600
DEVICE = ident("sun-roof")
ROLES = ("steward", "townhall")


@pytest.fixture
def works(make_works):
    """The roof made 1000 Wh in each quarter of an hour, of which Ana used 300; it is minted."""
    works = make_works()
    works.clock.civil_s = TIME_S + HOUR_S
    write_papers(works.directory)
    people = PrivateStore(works.directory / "private.db")
    people.enrol("devices", "the roof", DEVICE)
    people.enrol("members", "Sun", ident("sun"))
    people.save()
    hour(works, 0)
    assert works.balances() == {"sun": 2880, "ana": 216, "association": 344}
    return works


def hour(works, number, roof_wh=1000):
    """A further hour: the roof makes about so much a quarter, and Sun's house feeds it in; Ana draws about 300 Wh."""
    start_s = TIME_S + HOUR_S * number
    made = [4000 * number + wh for wh in accumulate([0, *(roof_wh + more for more in (10, -10, 20, -20))])]
    drawn = [1200 * number + wh for wh in accumulate([0, *(300 + more for more in (5, -5, 10, -10))])]
    works.deliver(
        *works.meters["sun-roof"].sign_each(start_s, [(wh,) for wh in made]),
        *works.meters["sun-main"].sign_each(start_s, [(0, wh) for wh in made]),
        *works.meters["ana-main"].sign_each(start_s, [(wh, 0) for wh in drawn]),
    )
    works.close_until(start_s + HOUR_S)


def key_of(works, role):
    return works.directory / "keys" / f"{role}.key"


def ask(works, command, *words):
    """`commonwatt corrections …` while the aggregator runs; what it says, or refuses."""
    clock = ("--clock", f"{works.clock.civil_s:.0f}@{time.time():.0f}x1") if command != "list" else ()
    code, said, errors = works.while_running("corrections", command, works.directory, *words, *clock)
    return said if code == 0 else errors


def make(works, wh=0, *, device="the roof", hours=("02:00", "02:30"), roles=ROLES):
    """Say what is true of the first two quarters (by Paris' clock), signed by these roles."""
    span = ("--from", f"2024-07-15T{hours[0]}", "--to", f"2024-07-15T{hours[1]}")
    keys = [word for role in roles for word in ("--key", key_of(works, role))]
    return ask(works, "make", device, *span, "--wh", wh, "--reason", "a lamp shone on the sensor", *keys)


def test_a_correction_is_balanced_by_what_comes_next(make_works, works):
    """2000 of 4000 Wh are not true: the next mint has them as revisions with less than nothing."""
    said = make(works)
    assert "4000" not in said
    assert "2.000 kWh and 1.600 credits are taken back" in said
    assert "confirms" not in said
    hour(works, 1)
    assert works.balances() == {"sun": 2880 + 2880 - 1440, "ana": 432, "association": 344 + 344 - 160}
    pages = [row for (page,) in works.rows("SELECT columns FROM line_page") for row in rows_of(page)]
    back = [row for row in pages if row["energy_wh"] < 0]
    assert [(row["start_s"], row["revision"], row["energy_wh"], row["amount_mc"]) for row in back] == [
        (TIME_S, 3, -1010, -808),
        (TIME_S + 900, 3, -990, -792),
    ]
    assert works.judged() == []
    listed = ask(works, "list")
    for words in ("the roof", "2024-07-15 02:00 – 2024-07-15 02:30", "1.600 credits", "a lamp shone on the sensor"):
        assert words in listed
    assert "owes" not in listed
    again = make_works.reopen(works)
    hour(again, 2)
    assert again.balances()["sun"] == 4320 + 2880
    assert again.judged() == []


def test_an_account_that_owes_more_than_it_earns(make_works, works):
    """Nothing is minted to it by that source until it is balanced; then all of it is in one mint. Others go on."""
    make(works, hours=("02:00", "03:00"))
    hour(works, 1, roof_wh=100)
    assert works.balances() == {"sun": 2880, "ana": 216 + 72, "association": 344 + 8}
    assert "Sun owes 2.880 credits of solar production" in ask(works, "list")
    assert works.judged() == []
    again = make_works.reopen(works)
    hour_of_plenty(again)
    gross_mc = 6400 + 320 - 3200
    assert again.balances()["sun"] == 2880 + gross_mc - gross_mc // 10
    assert "owes" not in ask(again, "list")
    assert again.judged() == []


def hour_of_plenty(works):
    """Sun's roof makes 2000 Wh in each quarter; nobody draws anything."""
    start_s = TIME_S + 2 * HOUR_S
    made = [4000 + 400 + 2000 * quarter for quarter in range(5)]
    works.deliver(*works.meters["sun-roof"].sign_each(start_s, [(wh,) for wh in made]))
    works.close_until(start_s + HOUR_S)


def test_a_correction_of_a_part_and_then_of_the_rest(works):
    """Each is a revision of its own; the second sees what the first left."""
    assert "taken back" in make(works, 501)
    hour(works, 1)
    assert works.balances()["sun"] == 2880 + 1800
    assert "0.501 kWh were minted" in make(works, 0)
    hour(works, 2)
    assert works.rows("SELECT start_s, revision, energy_wh FROM corrected ORDER BY start_s, revision") == [
        (TIME_S, 3, -757),
        (TIME_S, 4, -253),
        (TIME_S + 900, 3, -742),
        (TIME_S + 900, 4, -248),
    ]
    assert works.balances()["sun"] == 2880 + 1800 + 2520
    assert works.judged() == []


def test_a_replay_and_a_members_own_data_know_corrections(works):
    """A proposal is tried on what is left of claims; whom they concern sees each revision."""
    make(works)
    hour(works, 1)
    proposal = works.directory / "proposal.toml"
    proposal.write_text(POLICY.text.replace("rate_mc_per_kwh = 800", "rate_mc_per_kwh = 400"))
    code, said, errors = works.while_running("policy", "replay", works.directory, proposal, "--json")
    assert (code, errors) == (0, "")
    sun = json.loads(said)["accounts"][ident("sun").hex()]
    assert sun == {"before_mc": works.balances()["sun"], "after_mc": works.balances()["sun"] // 2}
    out = works.directory / "sun"
    assert works.while_running("people", "export", works.directory, out, "--member", "Sun")[0] == 0
    assert [row.split(",")[4:] for row in (out / "earned.csv").read_text().splitlines()[-2:]] == [
        ["3", "-1010", "-808"],
        ["3", "-990", "-792"],
    ]


def test_a_correction_of_what_was_matched(works):
    """Under the main meter of who used it; nothing of it returns to the neighbours."""
    main = ident("ana-main").hex()
    assert "0.600 kWh and 0.120 credits" in make(works, device=main)
    hour(works, 1)
    assert works.balances()["ana"] == 216 + 216 - 108
    assert works.judged() == []


def test_a_correction_that_one_role_signed(works):
    """It waits; the same role again is no second one, another is."""
    said = make(works, roles=("steward",))
    name = said.split(":")[0]
    assert f"corrections confirm {works.directory} {name}" in said
    hour(works, 1)
    assert works.balances()["sun"] == 2 * 2880
    assert "waits for another role; signed by steward" in ask(works, "list")
    assert "another one has to confirm" in ask(works, "confirm", name, "--key", key_of(works, "steward"))
    assert "is carried out" in ask(works, "confirm", name, "--key", key_of(works, "operator"))
    assert "no correction that waits" in ask(works, "confirm", name, "--key", key_of(works, "townhall"))
    hour(works, 2)
    assert works.balances()["sun"] == 3 * 2880 - 1440
    assert works.judged() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"device": "the cellar"}, "there is no such device"),
        ({"wh": 2000}, "nothing to take back"),
        ({"hours": ("05:00", "06:00")}, "0 Wh of this device were minted"),
        ({"hours": ("02:00", "02:20")}, "from one quarter hour to a later one"),
        ({"hours": ("03:00", "02:00")}, "nothing to take back"),
        ({"hours": ("noon", "02:00")}, "is no time"),
        ({"roles": ("ana",)}, "may not state such a thing"),
    ],
)
def test_a_correction_that_cannot_be(works, changes, words):
    """A sentence, and nothing in the log."""
    save_key(key_of(works, "ana"), key("ana"))
    size = works.ledger.size
    assert words in make(works, **changes)
    assert works.ledger.size == size


def test_papers_of_a_correction_that_were_changed(works):
    """Nobody confirms what is no longer what was signed."""
    name = make(works, roles=("steward",)).split(":")[0]
    (paper,) = (works.directory / "papers").iterdir()
    paper.write_text(paper.read_text().replace("lamp", "moon"))
    assert "missing or were changed" in ask(works, "confirm", name, "--key", key_of(works, "townhall"))
    assert "missing or were changed" in ask(works, "list")


def test_a_correction_before_its_window_is_minted(make_works):
    """Claim and revision meet in one mint; of all that is not true nothing is minted."""
    works = make_works()
    works.clock.civil_s = TIME_S + 900
    span = Statement(Topic.CORRECTION, "", DEVICE, TIME_S, TIME_S + 900, 0, b"\x07" * 32)
    for role in ROLES:
        text = reason_of(span.sign(key(role), GENESIS))
        body = SetStatus(Subject.MEMBER, ident("ana"), Status.ACTIVE, text)
        works.ledger.submit([signed(body, "steward")])
    works.ledger.publish()
    again = make_works.reopen(works)
    again.clock.civil_s = TIME_S + HOUR_S
    again.deliver(*again.meters["sun-roof"].sign_each(TIME_S, [(0,), (1000,), (2000,)]))
    again.close_until(TIME_S + HOUR_S)
    assert again.balances() == {"sun": 720, "association": 80}
    assert again.judged() == []


@pytest.mark.parametrize("seed", range(20))
def test_what_is_kept_of_spans(seed):
    """To the watt-hour what is true, of milli-credits never more than in proportion; nothing grows."""
    chance = random.Random(seed)
    lines = [
        Standing(900 * n, 900 * n + 900, 1, 0, chance.randrange(1, 5000), chance.randrange(5000), bytes([n]))
        for n in range(chance.randrange(1, 12))
    ]
    before = stands(lines)
    total_wh = sum(row.energy_wh for row in before)
    true_wh = chance.randrange(total_wh + 100)
    after = {row.start_s: row for row in stands([*lines, *taken_back(before, true_wh)])}
    assert sum(row.energy_wh for row in after.values()) == min(true_wh, total_wh)
    for row in before:
        kept = after.get(row.start_s)
        if kept is not None:
            assert 0 < kept.energy_wh <= row.energy_wh
            assert kept.amount_mc == row.amount_mc * kept.energy_wh // row.energy_wh
            assert kept.block_sha256 == row.block_sha256


def stated(place, role, **changes):
    what = {"topic": Topic.CORRECTION, "what": "", "subject": DEVICE, "start_s": 0, "end_s": 900} | changes
    return Stated(place, TIME_S, Statement(**what), Signer(b"", role, role.encode()))


def test_corrections_when_roles_agree():
    """The second role completes it, once; other words are another correction; off the grid it is none."""
    rows = [
        stated(1, "steward"),
        stated(2, "steward"),
        stated(3, "townhall", number=5),
        stated(4, "operator"),
        stated(5, "townhall"),
        stated(6, "steward", end_s=901),
        stated(7, "townhall", end_s=901),
    ]
    (found,) = agreed(rows, 2)
    assert (found.place, found.energy_wh) == (4, 0)
    assert list(waiting(rows, 2).values()) == [("townhall",)]
