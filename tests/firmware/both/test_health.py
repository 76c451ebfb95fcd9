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


def test_health_when_it_was_well_and_crashes_all_the_same():
    """A crash, a watchdog or a brown-out undoes being well, and five in a row are a loop; none undoes an hour."""
    blocks = Blocks()
    for number in range(FAILED_MAX):
        health = Health(Cell(blocks), "watchdog" if number % 2 else "reset")
        assert health.failed == number + 1
        health.well()
        if number % 2 == 0:
            continue
        health.crashed(ValueError("a mistake of ours"))
        assert health.state()["last_crash"] == "ValueError: a mistake of ours"
    assert Health(Cell(blocks), "brownout").failed == FAILED_MAX + 1
    health = Health(Cell(blocks), "power")
    assert health.is_safe_mode
    health.steady()
    health.crashed(ValueError())
    health = Health(Cell(blocks), "watchdog")
    assert (health.failed, health.state()["crashes"]) == (1, 3)
    health.well()
    assert health.state()["boots_failed"] == 0
    assert Health(Cell(blocks), "power").failed == 1


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
