"""The measuring functions measure; figures themselves are nobody's promise here."""

from aggregator import bench_blocks, bench_devices, bench_start


def test_blocks_become_mints():
    """Twenty devices for two hours: every block is kept and settled, and the ledger has what was claimed."""
    stages = bench_blocks.run(20, 2, 0)
    assert stages.blocks == 40
    assert set(stages.wall_s) == {"intake", "settle, value", "mint"}


def test_many_devices_are_counted_and_checked():
    """The same functions with few devices: what was sent is kept, and everybody is known again."""
    assert bench_devices.measure_growth(40, 300, sample=20, rounds=1)[0] > 0
    assert bench_devices.measure_memory_per_device(20_000)[0] > 100
    assert bench_start.measure_startup(2500)[0] > 0
