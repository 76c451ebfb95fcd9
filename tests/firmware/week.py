"""Days of a device in a chip's heap: `micropython -X heapsize=96k -m week FOLDER PORT STEPS` prints JSON.

Reads a recording by its driver, signs, journals on flash and delivers over MQTT, quarter after quarter without
waiting for the clock; after each block it waits for the gateway's word. `alloc` is the heap in use after a
collection, early on and at the end, `peak` the most that was ever in use when a block was signed.
"""

import asyncio
import gc
import json
import sys

import meters
from node.deliver import Delivery
from node.ed25519 import SigningKey
from node.fileflash import FileFlash
from node.flashlog import FlashJournal
from node.link import Link
from node.recorder import Recorder
from node.sample import Sampler

T = 1721001600


class Quarters:
    """The clock: it is where the loop says."""

    synchronised = True
    at_s = T

    def now_s(self):
        return self.at_s

    def wall_ms_until(self, civil_s):
        return 1000 * max(0, civil_s - self.at_s)


def record(path, steps):
    """The meter's recording: a row for each quarter."""
    with open(path, "w") as file:  # noqa: PTH123
        file.write("quantities,1,2\n")
        for step in range(steps):
            file.write("%d,%d,%d\n" % (T + 900 * step, 900 * step // 7, 10 * step))  # noqa: UP031
    return path


async def live(folder, port, steps):
    """Live so many quarters of an hour; the figures."""
    journal = FlashJournal(FileFlash(folder + "/flash", 24))
    quarters = Quarters()
    meter = meters.make({"type": "replay", "file": record(folder + "/recording", steps)}, quarters)
    wake = asyncio.Event()
    recorder = Recorder(journal, SigningKey(bytes(32)), 900, 4)
    sampler = Sampler(meter, quarters, recorder, 900, wake.set, 10)
    broker = {"host": "127.0.0.1", "port": port, "username": "d", "password": "p"}
    link = Link(broker, "d", ["cw/d/ack"], lambda _topic, body: delivery.on_ack(body), wake.set, lambda: 0.5)
    delivery = Delivery(journal, link, "cw/d/block", wake, lambda: 0.5, 2000)
    tasks = [asyncio.create_task(link.run()), asyncio.create_task(delivery.run())]
    early = peak = 0
    for step in range(steps):
        quarters.at_s = T + 900 * step
        sampler.step()
        peak = max(peak, gc.mem_alloc())
        while journal.backlog():
            await asyncio.sleep(0)
        if step == steps // 4:
            gc.collect()
            early = gc.mem_alloc()
    gc.collect()
    late = gc.mem_alloc()
    for task in tasks:
        task.cancel()
    return {"blocks": journal.next_seq, "taken": sampler.taken, "alloc": [early, late], "peak": peak}


gc.threshold(2048)
print(json.dumps(asyncio.run(live(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
