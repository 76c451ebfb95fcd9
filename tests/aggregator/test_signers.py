"""Who may state something is decided where the statement stands in the log: wallets and roles get other keys."""

from typing import Any

import pytest
import sqlalchemy as sa

from aggregator import schema
from aggregator.asking.desk import RequestDesk
from aggregator.commune import enacted
from aggregator.earning.saving_rows import DAY_S, parts
from aggregator.policy.rules import Policy
from aggregator.statements import corrections, declaring, values
from aggregator.statements.signers import Signers
from aggregator.statements.statement import EVERYBODY, Statement, Topic, reason_of
from aggregator.testing import GENESIS, POLICY, TIME_S, ident, key, write_papers
from commonwatt.registry import Status
from commonwatt.testing import ManualClock
from ledger import testing as book
from ledger.app import LOG
from ledger.book.body import AdmitRole, SetStatus, role_key_id
from ledger.book.kinds import Subject
from ledger.log.published import PublishedLog
from ledger.sequencer import Placed

HOUR_S = 3600
TIME = '[declared.time]\nunit = "h"\nrate_mc_per_unit = 10000\ncap_mc_per_month = 90000\nage_days_max = 30\n'
RULES = Policy.parse(POLICY.text + TIME, where="tests")
VALUE = Statement(Topic.VALUE, "time", ident("ana"), TIME_S - DAY_S, TIME_S, 2500, b"\x05" * 32)
PEAK = Statement(Topic.REQUEST, "peak", EVERYBODY, TIME_S + 6 * HOUR_S, TIME_S + 7 * HOUR_S)
JOIN = Statement(Topic.PART, "join", ident("ana's"), TIME_S, TIME_S + 1)
LEAVE = Statement(Topic.PART, "leave", ident("ana's"), TIME_S + DAY_S, TIME_S + DAY_S + 1)
FIX = corrections.correction(ident("sun-roof"), TIME_S, TIME_S + 900, 500, b"\x05" * 32)
SAID = {"value": VALUE, "peak": PEAK, "join": JOIN, "leave": LEAVE, "fix": FIX}
OFFICES = ("steward", "townhall", "operator")
STANDINGS = {"active": Status.ACTIVE, "suspended": Status.SUSPENDED, "revoked": Status.REVOKED}


def entries(story: str) -> list[bytes]:
    """A story of steps "ana says value", "ana gets ana2" (another key, for whoever bears the first name), "ben is
    revoked", "zoe joins", "clerk joins townhall", as entries that the present steward signs."""
    steward, keys, found = "steward", {}, []
    for number, step in enumerate(story.split(", ")):
        name, verb, *what = step.split()
        entry = f"{number} {story}"
        who = role_key_id(key(name).public_key) if name in OFFICES else ident(name)
        subject = Subject.ROLE if name in OFFICES else Subject.MEMBER
        match verb:
            case "says":
                about = {"value": (Subject.MEMBER, ident("ana"))}.get(what[0], (Subject.SITE, ident("ana's")))
                reason = reason_of(SAID[what[0]].sign(key(name), GENESIS))
                found.append(book.signed(SetStatus(*about, Status.ACTIVE, reason), steward, entry_id=entry))
            case "gets":
                found.append(book.rotation(subject, who, what[0], keys.get(name, name), name=entry))
                keys[name] = what[0]
                steward = what[0] if name == "steward" else steward
            case "is":
                body = SetStatus(subject, who, STANDINGS[what[0]], "")
                approving = ("townhall",) if subject is Subject.ROLE else ()
                found.append(book.signed(body, steward, *approving, entry_id=entry))
            case "joins" if what:
                body = AdmitRole(who, what[0], key(name).public_key)
                found.append(book.signed(body, steward, "townhall"))
            case _:
                found.append(book.member(name))
    return found


def tell(works: Any, story: str) -> None:
    answers = works.ledger.submit(entries(story))
    assert all(isinstance(answer, Placed) for answer in answers), answers
    works.ledger.publish()


def known(works: Any) -> enacted.Known:
    return enacted.follow(works.database, PublishedLog(works.directory / LOG), Signers(works.ledger.state))


def measured(works: Any) -> None:
    """The roof made something, so that there is evidence to judge."""
    works.clock.civil_s = TIME_S + HOUR_S
    works.deliver(*works.meters["sun-roof"].sign_each(TIME_S, [(0,), (100,), (200,), (250,), (300,)]))


@pytest.fixture
def works(make_works: Any) -> Any:
    """The quarter with a policy that pays for time, and a roof's first hour."""
    works = make_works(policy=RULES)
    write_papers(works.directory)
    (works.directory / "policy.toml").write_text(RULES.text)
    measured(works)
    return works


