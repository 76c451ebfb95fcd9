"""The measuring functions measure; figures themselves are nobody's promise here."""

from aggregator.bench import measure_blocks


def test_blocks_are_counted_and_checked():
    """Every block of the measurement became evidence, every batch a receipt."""
    figure, unit = measure_blocks(50)
    assert figure > 0
    assert unit == "blocks/s"
