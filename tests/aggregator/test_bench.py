"""The measuring functions measure; figures themselves are nobody's promise here."""

from aggregator import bench_blocks
from aggregator.bench import measure_blocks


def test_blocks_are_counted_and_checked():
    """Every block of the measurement became evidence, every batch a receipt."""
    figure, unit = measure_blocks(50)
    assert figure > 0
    assert unit == "blocks/s"


def test_blocks_become_mints():
    """Twenty devices for two hours: every block is kept and settled, and the ledger has what was claimed."""
    stages = bench_blocks.run(20, 2, 0)
    assert stages.blocks == 40
    assert set(stages.wall_s) == {"intake", "settle, value", "mint"}
