"""Blocks in files: what a chip's cells lie on."""

import os

from node.blockfiles import BlockFiles
from node.cell import Cell

from neutral import folder


def test_blockfiles_when_new():
    """Nothing is there, and reads as erased flash; a cell takes it for new."""
    blocks = BlockFiles(folder() + "/cell", 4)
    assert (blocks.ioctl(4, 0), blocks.ioctl(5, 0)) == (4, 512)
    block = bytearray(512)
    blocks.readblocks(3, block)
    assert block == b"\xff" * 512
    cell = Cell(blocks)
    assert (cell.value, cell.is_lost, cell.damaged) == (None, False, 0)


def test_blockfiles_when_written():
    """What was written is read again, erased bytes at its end as well; the next start finds the value."""
    path = folder() + "/cell"
    blocks = BlockFiles(path, 4)
    for written in (b"\xff\x00\xff" + b"\xff" * 509, bytes(512), b"\xff" * 512, b"\x01" * 511 + b"\xff"):
        blocks.writeblocks(2, written)
        block = bytearray(512)
        blocks.readblocks(2, block)
        assert block == written
    blocks.writeblocks(2, b"\xff" * 512)
    for value in (b"", b"\xff" * 40, b"the newest"):
        Cell(BlockFiles(path, 4)).write(value)
        assert Cell(BlockFiles(path, 4)).value == value


def test_blockfiles_when_damaged():
    """A file that was emptied is erased flash; the other blocks still hold the value before."""
    path = folder() + "/cell"
    cell = Cell(BlockFiles(path, 4))
    for value in (b"one", b"two", b"three"):
        cell.write(value)
    open(path + ".2", "wb").close()
    assert Cell(BlockFiles(path, 4)).value == b"two"
    with open(path + ".1", "wb") as file:
        file.write(b"garbage")
    cell = Cell(BlockFiles(path, 4))
    assert (cell.value, cell.damaged) == (b"one", 1)


def test_blockfiles_when_they_cannot_be_read():
    """That is not a new cell: what counts commands must know that it has forgotten."""
    path = folder() + "/cell"
    for number in range(4):
        os.mkdir(path + "." + str(number))
    cell = Cell(BlockFiles(path, 4))
    assert (cell.value, cell.is_lost, cell.damaged) == (None, True, 4)
