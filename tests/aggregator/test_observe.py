"""What is told of a running aggregator: levels, words and metrics from a state; HTTP for real."""

import json
import os
import re
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aggregator import testing
from aggregator.observe import findings as found
from aggregator.observe import stages, witnesses
from aggregator.observe.findings import Level, findings, worst
from aggregator.observe.http import watch as serving
from aggregator.observe.metrics import PREFIX, exposition
from aggregator.observe.stages import Stages
from aggregator.observe.state import Books, State
from aggregator.observe.witnesses import Witnesses
from aggregator.testing import TIME_S, key
from commonwatt.errors import UserError
from commonwatt.testing import ManualClock
from ledger.log.published import COSIGNED
from ledger.witness import progress
from ledger.witness.cosignature import CosigningKey

PAGE = Path(__file__).parents[2] / "docs" / "operating" / "aggregator-watching.md"
REPORT = {
    "batches": {"received": 7, "dropped": {"bad-signature": 2}},
    "blocks": {"received": 90, "accepted": 80, "duplicate": 6, "refused": {"unknown-device": 3, "conflict": 1}},
    "readings": 320,
    "intervals": {"closed": 12, "last_end_s": 900},
    "held": 0,
    "frozen_devices": 0,
    "windows_minted": 3,
    "log_size": 40,
    "checkpoint_size": 40,
}
WITNESSES = Witnesses(
    names=("townhall", "operator", "association"),
    cosigned_entries=38,
    cosigned_age_s=12.0,
    entries={"townhall": 38, "operator": 30},
    ages_s={"townhall": 12.0, "operator": 700.0},
    refused={("operator", "unreachable"): 70, ("association", "refused"): 2},
)
BOOKS = Books(report=REPORT, due_s=-60.0, outbox_runs=0, outbox_age_s=0.0, checkpoint_age_s=5.0, witnesses=WITNESSES)
LATE_S = found.COSIGNED_S_MAX + 1
WELL = State(
    commune="testville",
    brokers={"mqtt": None, "jetstream": None},
    gate={"batches": 1, "bytes": 900, "full_lanes": 0, "oldest_s": 0.2},
    turned_away={"lane-full": 4},
    stage_seconds={"evidence": 1.5},
    stage_runs={"evidence": 9},
    doubt=None,
    clock_leaps=0,
    last_leap_s=0,
    disk_free_bytes=50 << 30,
    books=BOOKS,
    telemetry={"InfluxDB": None},
)
ILL: dict[str, tuple[dict[str, Any], Level]] = {
    "broker": ({"brokers": {"mqtt": "refused"}}, Level.FAILING),
    "gate": ({"gate": WELL.gate | {"full_lanes": 1}}, Level.DEGRADED),
    "slow": ({"gate": WELL.gate | {"oldest_s": found.OLDEST_S_MAX + 1}}, Level.DEGRADED),
    "clock": ({"doubt": "leapt"}, Level.FAILING),
    "leaps": ({"clock_leaps": 1}, Level.DEGRADED),
    "disk": ({"disk_free_bytes": found.DISK_OUT_BYTES - 1}, Level.FAILING),
    "disk-low": ({"disk_free_bytes": found.DISK_LOW_BYTES - 1}, Level.DEGRADED),
    "influx": ({"telemetry": {"InfluxDB": "Bad Gateway"}}, Level.DEGRADED),
    "behind": ({"telemetry_behind_s": found.BEHIND_S_MAX + 1}, Level.DEGRADED),
    "closing": ({"books": replace(BOOKS, due_s=found.DUE_S_MAX + 1)}, Level.DEGRADED),
    "outbox": ({"books": replace(BOOKS, outbox_runs=1, outbox_age_s=found.OUTBOX_S_MAX + 1)}, Level.FAILING),
    "witnesses": (
        {
            "books": replace(
                BOOKS, checkpoint_age_s=LATE_S, witnesses=replace(WITNESSES, cosigned_age_s=LATE_S, entries={})
            )
        },
        Level.DEGRADED,
    ),
    "never": (
        {
            "books": replace(
                BOOKS, checkpoint_age_s=LATE_S, witnesses=replace(WITNESSES, cosigned_age_s=None, cosigned_entries=0)
            )
        },
        Level.DEGRADED,
    ),
    "frozen": ({"books": replace(BOOKS, report=REPORT | {"frozen_devices": 1})}, Level.DEGRADED),
}


