"""A steward reviews what was held: released it earns once, rejected never; every decision is an entry of the log."""

import json
import time
from dataclasses import replace

import pytest

from aggregator.holds import waiting
from aggregator.settling import claim_pages, reviews
from aggregator.testing import TIME_S, ident
from commonwatt.errors import UserError
from commonwatt.refusal import Hold
from commonwatt.registry import Status
from ledger.book.body import SetStatus
from ledger.book.kinds import Subject
from ledger.testing import signed

HOUR_S = 3600


def held_roof(works):
    """A roof that made more than it can in its first quarter hour, and goes on as usual for the hour."""
    works.clock.civil_s = TIME_S + HOUR_S
    roof = works.meters["sun-roof"]
    works.deliver(*roof.sign_each(TIME_S, [(0,), (3000,), (3100,), (3200,), (3300,)]))
    works.close_until(TIME_S + HOUR_S)
    assert works.rows("SELECT reason, energy_wh FROM held") == [(Hold.ABOVE_RATING, 3000)]


def held_neighbour(works):
    """Ben's meter runs through its rating in the second quarter hour, while the sun has 1000 Wh to give in each."""
    works.clock.civil_s = TIME_S + HOUR_S
    works.deliver(
        *works.meters["sun-main"].sign_each(TIME_S, [(0, 1000 * index) for index in range(5)]),
        *works.meters["ana-main"].sign_each(TIME_S, [(300 * index, 0) for index in range(5)]),
        *works.meters["ben-main"].sign_each(TIME_S, [(0, 0), (100, 0), (3100, 0), (3200, 0), (3300, 0)]),
    )
    works.close_until(TIME_S + HOUR_S)
    assert works.rows("SELECT reason, energy_wh FROM held") == [(Hold.ABOVE_RATING, 3000)]


def run(works, *words: str):
    """`commonwatt holds …` on the commune's directory, the aggregator stopped."""
    return works.holds(*words)


def reviewed(make_works, works, *words: str):
    """Stop, review, start again."""
    return make_works.reviewed(works, *words)


def hold_of(name: str, quarter: int) -> str:
    return f"{ident(name).hex()[:8]}@{TIME_S + 900 * quarter}"


@pytest.mark.engines("sqlite", "postgres")
def test_a_released_span_earns_once(make_works):
    """A revision that everyone sees, minted in the window in which it was settled; a restart repeats nothing."""
    works = make_works()
    held_roof(works)
    before = works.balances()
    again = reviewed(make_works, works, "release", hold_of("sun-roof", 0), "--reason", "a new inverter, 13 kW")
    again.close_until(TIME_S + 2 * HOUR_S)
    assert [claim for claim in again.claims() if claim[4] == 2] == [("sun-roof", 0, 1, 1, 2, 3000, 2400)]
    assert again.balances() == {"sun": before["sun"] + 2160, "association": before["association"] + 240}
    once_more = make_works.reopen(again)
    once_more.close_until(TIME_S + 4 * HOUR_S)
    assert once_more.balances() == again.balances()
    assert once_more.judged() == []


def test_a_span_released_while_the_aggregator_runs(make_works):
    """Through its inbox: carried out with the next interval, as if the steward had come when it was stopped."""
    works = make_works()
    held_roof(works)
    before = works.balances()
    clock = ("--clock", f"{works.clock.civil_s:.0f}@{time.time():.0f}x1")
    words = ("holds", "release", works.directory, hold_of("sun-roof", 0), "--reason", "a new inverter, 13 kW")
    code, said, errors = works.while_running(*words, *clock)
    assert (code, errors) == (0, "")
    assert "closes its next interval" in said
    assert "reviewed already" in works.while_running(*words, *clock)[2]
    works.close_until(TIME_S + 2 * HOUR_S)
    assert works.balances() == {"sun": before["sun"] + 2160, "association": before["association"] + 240}
    assert works.judged() == []


def test_a_released_neighbour_earns_what_the_interval_left(make_works):
    """3000 Wh waited; Ana had taken 300 of the 1000 that there were; 700 are his, and nothing is left for others."""
    works = make_works()
    held_neighbour(works)
    again = reviewed(make_works, works, "release", hold_of("ben-main", 1), "--reason", "the sauna")
    again.close_until(TIME_S + 2 * HOUR_S)
    assert [claim for claim in again.claims() if claim[4] == 2] == [("ben-main", 1, 1, 2, 2, 700, 140)]
    assert again.rows(f"SELECT left_wh FROM pool WHERE end_s = {TIME_S + 1800}") == [(0,)]
    assert again.judged() == []


def test_a_rejected_span_never_earns(make_works):
    """Also when somebody enters a release afterwards: the first review of a span is the one."""
    works = make_works()
    held_roof(works)
    before = works.balances()
    again = reviewed(make_works, works, "reject", hold_of("sun-roof", 0), "--reason", "a wrong pulse constant")
    again.close_until(TIME_S + 2 * HOUR_S)
    late = SetStatus(Subject.DEVICE, ident("sun-roof"), Status.ACTIVE, f"release {TIME_S}: changed our minds")
    again.ledger.submit([signed(late, "steward")])
    again.ledger.publish()
    once_more = make_works.reopen(again)
    once_more.close_until(TIME_S + 3 * HOUR_S)
    assert once_more.balances() == before
    assert once_more.judged() == []


