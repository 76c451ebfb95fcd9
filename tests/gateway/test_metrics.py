"""What Prometheus reads: parsed by its own parser, named by its conventions, listed in the documentation."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.observe.metrics import PREFIX, exposition
from tests.gateway.states import DEVICE, NOW_S, WELL, state

PAGE = Path(__file__).parents[2] / "docs" / "operating" / "gateway-watching.md"
UNITS = ("_seconds", "_bytes", "_total", "_info")
COUNTS = {"blocks_aside", "spool_blocks", "spool_waiting_blocks", "spool_refused_blocks", "batches_in_flight"} | {
    "broker_up",
    "registry_log_size",
    "clock_trusted",
    "meters",
    "devices",
    "devices_known",
    "devices_seen",
    "commands_pending",
    "request_running",
    "requests_known",
}
"""Gauges without a unit: they count things that are there now, or say yes or no."""
FULL = state(
    blocks__refused={"bad-signature": 3},
    spool__refused_upstream={"conflict": 2},
    ignored={"unknown-batch": 1},
    commands__refused={"stale": 1},
    updates={"fetched": 1, "served": 4, "failures": {"unreachable": 2}},
    meters__roof__failures={"no-answer": 6, "exception-2": 1},
    meters__roof__doubts={"jump": 1},
    meters__roof__backoff_s=8.0,
)


def samples(told: Mapping[str, object], age_s: float = 1.0) -> dict[str, float]:
    """Every sample by its name and labels, as Prometheus' parser reads it."""
    found = {}
    for family in text_string_to_metric_families(exposition(told, age_s=age_s).decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[
                f"{sample.name.removeprefix(PREFIX)}{{{labels}}}" if labels else sample.name.removeprefix(PREFIX)
            ] = sample.value
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("blocks_received_total", 12),
        ("request_running{kind=peak}", 0),
        ("requests_known", 1),
        ("requests_handed_over_total", 3),
        ("blocks_verified_total", 12),
        ("blocks_refused_total{reason=bad-signature}", 3),
        ("spool_blocks", 3),
        ("spool_bytes", 40_960),
        ("spool_oldest_age_seconds", 20),
        ("batches_sent_total", 5),
        ("batches_resent_total", 1),
        ("batches_acknowledged_total", 4),
        ("spool_expired_blocks_total", 0),
        ("broker_up{broker=upstream}", 1),
        ("meters{state=ok}", 1),
        ("meters{state=silent}", 0),
        ("meter_poll_errors_total{meter=roof,reason=no-answer}", 6),
        ("meter_doubts_total{meter=roof,reason=jump}", 1),
        ("meter_backoff_seconds{meter=roof}", 8),
        ("meter_last_reading_timestamp_seconds{meter=roof}", NOW_S - 300),
        ("clock_trusted", 1),
        ("devices_known", 2),
        ("devices_seen{within=hour}", 1),
        ("commands_pending", 2),
        ("updates_failed_total{reason=unreachable}", 2),
        ("state_age_seconds", 1),
    ],
)
def test_metric_when_scraped(name: str, value: float) -> None:
    """Each figure of the state arrives under its name."""
    assert samples(FULL)[name] == value


def test_metrics_when_named() -> None:
    """Prometheus' conventions: one prefix, base units, _total for what only grows, a help for each."""
    for family in text_string_to_metric_families(exposition(FULL, age_s=1).decode()):
        assert family.documentation.endswith("."), family.name
        assert re.fullmatch(r"commonwatt_gateway(_[a-z]+)*", family.name)
        for sample in family.samples:
            name = sample.name.removeprefix(PREFIX)
            assert sample.name.endswith(UNITS) or name in COUNTS, sample.name
            assert (family.type == "counter") is sample.name.endswith("_total")


def test_metrics_when_a_device_was_quiet_for_days() -> None:
    """It is counted in the week, not in the day; nobody's id is a label."""
    found = samples(state(seen={DEVICE: NOW_S - 3 * 86_400}))
    assert [found[f"devices_seen{{within={span}}}"] for span in ("hour", "day", "week")] == [0, 0, 1]
    assert DEVICE not in exposition(WELL, age_s=1).decode()


def test_metrics_when_there_is_no_value() -> None:
    """No value is never 0: an unknown room on the disk, a meter never read."""
    found = samples(state(spool__disk_free_bytes=None, meters__roof__last_s=None))
    assert "disk_free_bytes" not in found
    assert "meter_last_reading_timestamp_seconds{meter=roof}" not in found


def test_metrics_when_there_is_no_state_yet() -> None:
    """Only the age, which grows while the gateway starts or hangs."""
    assert samples({}, age_s=7) == {"state_age_seconds": 7}


def test_metrics_when_a_meter_has_an_awkward_name() -> None:
    """Quotes, backslashes and line ends in a name are escaped, not believed."""
    name = 'roof "south"\\\n'
    found = samples(WELL | {"meters": {name: WELL["meters"]["roof"]}})
    assert found[f"meter_readings_total{{meter={name}}}"] == 7


def test_page_when_a_metric_is_added() -> None:
    """docs/operating/gateway-watching.md lists every metric with its labels and its help."""
    rows = PAGE.read_text().splitlines()
    for family in text_string_to_metric_families(exposition(FULL, age_s=1).decode()):
        sample = family.samples[0]
        labels = ", ".join(f"`{label}`" for label in sample.labels)
        assert f"| `{sample.name}` | {labels or '–'} | {family.documentation} |" in rows
