"""Fills the file system of a chip with what a plug keeps there: `micropython files_on_flash.py FIRMWARE`.

A real littlefs, as MicroPython makes it on a chip, on as many blocks as the smallest layout of boards/ has for it.
Prints JSON: how many blocks there are, how many were used at most, and how often the busiest was erased.
"""

import json
import os
import sys

sys.path.insert(0, sys.argv[1])

import boards
import vfs
from meters.store import FileStore
from node.blockfiles import BlockFiles
from node.cell import Cell

SIZE = 4096
ROUNDS = 400


class Flash:
    """Flash in memory that counts its erases."""

    def __init__(self, count):
        self.data = bytearray(count * SIZE)
        self.erased = [0] * count

    def readblocks(self, block, buffer, offset=0):
        at = block * SIZE + offset
        buffer[:] = self.data[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        at = block * SIZE + offset
        self.data[at : at + len(buffer)] = buffer

    def ioctl(self, request, block):
        if request == 6:
            self.erased[block] += 1
        return {4: len(self.erased), 5: SIZE}.get(request, 0)


def used():
    status = os.statvfs("/flash")
    return status[2] - status[3]


partition = next(partition for partition in boards.LAYOUTS["4MiB"] if partition[0] == "vfs")
flash = Flash(partition[3] // SIZE)
vfs.VfsLfs2.mkfs(flash)
vfs.mount(vfs.VfsLfs2(flash), "/flash")
os.mkdir("/flash/state")
for name, size in (("main.py", 90), ("device.json", 1500), ("ca.pem", 2000)):
    with open("/flash/" + name, "w") as file:
        file.write("x" * size)
for name, size in (("key", 65), ("label", 80), ("config", 800)):
    with open("/flash/state/" + name, "w") as file:
        file.write("x" * size)
# The sizes of the longest values: sixteen rules of a schedule, the words of a crash.
sizes = (("starts", 4, 120), ("horizon", 4, 9), ("control", 4, 130), ("update", 4, 30), ("totals", 16, 70))
cells = [(Cell(BlockFiles("/flash/state/" + name, count)), size) for name, count, size in sizes]
registers = [FileStore("/flash/state/" + name) for name in ("energy", "energy2")]
most = used()
for turn in range(ROUNDS):
    for cell, size in cells:
        cell.write(bytes([turn & 127]) * size)
    for register in registers:
        register.save(bytes(40))
    most = max(most, used())
print(json.dumps({"blocks": len(flash.erased), "used": most, "erased": max(flash.erased)}))
