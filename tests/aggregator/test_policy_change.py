"""Another policy in a running commune: which one values a claim is the same before and after any restart."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from aggregator.policy.cli import app
from aggregator.policy.enact import enact
from aggregator.policy.rules import Policy
from aggregator.policy.schedule import Enacted, InForce, Schedule
from aggregator.testing import POLICY, TIME_S, key
from commonwatt.errors import UserError
from ledger import app as ledgers
from ledger.book import body, entry
from ledger.book.replay import replay
from ledger.log.note import Signer
from ledger.log.published import PublishedLog
from ledger.testing import LOG_KEY, ORIGIN, signed

HOUR_S = 3600


def policy(version: int, *, rate: int = 400, window_s: int = HOUR_S, grace_s: int = HOUR_S) -> Policy:
    """The tests' policy with other numbers."""
    text = POLICY.text.replace("version = 1", f"version = {version}").replace("= 800", f"= {rate}")
    text = text.replace("window_s = 3600", f"window_s = {window_s}").replace("grace_s = 3600", f"grace_s = {grace_s}")
    return Policy.parse(text, where="the tests' policy")


def adopt(make_works, works, new: Policy, time_s: int):
    """The aggregator stops, the policy is placed with this time, the aggregator starts again."""
    works.database.close()
    works.ledger.close()
    with ledgers.open_parts(works.directory, Signer(ORIGIN, LOG_KEY)) as ledger:
        rules = body.Policy(new.sha256, new.rules.version, new.text)
        answers = ledger.submit([signed(rules, "steward", "townhall", time_s=time_s)])
        assert hasattr(answers[0], "place")
        ledger.publish()
    return make_works.reopen(works)


