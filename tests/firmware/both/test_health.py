"""Starts are counted by cause, and five that came to nothing lead to safe mode."""

from node.cell import Cell
from node.health import FAILED_MAX, Health

from blocks import Blocks, PowerCutError


def test_health_when_it_boots_in_a_loop():
    """The sixth start after five that never were well is safe; one that is well ends it at the next start."""
    blocks = Blocks()
    for _ in range(FAILED_MAX):
        assert not Health(Cell(blocks), "watchdog").is_safe_mode
    health = Health(Cell(blocks), "brownout")
    assert health.is_safe_mode
    health.well()
    health = Health(Cell(blocks), "power")
    assert not health.is_safe_mode
    state = health.state()
    assert (state["boots"], state["boots_failed"]) == (FAILED_MAX + 2, 1)
    assert (state["boots_by_watchdog"], state["boots_by_brownout"], state["boots_by_power"]) == (FAILED_MAX, 1, 1)


def test_health_when_power_is_cut_while_counting():
    """A count may be missed, never invented; the device starts all the same."""
    blocks = Blocks()
    Health(Cell(blocks), "power")
    for cut in range(20):
        blocks.restart(0, cut)
        try:
            Health(Cell(blocks), "power")
        except PowerCutError:
            pass
    blocks.restart()
    assert Health(Cell(blocks), "power").boots == 2


def test_health_when_the_cell_holds_nonsense_or_cannot_be_written():
    """Counts begin anew or are not kept, which is counted; an unknown cause is `other`."""
    blocks = Blocks()
    Cell(blocks).write(b"\x01nonsense")
    health = Health(Cell(blocks), "cosmic ray")
    assert (health.boots, health.state()["boots_by_other"]) == (1, 1)
    blocks.broken = True
    assert Health(Cell(blocks), "power").unwritten == 1