COUNTS = (
    "ana says value, ben says value",
    "ana says value, ana gets ana2, ben says value, ben gets ben2",
    "ana says value, ben says value, ana gets ana2, ben gets ben2, ben gets ben3",
    "ana gets ana2, ana2 says value, ben says value",
    "ana says value, ben says value, ben is revoked",
    "ana says value, ben says value, ben is suspended, ben gets ben2",
    "ben is suspended, ben is active, ana says value, ben says value, ben is suspended",
    "ana says value, zoe joins, zoe says value, zoe gets zoe2",
    "ana says value, steward says value, steward gets clerk",
    "steward gets clerk, ana says value, clerk says value, steward gets clerk2",
    "ana says value, clerk joins townhall, clerk says value",
)  # fmt: skip
WAITS = (
    "ana gets ana2, ana says value, ben says value",
    "ana says value, ben gets ben2, ben says value",
    "ana says value, ana gets ana2, ana2 says value",
    "ana says value, ben2 says value, ben gets ben2",
    "ana says value, ben is revoked, ben says value",
    "ana says value, ben is suspended, ben says value, ben is active",
    "ana says value, zoe says value, zoe joins",
    "ana says value, steward gets clerk, steward says value",
    "ana says value, clerk says value, steward gets clerk",
    "ana says value, clerk says value, clerk joins townhall",
)  # fmt: skip


@pytest.mark.parametrize(("story", "counts"), [*((s, True) for s in COUNTS), *((s, False) for s in WAITS)])
def test_value_when_keys_change(make_works: Any, works: Any, story: str, counts: bool) -> None:
    """Told at once or after a restart, it is paid once or waits, and the judge finds the same."""
    tell(works, story)
    again = make_works.reopen(works)
    again.close_until(TIME_S + HOUR_S)
    assert again.balances().get("ana", 0) == (22_500 if counts else 0)
    stated = known(again).stated
    assert len(values.confirmed(stated)) == counts
    assert (values.waiting(stated) == ()) is counts
    assert declaring.stated_in(again.directory) == list(stated)
    assert again.judged() == []


def test_value_that_was_paid_before_keys_changed(make_works: Any, works: Any) -> None:
    """Everybody gets another key between the windows; nothing waits, nobody can confirm it again, it is paid once."""
    tell(works, "ana says value, ben says value")
    paid = make_works.reopen(works)
    paid.close_until(TIME_S + HOUR_S)
    before = paid.balances()
    assert before["ana"] == 22_500
    tell(paid, "ana gets ana2, ben gets ben2")
    running = known(paid).stated
    assert values.waiting(running) == ()
    tell(paid, "sun says value, ana2 says value")
    again = make_works.reopen(paid)
    again.deliver(*again.meters["sun-roof"].sign_each(TIME_S + HOUR_S, [(300,), (310,), (320,), (330,), (340,)]))
    again.close_until(TIME_S + 2 * HOUR_S)
    assert again.balances()["ana"] == before["ana"]
    (confirmed,) = values.confirmed(known(again).stated)
    assert (confirmed[1].id, confirmed[2].id) == (ident("ana"), ident("ben"))
    assert again.judged() == []


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ("ana says join, ana gets ana2", [(TIME_S, None)]),
        ("ana says join, ana gets ana2, ana2 says leave, ana gets ana3", [(TIME_S, TIME_S + DAY_S)]),
        ("ana says join, ana gets ana2, ana says leave", [(TIME_S, None)]),
        ("steward says join, steward gets clerk, ana says leave, ana is suspended", [(TIME_S, TIME_S + DAY_S)]),
        ("ana gets ana2, ana says join", []),
    ],
)
def test_taking_part_when_keys_change(works: Any, story: str, expected: list[tuple[int, int | None]]) -> None:
    """Who joined stays in, who left stays out; a key that was replaced moves nobody."""
    tell(works, story)
    found = parts(known(works).stated, {ident("ana's"): ident("ana")})
    assert [(part.from_s, part.until_s) for part in found] == expected


@pytest.mark.parametrize(
    ("story", "is_agreed"),
    [
        ("steward says fix, steward gets clerk, townhall says fix, townhall gets mayor", True),
        ("steward gets clerk, steward says fix, townhall says fix", False),
        ("steward says fix, steward gets clerk, clerk says fix", False),
    ],
)
def test_correction_when_keys_change(make_works: Any, works: Any, story: str, is_agreed: bool) -> None:
    """Two roles, by the keys they had; a role with two keys is one."""
    works.close_until(TIME_S + HOUR_S)
    tell(works, story)
    again = make_works.reopen(works)
    assert len(known(again).corrections) == is_agreed
    again.deliver(*again.meters["sun-roof"].sign_each(TIME_S + HOUR_S, [(300,), (310,), (320,), (330,), (340,)]))
    again.close_until(TIME_S + 2 * HOUR_S)
    assert again.judged() == []


def test_request_when_the_operator_has_another_key(works: Any) -> None:
    """It is told further; what the old key signs later is none."""
    tell(works, "operator says peak, operator gets grid")
    desk = RequestDesk(works.directory, clock=ManualClock(TIME_S))
    assert [row.request.start_s for row in desk.known()] == [PEAK.start_s]
    tell(works, "operator says peak")
    assert len(known(works).stated) == 1


def test_what_older_versions_passed_over_is_read(make_works: Any, works: Any) -> None:
    """They kept no statement whose key was replaced by the time they read it: the log is read once more."""
    tell(works, "ana says value, ben says value, ana gets ana2")
    assert values.confirmed(known(works).stated)
    with works.database.transaction() as connection:
        size = works.ledger.size
        connection.execute(sa.delete(schema.logged).where(schema.logged.c.place >= size - 3))
        connection.execute(sa.update(schema.meta).where(schema.meta.c.name == enacted.READ).values(name="log.read"))
    again = make_works.reopen(works)
    again.close_until(TIME_S + HOUR_S)
    assert again.balances()["ana"] == 22_500
