"""The bench of telemetry measures what it says, on a real database."""

from bench import telemetry
from tests.dashboards.servers import program_of


def test_points_when_measured():
    """Every point left the journal for the database, and both clients are timed in the same run."""
    program_of(telemetry.PROGRAM, telemetry.PACKAGE)
    ours, plain = telemetry.measure(2000)
    assert ours > 0
    assert plain > 0
    assert len(set(telemetry.lines(300))) == 300
