"""What a device tells others, how it watches itself, and whom it asks for the time."""

import asyncio
import json

from node import watch
from node.cell import Cell
from node.health import FAILED_MAX, Health
from node.report import TOLD_SIZE_MAX, Reporter, told
from node.timekeeper import Timekeeper
from node.timesync import LearntClock

from blocks import Blocks
from neutral import raises, run

T = 1721001600


class Air:
    """A link that remembers what it was told."""

    def __init__(self):
        self.is_up = True
        self.connects = 1
        self.told = []

    async def tell(self, topic, payload):
        self.told.append((topic, json.loads(payload)))
        return self.is_up

    async def publish(self, _topic, _payload):
        return False


def test_state_as_others_are_told_it():
    """What is zero is left out, what decides something comes first, and it is never more than a gateway reads."""
    state = {"backlog": 3, "refused": {}, "sent": 0, "command": 7, "faults": {"key": "none"}, "link_up": True}
    assert json.loads(told(state)) == {
        "state": "online",
        "backlog": 3,
        "command": 7,
        "faults": {"key": "none"},
        "link_up": True,
    }
    state["meter"] = {"many": "x" * TOLD_SIZE_MAX}
    assert len(told(state)) <= TOLD_SIZE_MAX
    assert "meter" not in json.loads(told(state))
    assert json.loads(told(state))["faults"] == {"key": "none"}


def test_report_when_the_connection_is_new_and_the_disk_is_full():
    """Each connection hears the state once; what cannot be written is tried again, and stops nothing."""
    air, written = Air(), []

    def write(state):
        written.append(dict(state))
        if len(written) == 1:
            raise OSError(28)

    reporter = Reporter(lambda: {"boots": air.connects}, write, air, "cw/d/state", 0)

    async def live():
        for connects in (1, 1, 2):
            air.connects = connects
            await reporter.step()

    run(live())
    assert air.told == [("cw/d/state", {"state": "online", "boots": n}) for n in (1, 2)]
    assert written == [{"boots": 1}, {"boots": 1}, {"boots": 2}]


def test_report_when_a_command_was_obeyed():
    """Its commander hears at once; other changes wait for their minute, and for the time between two showings."""
    air, written, state = Air(), [], {"command": 1, "sent": 0}
    reporter = Reporter(lambda: dict(state), written.append, air, "cw/d/state", 60000)

    async def live():
        for command, sent in ((1, 1), (1, 2), (2, 3)):
            state.update({"command": command, "sent": sent})
            await reporter.step()

    run(live())
    assert [(told["command"], told["sent"]) for _topic, told in air.told] == [(1, 1), (2, 3)]
    assert written == [{"command": 1, "sent": 1}]


def _watch(health, is_well, looks=3):
    """What a watch of some looks did: (times fed, whether it restarted)."""
    fed, restarts = [], []

    async def live():
        task = asyncio.create_task(watch.watch(health, lambda: fed.append(1), is_well, lambda: restarts.append(1)))
        while len(fed) < looks and not restarts:
            await asyncio.sleep(0.02)
        task.cancel()

    run(live())
    return len(fed), bool(restarts)


def test_watch_when_the_device_is_well():
    """It is fed, and being well ends the count of failed starts; in safe mode nothing but time does."""
    blocks = Blocks()
    health = Health(Cell(blocks), "power")
    assert _watch(health, lambda: False, 1) == (1, False)
    assert health.state()["boots_failed"] == 1
    assert _watch(health, lambda: True, 2) == (2, False)
    assert health.state()["boots_failed"] == 0
    blocks = Blocks()
    for _ in range(FAILED_MAX + 1):
        health = Health(Cell(blocks), "watchdog")
    _watch(health, lambda: True, 1)
    assert (health.is_safe_mode, health.state()["boots_failed"]) == (True, FAILED_MAX + 1)


def test_timekeeper_when_nobody_answers():
    """Nobody is believed, the questions are counted, and a key that is none is refused."""
    clock = LearntClock(T)

    class Board:
        @staticmethod
        def urandom(size):
            return bytes(size)

        @staticmethod
        def random():
            return 0.0

    assert raises(ValueError, Timekeeper, {"gateway": "77"}, clock, "d", Board)
    keeper = Timekeeper({"gateway": "77" * 32}, clock, "d", Board)
    assert keeper.topics == ["cw/d/time/answer"]
    assert not keeper.on_message("cw/d/cmd", b"")
    assert keeper.on_message("cw/d/time/answer", b"garbage")

    async def live():
        task = asyncio.create_task(keeper.run(Air()))
        while not keeper.unanswered:
            await asyncio.sleep(0)
        task.cancel()

    run(live())
    state = keeper.state()
    assert (state["time_known"], state["time_refused"], state["time_unanswered"]) == (False, 1, 1)