def live(works, until_s: int) -> None:
    """The roof makes 100 or 101 Wh a quarter hour from its last block until then; each block comes as it ends."""
    roof = works.meters["sun-roof"]
    for start_s in range(TIME_S + 900 * roof.seq, until_s, 900):
        works.clock.civil_s = max(works.clock.civil_s, start_s + 900)
        works.deliver(roof.sign(start_s, [(count * 100 + count // 2,) for count in (roof.seq, roof.seq + 1)]))


def runs(works) -> list[tuple[int, int, bytes, int]]:
    """Hours of the window's start and end after the beginning, policy and total of every mint-run of the log."""
    found = []
    for data in PublishedLog(works.directory / "log").entries():
        parsed = entry.parse(data)
        if isinstance(parsed, entry.SignedEntry) and isinstance(run := parsed.entry.body, body.MintRun):
            hours = ((run.window_start_s - TIME_S) // HOUR_S, (run.window_end_s - TIME_S) // HOUR_S)
            found.append((*hours, run.policy_sha256, run.total_mc))
    return found


def test_a_window_keeps_its_policy_when_another_comes_in_its_middle(make_works):
    """Half of an hour closed, a new policy, a restart: the whole hour is valued and named by the old one."""
    works = make_works()
    live(works, TIME_S + 1800)
    works.close_until(TIME_S + 1800)
    new = policy(2)
    again = adopt(make_works, works, new, TIME_S + 1800 + 600)
    live(again, TIME_S + 3 * HOUR_S)
    again.close_until(TIME_S + 3 * HOUR_S)
    assert runs(again) == [(0, 1, POLICY.sha256, 320), (1, 2, new.sha256, 160), (2, 3, new.sha256, 160)]
    assert [claim[-1] for claim in again.claims()] == [80] * 4 + [40] * 8
    assert again.judged() == []


def test_a_policy_counts_from_its_entry_on_and_not_for_what_still_waits(make_works):
    """Two hours wait for their grace when it is enacted: they are of the old policy, whenever they close."""
    works = make_works()
    live(works, TIME_S + 3 * HOUR_S)
    new = policy(2)
    again = adopt(make_works, works, new, TIME_S + 2 * HOUR_S)
    again.close_until(TIME_S + 3 * HOUR_S)
    assert [row[2] for row in runs(again)] == [POLICY.sha256, POLICY.sha256, new.sha256]
    assert again.judged() == []


def test_a_new_length_of_windows_begins_at_a_boundary_of_both(make_works):
    """From hours to half days: hours go on until noon or midnight."""
    works = make_works()
    assert (TIME_S // HOUR_S) % 12 == 0
    live(works, TIME_S + 24 * HOUR_S)
    new = policy(2, window_s=12 * HOUR_S)
    again = adopt(make_works, works, new, TIME_S + 9 * HOUR_S + 1)
    again.close_until(TIME_S + 24 * HOUR_S)
    old = [(hour, hour + 1, POLICY.sha256, 320) for hour in range(12)]
    assert runs(again) == [*old, (12, 24, new.sha256, 48 * 40)]
    assert again.judged() == []


def test_a_policy_dated_back_changes_nothing_that_was_closed(make_works):
    """An entry with an old time counts from the next boundary after what was closed when it was first known."""
    works = make_works()
    live(works, TIME_S + HOUR_S + 900)
    works.close_until(TIME_S + HOUR_S + 900)
    new = policy(2)
    again = adopt(make_works, works, new, TIME_S)
    live(again, TIME_S + 3 * HOUR_S)
    again.close_until(TIME_S + 2 * HOUR_S)
    once_more = make_works.reopen(again)
    once_more.close_until(TIME_S + 3 * HOUR_S)
    assert [row[2] for row in runs(once_more)] == [POLICY.sha256, POLICY.sha256, new.sha256]
    assert once_more.judged() == []


def test_a_shorter_grace_waits_for_the_intervals_before_it(make_works):
    """Intervals close in order; each has had at least the grace of its own policy."""
    works = make_works()
    works.clock.civil_s = TIME_S
    live(works, TIME_S + HOUR_S + 2700)
    again = adopt(make_works, works, policy(2, grace_s=0), TIME_S + HOUR_S)
    again.clock.civil_s = TIME_S + HOUR_S + 2700
    while again.closer.step(again.intake.directory):
        pass
    assert again.rows("SELECT count(*) FROM closing") == [(3,)]
    again.clock.civil_s = TIME_S + 2 * HOUR_S - 900
    again.closer.step(again.intake.directory)
    assert again.rows("SELECT count(*) FROM closing") == [(3,)]
    again.clock.civil_s += 900
    again.closer.step(again.intake.directory)
    assert again.rows("SELECT count(*) FROM closing") == [(8,)]


def test_the_judge_names_a_run_of_another_policy(make_works):
    """The books of a restart that named the newest policy for everything do not balance."""
    works = make_works()
    live(works, TIME_S + HOUR_S)
    again = adopt(make_works, works, policy(2), TIME_S + 1800)
    again.closer.schedule = Schedule((InForce(policy(2), 0),))
    again.close_until(TIME_S + HOUR_S)
    assert any(text.startswith("policy of the mint-run") for text in again.judged())


lengths = st.sampled_from([900, 1800, 3600, 7200, 43_200, 86_400])


@given(st.lists(st.tuples(lengths, st.integers(0, 200_000)), min_size=1, max_size=5), st.integers(0, 300_000))
def test_no_policy_divides_a_window(rows, start_s):
    """Whatever lengths follow each other: an interval and its window's first interval have the same policy."""
    enacted = [
        Enacted(place, time_s, policy(place + 1, window_s=window_s)) for place, (window_s, time_s) in enumerate(rows)
    ]
    schedule = Schedule.of(enacted, lambda _place: 0)
    found = schedule.at(start_s)
    window_s = found.rules.window_s
    assert schedule.at(start_s // window_s * window_s) is found
    assert schedule.at(start_s // window_s * window_s + window_s - 900) is found


def invoke(commune, new: Policy, *options: str):
    file = commune / "proposal.toml"
    file.write_text(new.text)
    clock = f"{TIME_S + 100}@{time.time():.0f}x1"
    return CliRunner().invoke(app, ["enact", str(commune), str(file), "--clock", clock, *options])


def test_enact_when_all_is_well(commune):
    """Signed by the steward and the town hall, in the published log, and the paper says what the log says."""
    new = policy(2)
    result = invoke(commune, new)
    assert result.exit_code == 0, result.output
    assert "2024-07-15 01:00" in result.output
    assert (commune / "policy.toml").read_text() == new.text
    assert replay(PublishedLog(commune / "log").entries()).policy_in_force == new.sha256


def test_enact_when_diff_would_warn(commune):
    """An older version and the policy in force itself are refused before anything is signed."""
    size = PublishedLog(commune / "log").unverified_checkpoint().size
    for proposal in (POLICY, policy(1, rate=1)):
        with pytest.raises(UserError, match=r"version|in force"):
            enact(commune, proposal, [key("steward"), key("townhall")], time_s=TIME_S)
    assert PublishedLog(commune / "log").unverified_checkpoint().size == size
    assert (commune / "policy.toml").read_text() == POLICY.text


def test_enact_when_one_alone_signs(commune):
    """The rules of the money need two of three; any two will do."""
    with pytest.raises(UserError, match="the ledger refuses the policy"):
        enact(commune, policy(2), [key("steward")], time_s=TIME_S)
    keys = [str(commune / "keys" / f"{role}.key") for role in ("operator", "townhall")]
    assert invoke(commune, policy(2), "--key", keys[0], "--key", keys[1]).exit_code == 0


def test_enact_when_the_paper_was_not_written(commune):
    """After a crash between the log and policy.toml the same command writes the paper, and enters nothing twice."""
    new = policy(2)
    enact(commune, new, [key("steward"), key("townhall")], time_s=TIME_S)
    size = PublishedLog(commune / "log").unverified_checkpoint().size
    (commune / "policy.toml").write_text(POLICY.text)
    enact(commune, new, [key("steward"), key("townhall")], time_s=TIME_S)
    assert (commune / "policy.toml").read_text() == new.text
    assert PublishedLog(commune / "log").unverified_checkpoint().size == size


def test_enact_while_the_aggregator_runs(make_works):
    """It comes through the inbox, and the next window's mint-run names it."""
    works = make_works()
    works.clock.civil_s = TIME_S + 100
    new = policy(2)
    file = works.directory / "proposal.toml"
    file.write_text(new.text)
    clock = ("--clock", f"{TIME_S + 100}@{time.time():.0f}x1")
    code, said, errors = works.while_running("policy", "enact", works.directory, file, *clock)
    assert (code, errors) == (0, "")
    assert "2024-07-15 01:00" in said
    assert (works.directory / "policy.toml").read_text() == new.text
    assert works.closer.schedule.at(TIME_S).sha256 != new.sha256
    assert works.closer.schedule.at(TIME_S + 3600).sha256 == new.sha256
    assert "in force" in works.while_running("policy", "enact", works.directory, file, *clock)[2]
