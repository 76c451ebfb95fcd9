"""Gateway, broker and aggregator, each the real one, at a commune's rate: nothing lost, and nobody waits long."""

import os

import pytest

from bench import end_to_end

SOAK_MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))


@pytest.mark.story
def test_every_block_has_its_receipt_when_a_small_town_sends():
    """Some seconds of it here; as many receipts as blocks, as many kept as sent."""
    outcome = end_to_end.run(meters=900, seconds=4)
    assert outcome.kept == outcome.sent == len(outcome.waits_s) > 0
    assert all(wait_s > 0 for wait_s in outcome.waits_s)


@pytest.mark.story
@pytest.mark.soak
def test_nothing_is_lost_in_an_hour():
    """5,000 meters with a reading a minute, for SOAK_MINUTES (60)."""
    outcome = end_to_end.run(seconds=SOAK_MINUTES * 60)
    print(f"{outcome.sent} blocks, median {outcome.median_s:.3f} s, {100 * outcome.cpu:.1f} % of a core")
    assert outcome.kept == outcome.sent
    assert outcome.median_s < 2
