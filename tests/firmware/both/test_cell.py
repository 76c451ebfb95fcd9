"""The cell that holds one value, cut at every byte of its writes."""

from node.cell import Cell

from blocks import Blocks, PowerCutError
from neutral import raises


def test_cell_when_new():
    """A new cell holds nothing and has lost nothing; what is written is read again."""
    blocks = Blocks()
    cell = Cell(blocks)
    assert (cell.value, cell.is_lost, cell.damaged) == (None, False, 0)
    for number in range(10):
        cell.write(b"value %d" % number)
        assert Cell(blocks).value == b"value %d" % number


def test_cell_when_cut_at_every_byte():
    """After a cut the value is the old one or the new one, never none and never another."""
    for history in range(6):
        for cut in range(129):
            for erases in (True, False):
                blocks = Blocks()
                cell = Cell(blocks)
                for number in range(history):
                    cell.write(b"value %d" % number)
                blocks.restart(0, cut, erases)
                assert raises(PowerCutError, cell.write, b"the new one")
                blocks.restart()
                again = Cell(blocks)
                old = b"value %d" % (history - 1) if history else None
                assert again.value in (old, b"the new one")
                assert not again.is_lost
                again.write(b"after")
                assert Cell(blocks).value == b"after"


def test_cell_when_all_its_blocks_are_damaged():
    """It says that it lost its value, which is not the same as being new."""
    blocks = Blocks(2)
    cell = Cell(blocks)
    for value in (b"one", b"two"):
        cell.write(value)
    for block in blocks.data:
        block[7] ^= 1
    assert Cell(blocks).is_lost
    assert Cell(blocks).damaged == 2


def test_cell_when_cleared_and_cut():
    """Forgetting cut anywhere leaves the newest value or none: no older one comes back."""
    for cut in range(4):
        blocks = Blocks()
        cell = Cell(blocks)
        for number in range(6):
            cell.write(b"value %d" % number)
        blocks.restart(cut)
        assert raises(PowerCutError, cell.clear)
        assert Cell(blocks.restart()).value in (b"value 5", None)
    cell.clear()
    assert Cell(blocks).value is None


def test_cell_when_the_flash_is_worn_out():
    """A write that fails is an error to the caller; the value before still counts."""
    blocks = Blocks()
    cell = Cell(blocks)
    cell.write(b"old")
    blocks.broken = True
    assert raises(OSError, cell.write, b"new")
    assert cell.value == b"old"
    blocks.broken = False
    assert Cell(blocks).value == b"old"
