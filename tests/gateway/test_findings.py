"""What the health page finds: a state in, the lines out."""

import pytest

from gateway.observe.findings import Finding, Level, findings, spell, worst
from tests.gateway.states import DEVICE, NOW_S, WELL, state

GREEN, ORANGE, RED = Level.GREEN, Level.ORANGE, Level.RED
DAY_S = 86_400


def bad(found: list[Finding]) -> list[tuple[Level, str]]:
    """What is not green."""
    return [(finding.level, finding.about) for finding in found if finding.level != GREEN]


def test_findings_when_all_is_well() -> None:
    """Every part has its green line, and nobody is told to do anything."""
    found = findings(WELL, age_s=1)
    assert worst(found) == GREEN
    assert not any(finding.to_do for finding in found)
    assert [finding.about for finding in found] == [
        "Gateway",
        "Clock",
        "Devices' broker",
        "The commune's broker",
        "Receipts",
        "Refused by the commune",
        "Spool",
        "Disk",
        "Meter roof",
        "Device abababab",
        "Registry",
        "The operator asks",
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "In 2 h: please use less, for 30 min."),
        ({"requests__now": "peak", "requests__until_s": NOW_S + 600}, "Now: please use less, for 10 min more."),
        ({"requests__now": "surplus", "requests__until_s": NOW_S + 7200}, "Now: please use more, for 2 h more."),
        ({"requests__windows": []}, "Nothing just now."),
        ({"requests__windows": [{"start_s": NOW_S, "end_s": NOW_S + 9, "kind": "surplus"}]}, "Nothing just now."),
        ({"requests__log_size": None}, None),
    ],
)
def test_findings_when_the_operator_asks(changes: dict[str, object], says: str | None) -> None:
    """What is asked now, otherwise what comes next; no line before the aggregator has said anything."""
    found = [row.says for row in findings(state(**changes), age_s=1) if row.about == "The operator asks"]
    assert found == ([] if says is None else [says])


OFFLINE = {DEVICE: {"online": False, "heard_s": NOW_S, "said": {}}}
SILENT = {"state": "silent", "silent_because": "no-answer"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "down"}, (RED, "Gateway")),
        ({"clock": "unsynchronised: nothing is signed"}, (RED, "Clock")),
        ({"broker__local": False}, (RED, "Devices' broker")),
        ({"broker__upstream": False}, (ORANGE, "The commune's broker")),
        ({"spool__oldest_age_s": 3_600}, (ORANGE, "Receipts")),
        ({"spool__oldest_age_s": DAY_S}, (RED, "Receipts")),
        ({"spool__refused_upstream": {"conflict": 2}}, (ORANGE, "Refused by the commune")),
        ({"ignored": {"bad-signature": 2, "unknown-batch": 1}}, (ORANGE, "Messages not believed")),
        ({"spool__bytes": 1 << 29}, (ORANGE, "Spool")),
        ({"spool__bytes": 1 << 30}, (RED, "Spool")),
        ({"spool__disk_free_bytes": (1 << 30) - 1}, (ORANGE, "Disk")),
        ({"spool__disk_free_bytes": 100 << 20}, (RED, "Disk")),
        ({"spool__disk_free_bytes": None}, (ORANGE, "Disk")),
        ({"meters__roof__silent_because": "no-answer"}, (ORANGE, "Meter roof")),
        ({"meters__roof__doubted_because": "jump"}, (ORANGE, "Meter roof")),
        ({"meters__roof__silent_because": "no-answer", "meters__roof__last_s": None}, (RED, "Meter roof")),
        ({"meters__roof__silent_because": "no-answer", "meters__roof__last_s": NOW_S - DAY_S}, (RED, "Meter roof")),
        ({"seen": {DEVICE: NOW_S - 7_200}}, (ORANGE, "Device abababab")),
        ({"seen": {DEVICE: NOW_S - DAY_S}}, (RED, "Device abababab")),
        ({"seen": {}, "devices__by_device": OFFLINE}, (ORANGE, "Device abababab")),
        ({"registry__log_size": None}, (ORANGE, "Registry")),
        ({"blocks__unknown_aside": 1}, (ORANGE, "New devices")),
        ({"claims__unadmitted": [{}]}, (ORANGE, "New devices")),
        ({"blocks__refused": {"bad-signature": 3}}, (ORANGE, "Refused blocks")),
        ({"blocks__turned_away": 5}, (ORANGE, "Blocks turned away")),
        ({"spool__expired": 3}, (RED, "Dropped")),
        ({"spool__readings_dropped": 1}, (RED, "Dropped")),
        ({"settings__mistake": "line 7: …"}, (ORANGE, "Settings")),
        ({"settings__restart_for": ["local"]}, (ORANGE, "Settings")),
    ],
)
def test_findings_when_one_thing_is_wrong(changes: dict[str, object], expected: tuple[Level, str]) -> None:
    """It alone is named, comes first, sets the level of the whole, and says what to do."""
    found = findings(state(**changes), age_s=1)
    assert bad(found) == [expected]
    assert worst(found) == expected[0]
    assert (found[0].level, found[0].about) == expected
    assert found[0].to_do


def test_findings_when_the_loop_hangs() -> None:
    """An old state is worth nothing: only the hanging is told."""
    found = findings(WELL, age_s=45)
    assert bad(found) == [(RED, "Gateway")]
    assert len(found) == 1
    assert "45 s" in found[0].says


def test_findings_when_there_is_no_state_yet() -> None:
    """Starting is not well yet, and no alarm either."""
    assert bad(findings({}, age_s=1)) == [(ORANGE, "Gateway")]


def test_findings_when_a_meter_is_silent() -> None:
    """The line says when it was last read and why it is silent, in words."""
    first = findings(state(meters__roof__silent_because="no-answer"), age_s=1)[0]
    assert "last read 5 min ago" in first.says
    assert "address, baud, parity" in first.says


def test_findings_when_receipts_are_for_nothing_or_the_clock_was_set() -> None:
    """Counted and shown with what it means, and no reason to act."""
    found = findings(state(ignored={"unknown-batch": 3}, clock_jumps={"count": 2, "last_s": -3600.4}), age_s=1)
    assert bad(found) == []
    says = {finding.about: finding.says for finding in found}
    assert says["Messages not believed"].startswith("3 receipts named no batch")
    assert says["Clock"] == "It is right. It was set 2 times since the start, last by -3600 s."


def test_findings_when_a_broker_says_why() -> None:
    """What the connection knows stands in the line."""
    told = state(broker__local=False, broker_trouble={"local": "the broker does not answer", "upstream": None})
    assert findings(told, age_s=1)[0].says.endswith("(the broker does not answer)")


def test_findings_when_a_meter_was_not_read_yet() -> None:
    """A gateway that has just started is not reproached with it."""
    assert bad(findings(state(meters__roof__last_s=None, meters__roof__state="starting"), age_s=1)) == []


@pytest.mark.parametrize(
    ("age_s", "spelled"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3_599, "59 min"), (172_799, "47 h"), (172_800, "2 days")],
)
def test_duration_when_spelled(age_s: float, spelled: str) -> None:
    """In the largest unit that still says something."""
    assert spell(age_s) == spelled
