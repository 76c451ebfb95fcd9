"""Totals for Home Assistant: they never decrease, whatever the register and the power do."""

import json

from node.cell import Cell
from node.homeassistant import HomeAssistant, Totals
from node.tap import Tap

from blocks import Blocks, PowerCutError
from neutral import ListMeter, raises, run


class Listener:
    """A link that keeps what it is given, up or down as the test says."""

    def __init__(self):
        self.is_up = True
        self.connects = 1
        self.got = []

    async def publish(self, topic, payload, retain=False):
        if self.is_up:
            self.got.append((topic, json.loads(payload), retain))
        return self.is_up


def test_totals_when_the_register_runs_backwards():
    """A replaced meter adds what it counts; the total goes on."""
    totals = Totals(Cell(Blocks()))
    assert totals.take([(1, 1000)]) == {1: 1000}
    assert totals.take([(1, 1500)]) == {1: 1500}
    assert totals.take([(1, 20)]) == {1: 1520}
    assert totals.take([(1, 50), (2, 7)]) == {1: 1550, 2: 7}


def test_totals_when_the_power_is_cut_in_any_write():
    """What was given out is never undercut by what is given out later."""
    for cut in range(0, 128, 5):
        blocks = Blocks()
        totals = Totals(Cell(blocks))
        given = [totals.take([(1, wh)])[1] for wh in (100, 200, 30)]
        blocks.restart(0, cut)
        assert raises(PowerCutError, totals.take, [(1, 90)])
        again = Totals(Cell(blocks.restart()))
        assert again.take([(1, 95)])[1] == 295 >= given[-1]


def test_announcement_on_every_connection():
    """Retained configuration for each register, then totals; again after each connection, and not in between."""
    meter = ListMeter([(1, 1000), (2, 5)])
    tap, link = Tap(meter), Listener()
    assistant = HomeAssistant({}, "ab" * 16, tap, link, Cell(Blocks(4, 256)))
    tap.read()
    assert run(assistant.step())
    topics = [topic for topic, _payload, retain in link.got if retain]
    assert topics == [
        "homeassistant/sensor/" + "ab" * 16 + "/import/config",
        "homeassistant/sensor/" + "ab" * 16 + "/export/config",
        "cw/" + "ab" * 16 + "/energy",
    ]
    config = link.got[0][1]
    assert (config["device_class"], config["state_class"]) == ("energy", "total_increasing")
    assert config["unit_of_measurement"] == "Wh"
    assert link.got[2][1] == {"import": 1000, "export": 5}
    run(assistant.step())
    assert len(link.got) == 3
    link.connects = 2
    run(assistant.step())
    assert len(link.got) == 6


def test_announcement_when_the_flash_fails():
    """A total that cannot be kept is not told, and counted."""
    blocks = Blocks()
    tap, link = Tap(ListMeter([(1, 1)])), Listener()
    assistant = HomeAssistant({}, "d", tap, link, Cell(blocks))
    tap.read()
    blocks.broken = True
    assert not run(assistant.step())
    assert (link.got, assistant.unwritten) == ([], 1)
