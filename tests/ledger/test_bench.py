"""The benchmark's functions measure something: small counts here, the real ones in `commonwatt bench ledger`."""

import pytest

from ledger import bench


@pytest.mark.parametrize(
    ("measure", "unit"),
    [
        (bench.measure_transfers, "transfers/s"),
        (bench.measure_transfer_latency, "ms"),
        (bench.measure_mints, "leaves/s"),
        (bench.measure_replay, "entries/s"),
        (bench.measure_replay_mints, "leaves/s"),
        (bench.measure_proof_latency, "ms"),
    ],
)
def test_figure_when_measured(measure: bench.Measure, unit: str) -> None:
    """A figure above zero in its unit; each function checks its own results."""
    figure, found = measure(20)
    assert figure > 0
    assert found == unit