def test_one_healthy_line_when_all_is_well():
    """Whoever is well says so, and whether it leads."""
    (line,) = findings(WELL, age_s=1)
    assert (line.level, line.says) == (Level.HEALTHY, "It leads.")
    (line,) = findings(replace(WELL, books=None), age_s=1)
    assert "another one leads" in line.says


@pytest.mark.parametrize("name", ILL)
def test_every_trouble_has_its_level_and_something_to_do(name):
    """The level that a monitor sees is that of the worst; each line but one that only informs says what to do."""
    changes, level = ILL[name]
    lines = findings(replace(WELL, **changes), age_s=1)
    assert worst(lines) == level
    assert lines[0].to_do or name == "behind"


def test_a_loop_that_hangs_is_failing_whatever_its_last_state_was():
    """At the limit it is believed, a moment later not."""
    assert worst(findings(WELL, age_s=found.STUCK_S)) == Level.HEALTHY
    assert worst(findings(WELL, age_s=found.STUCK_S + 0.1)) == Level.FAILING


@pytest.mark.parametrize(
    "well",
    [
        {"checkpoint_age_s": found.COSIGNED_S_MAX},
        {"checkpoint_age_s": LATE_S, "witnesses": None},
        {"checkpoint_age_s": LATE_S, "witnesses": replace(WITNESSES, cosigned_entries=40, cosigned_age_s=LATE_S)},
        {"checkpoint_age_s": LATE_S, "witnesses": replace(WITNESSES, cosigned_age_s=found.COSIGNED_S_MAX)},
    ],
)
def test_witnesses_are_no_trouble_while_nothing_waits_for_them(well):
    """A head just published, none asked for, all of it cosigned long ago, a quorum lately."""
    assert worst(findings(replace(WELL, books=replace(BOOKS, **well)), age_s=1)) == Level.HEALTHY


def samples(text: bytes) -> dict[tuple[str, str], float]:
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_metrics_hold_every_stage_count_and_reason():
    """By Prometheus' own parser: names, labels and values; process figures come along."""
    told = samples(exposition(WELL, age_s=1))
    expected = {
        ("commonwatt_aggregator_stage_seconds_total", "evidence"): 1.5,
        ("commonwatt_aggregator_blocks_accepted_total", ""): 80,
        ("commonwatt_aggregator_blocks_refused_total", "unknown-device"): 3,
        ("commonwatt_aggregator_batches_dropped_total", "bad-signature"): 2,
        ("commonwatt_aggregator_batches_turned_away_total", "lane-full"): 4,
        ("commonwatt_aggregator_gate_oldest_age_seconds", ""): 0.2,
        ("commonwatt_aggregator_broker_up", "jetstream"): 1,
        ("commonwatt_aggregator_leads", ""): 1,
        ("commonwatt_aggregator_checkpoint_age_seconds", ""): 5,
        ("commonwatt_aggregator_cosigned_entries", ""): 38,
        ("commonwatt_aggregator_cosigned_lag_entries", ""): 2,
        ("commonwatt_aggregator_cosigned_age_seconds", ""): 12,
        ("commonwatt_aggregator_witness_lag_entries", "operator"): 10,
        ("commonwatt_aggregator_witness_age_seconds", "operator"): 700,
        ("commonwatt_aggregator_witness_refusals_total", "unreachable,operator"): 70,
    }
    assert expected.items() <= told.items()
    assert told["process_resident_memory_bytes", ""] > 0


def test_only_the_one_that_leads_counts_what_the_database_counts():
    """So that a sum over all processes is right."""
    names = {name for name, _label in samples(exposition(replace(WELL, books=None), age_s=1))}
    assert "commonwatt_aggregator_stage_seconds_total" in names
    assert "commonwatt_aggregator_blocks_accepted_total" not in names


def test_every_metric_and_stage_stands_in_the_documentation():
    """Whoever writes an alert finds each name and each stage there, and nothing that is not told."""
    page = PAGE.read_text()
    told = {name.removeprefix(PREFIX) for name, _label in samples(exposition(WELL, age_s=1)) if PREFIX in name}
    listed = {name for row in page.splitlines() if row.startswith("| `") for name in re.findall(r"`(\w+)`", row)}
    assert told - listed == set()
    units = ("_total", "_seconds", "_bytes", "_entries")
    assert {name for name in listed if name.endswith(units) and not name.startswith("process_")} - told == set()
    (row,) = [row for row in page.splitlines() if "`stage_seconds_total`" in row]
    assert [stage for stage in stages.ALL if f"*{stage}*" not in row] == []