def test_two_reviews_of_one_span_before_the_aggregator_runs(make_works):
    """The first counts, whoever is quicker; the command refuses the second."""
    works = make_works()
    held_roof(works)
    works.database.close()
    works.ledger.close()
    assert run(works, "reject", hold_of("sun-roof", 0), "--reason", "no").exit_code == 0
    second = run(works, "release", hold_of("sun-roof", 0), "--reason", "yes")
    assert isinstance(second.exception, UserError)
    assert "reviewed already" in str(second.exception)
    assert "reject" in run(works, "list").output


def test_a_review_of_a_span_that_is_not_held_changes_nothing(make_works):
    """It is spent: a span held later waits for a review of its own."""
    works = make_works()
    early = SetStatus(Subject.DEVICE, ident("sun-roof"), Status.ACTIVE, f"release {TIME_S}: in advance")
    works.ledger.submit([signed(early, "steward")])
    works.ledger.publish()
    again = make_works.reopen(works)
    again.clock.civil_s = TIME_S
    again.close_until(TIME_S - 900)
    held_roof(again)
    once_more = make_works.reopen(again)
    once_more.close_until(TIME_S + 3 * HOUR_S)
    assert [claim for claim in once_more.claims() if claim[4] == 2] == []
    assert once_more.judged() == []


def test_the_judge_names_a_released_span_that_was_paid_twice(make_works):
    """Somebody with the database adds a line; the books no longer balance."""
    works = make_works()
    held_roof(works)
    again = reviewed(make_works, works, "release", hold_of("sun-roof", 0), "--reason", "right")
    again.close_until(TIME_S + 2 * HOUR_S)
    with again.database.transaction() as connection:
        claims = claim_pages.read(connection, 0, TIME_S + 2 * HOUR_S)
        released = claims.where(claims.revision == 2)
        claim_pages.add(connection, replace(released, revision=released.revision + 1))
    assert any("revision 3" in text for text in again.judged())


def test_list_when_spans_wait(make_works):
    """Hold, reason, span, energy, since when, site and device, by the names that people know."""
    works = make_works()
    held_roof(works)
    rows = [("sites", "Sun's house", ident("sun's")), ("devices", "the roof", ident("sun-roof"))]
    text = "".join(f'[[{t}]]\nname = {json.dumps(n)}\nid = "{i.hex()}"\nsalt = "{"00" * 32}"\n' for t, n, i in rows)
    (works.directory / "private.toml").write_text(text)
    (row,) = waiting.read(works.directory)
    assert (row.site, row.name, row.reason) == ("Sun's house", "the roof", Hold.ABOVE_RATING)
    (line,) = run(works, "list").output.splitlines()
    assert line.startswith(hold_of("sun-roof", 0))
    for words in ("above-rating", "2024-07-15 00:00 – 2024-07-15 00:15", "3.000 kWh", "Sun's house, the roof"):
        assert words in line


@pytest.mark.parametrize(
    ("hold", "reason", "words"),
    [
        ("cafecafe@1721001600", "why", "no span that waits"),
        ("6@1721001600", "why", "no span that waits"),
        ("nonsense", "why", "no span that waits"),
        (hold_of("sun-roof", 1), "why", "no span that waits"),
        (hold_of("sun-roof", 0), "  ", "needs a reason"),
        (hold_of("sun-roof", 0), "é" * 120, "needs a reason"),
    ],
)
def test_review_when_it_cannot_be(make_works, hold, reason, words):
    """A sentence, and nothing in the log."""
    works = make_works()
    held_roof(works)
    works.ledger.close()
    result = run(works, "release", hold, "--reason", reason)
    assert isinstance(result.exception, UserError)
    assert words in str(result.exception)


def test_review_when_somebody_else_signs(make_works):
    """The town hall alone may not; the ledger refuses, with a sentence."""
    works = make_works()
    held_roof(works)
    works.ledger.close()
    size = works.ledger.size
    townhall = str(works.directory / "keys" / "townhall.key")
    result = run(works, "release", hold_of("sun-roof", 0), "--reason", "why", "--key", townhall)
    assert "the ledger refuses the review" in str(result.exception)
    assert make_works.reopen(works).ledger.size == size


@pytest.mark.parametrize(
    "text", ["stolen", "release", "release x: y", "release 01: y", "release 5: ", "Release 5: y"]
)
def test_a_reason_that_is_no_review(text):
    """Words about a device that only begin alike are words."""
    status = SetStatus(Subject.DEVICE, ident("sun-roof"), Status.ACTIVE, text)
    assert reviews.read(7, status) is None


def test_a_review_is_read_as_it_was_written():
    """Verdict, start and reason, and only about a device."""
    text = reviews.text_of(900, is_granted=False, reason="no: a toy")
    status = SetStatus(Subject.DEVICE, ident("sun-roof"), Status.ACTIVE, text)
    assert reviews.read(7, status) == reviews.Review(7, ident("sun-roof"), 900, False, "no: a toy")
    assert reviews.read(7, SetStatus(Subject.SITE, ident("sun's"), Status.ACTIVE, text)) is None