def test_a_stage_within_another_counts_once():
    """The seconds of all stages together are those that went by."""
    timed = Stages()
    with timed.timed("outer"):
        for _repeat in range(2):
            with timed.timed("inner"):
                sum(range(100_000))
    assert timed.runs == {"outer": 1, "inner": 2}
    assert 0 <= timed.seconds["outer"] < timed.seconds["inner"]


def test_parts_at_work_tell_every_stage_of_theirs(works):
    """A block that comes, is settled and minted leaves its time with each stage between gate and mint."""
    works.deliver(works.meters["ana-main"].sign(TIME_S, [(100 * step, 0) for step in range(5)]))
    works.close_until(TIME_S + 3600)
    between = {
        stages.PARSE,
        stages.VERIFY,
        stages.CHAIN,
        stages.EVIDENCE,
        stages.RECEIPT,
        stages.SETTLE,
        stages.VALUE,
    }
    assert {stage for stage, runs in works.stages.runs.items() if runs} == between


def test_witnesses_as_they_stand_in_the_directory(tmp_path):
    """Nothing without a policy; then what the quorum cosigned, and what each witness answered last."""
    testing.quarter(tmp_path).close()
    testing.write_papers(tmp_path)
    assert witnesses.look(tmp_path, wall_s=0) is None
    cosigner = CosigningKey("townhall.example/w", key("witness"))
    policy = f"witness townhall {cosigner.cosigner} http://127.0.0.1:9\nquorum townhall\n"
    (tmp_path / "witnesses.policy").write_text(policy)
    seen = witnesses.look(tmp_path, wall_s=0)
    assert (seen.count, seen.cosigned_entries, seen.cosigned_age_s, seen.entries) == (1, 0, None, {})

    head = (tmp_path / "log" / "checkpoint").read_text()
    cosigned = tmp_path / "log" / COSIGNED
    cosigned.write_text(head + cosigner.cosign(head.partition("\n\n")[0] + "\n", 1000))
    os.utime(cosigned, (1000, 1000))
    followed = progress.Followed()
    followed.refuse(progress.UNREACHABLE)
    followed.cosign(12, 1004.0)
    progress.write(tmp_path / "log", {"townhall": followed})
    seen = witnesses.look(tmp_path, wall_s=1010)
    assert (seen.cosigned_entries, seen.cosigned_age_s) == (int(head.splitlines()[1]), 10)
    assert (seen.entries, seen.ages_s) == ({"townhall": 12}, {"townhall": 6})
    assert seen.refused == {("townhall", "unreachable"): 1}

    cosigned.write_text(head)  # nobody's word
    progress.file_of(tmp_path / "log").write_text("{")
    seen = witnesses.look(tmp_path, wall_s=1010)
    assert (seen.cosigned_entries, seen.cosigned_age_s, seen.refused) == (0, None, {})
    (tmp_path / "witnesses.policy").write_text("no such line\n")
    assert witnesses.look(tmp_path, wall_s=1010) is None


def get(port: int, path: str, language: str = "en") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept-Language": language})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_health_answers_with_a_status_a_monitor_understands():
    """200 while it works, 503 when it fails, JSON with reason and remedy, in French for whoever prefers it."""
    clock = ManualClock()
    with serving("127.0.0.1", 0, clock) as watch:
        code, text = get(watch.port, "/health")
        assert (code, json.loads(text)["status"]) == (200, "degraded")  # nothing is known yet
        watch.see(WELL)
        code, text = get(watch.port, "/health")
        assert (code, json.loads(text)) == (
            200,
            {
                "status": "healthy",
                "leads": True,
                "findings": [{"level": "healthy", "about": "loop", "says": "It leads.", "to_do": ""}],
            },
        )
        clock.advance(found.STUCK_S + 1)
        code, text = get(watch.port, "/health", "fr")
        assert code == 503
        assert "suspendu" in json.loads(text)["findings"][0]["says"]
        assert get(watch.port, "/metrics")[0] == 200
        assert get(watch.port, "/")[0] == 404


def test_a_taken_port_is_named():
    """A sentence with the port, no traceback."""
    with serving("127.0.0.1", 0, ManualClock()) as first:
        second = serving("127.0.0.1", first.port, ManualClock())
        with pytest.raises(UserError, match=rf"cannot listen on 127.0.0.1:{first.port}: "):
            second.__enter__()
