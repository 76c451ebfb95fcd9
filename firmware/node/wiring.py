"""Everything that runs in a device, wired: main.py runs it, and the tests live a month of it in seconds.

What is wrong with one part leaves the others running, and is named in `faults`, which is reported:

    boots     five starts came to nothing: safe mode, nothing is measured
    key       the key file is not one: nothing can be signed. Another key would be another device, so none is made
    journal   its flash cannot be read: nothing is measured, because nothing could be kept
    meter     its configuration is wrong; what the journal holds is still delivered
    time      its configuration is wrong: the time stays unknown
    starts    the flash that counts starts cannot be read: no boot loop is noticed

The relay, the network, updates and reports go on whatever is wrong.
"""

import asyncio

import meters

from node import identity
from node.cell import Cell, Forgetful
from node.clock import CivilClock, UnknownTime
from node.deliver import Delivery
from node.flashlog import FlashJournal
from node.health import Health
from node.horizon import Horizon
from node.link import Link
from node.port import ticks_ms
from node.recorder import Recorder
from node.report import Reporter
from node.sample import Sampler
from node.services import Services
from node.tap import Tap
from node.watch import WATCHDOG_MS, watch

_WRONG = (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError)
_AHEAD_S_MAX = 43200  # how far ahead of the last sample an unsigned time may be where the gateway signs it


class Device:
    """Made from its configuration on `board`. KeyError, TypeError: the configuration lacks what every device needs.

    What could not be made is None: `journal`, `recorder`, `sampler`, `delivery`, `timekeeper`, `wifi`.
    """

    def __init__(self, config, board, ticks=ticks_ms, make_link=Link):
        self._config = config
        self._board = board
        self._ticks = ticks
        self._topic = "cw/" + config["device"]
        self._wake = asyncio.Event()
        self.faults = {}
        self.messages_failed = 0
        self.journal = self.recorder = self.sampler = self.delivery = self.timekeeper = self.wifi = None
        cell = self._try("starts", lambda: Cell(board.blocks(config, "starts")))
        self.health = Health(cell or Forgetful(), board.cause())
        self.tap = Tap()
        if self.health.is_safe_mode:
            self.faults["boots"] = "five starts came to nothing"
        else:
            self.journal = self._try("journal", self._make_journal)
        self.civil = self._try("time", self._make_clock) or UnknownTime()
        self.services = Services(config, board, self.civil, self.tap)
        self.link = self._make_link(make_link)
        self.services.attach(self.link)
        if self.journal:
            self._measure()
        if "wifi" in config and board.WIFI:
            self.wifi = self._make_wifi()
        show = lambda state: board.write_status(config["state_dir"] + "/status.json", state)  # noqa: E731
        self.reporter = Reporter(self.describe, show, self.link, self._topic + "/state", board.STATUS_MS)

    def metering(self):
        """Coroutines to run for ever, whatever becomes of the network."""
        feed = self._board.watchdog(WATCHDOG_MS)
        runs = [watch(self.health, feed, self._is_well, self._board.restart), meters.serve(self.tap)]
        if self.sampler:
            runs.append(self.sampler.run())
        return runs

    def network(self):
        """Coroutines that need it, to run for ever."""
        runs = [self.link.run(), self.reporter.run()]
        if self.wifi:
            runs.append(self.wifi.run())
        if self.delivery:
            runs.append(self.delivery.run())
        if self.timekeeper:
            runs.append(self.timekeeper.run(self.link))
        return runs + self.services.runs(self._is_delivering, self._restart_other)

    def on_message(self, topic, payload):
        """Take a message from the broker. Whatever it does to a parser must not end the device: it is counted."""
        try:
            if topic == self._topic + "/ack":
                if self.delivery:
                    self.delivery.on_ack(payload)
            elif not (self.timekeeper and self.timekeeper.on_message(topic, payload)):
                self.services.on_message(topic, payload)
        except Exception:
            self.messages_failed += 1

    def describe(self):
        """The state as a flat dict: counts since this start, but for starts and journal, which flash keeps."""
        link = self.link
        state = {
            "faults": self.faults,
            "link_up": link.is_up,
            "connects": link.connects,
            "link_failures": link.failures,
            "link_reasons": link.reasons,
            "oversized": link.oversized,
            "messages_failed": self.messages_failed,
        }
        for part in (self.health, self.journal, self.sampler, self.delivery, self.timekeeper, self.wifi):
            if part:
                state.update(part.state())
        if hasattr(self.tap, "state"):
            state["meter"] = self.tap.state()
        state.update(self.services.describe())
        return state

    def _measure(self):
        """Journal and network are there: deliver, and if key and meter are what they should be, measure."""
        config, board, journal = self._config, self._board, self.journal
        pause_ms_max = config["retry_ms_max"]
        self.delivery = Delivery(
            journal, self.link, self._topic + "/block", self._wake, board.random, pause_ms_max, self._ticks
        )
        key = self._try("key", lambda: identity.load_or_make(config["state_dir"] + "/key", board.urandom))
        meter = self._try("meter", lambda: meters.make(config["meter"], self.civil, board.hardware(config)))
        if meter:
            self.tap.connect(meter)
        if key:
            boot = self.health.boots
            self.recorder = Recorder(journal, key, config["step_s"], config["block_readings"], boot)
        if key and meter:
            late_s_max = config.get("late_s_max")
            self.sampler = Sampler(
                self.tap, self.civil, self.recorder, config["step_s"], self._wake.set, late_s_max, self._ticks
            )

    def _make_journal(self):
        horizon = Horizon(Cell(self._board.blocks(self._config, "horizon")))
        return FlashJournal(self._board.journal(self._config), horizon=horizon)

    def _make_clock(self):
        config = self._config
        if "clock" in config:
            at = config["clock"]
            return CivilClock(at["wall_anchor_s"], at["civil_anchor_s"], at["factor"])
        settings = config.get("time", self._board.TIME)
        if settings is None:
            return None
        from node.timekeeper import Timekeeper
        from node.timesync import EARLIEST_S, LearntClock

        floor_s = (self.journal and self.journal.last_time_s) or EARLIEST_S
        ahead_s_max = _AHEAD_S_MAX if "gateway" in settings else None
        clock = LearntClock(floor_s, self._ticks, ahead_s_max)
        self.timekeeper = Timekeeper(settings, clock, config["device"], self._board, self._ticks)
        return clock

    def _make_link(self, make_link):
        topics = [self._topic + "/ack"] + self.services.topics
        if self.timekeeper:
            topics += self.timekeeper.topics
        return make_link(
            self._config["broker"],
            self._config["device"],
            topics,
            self.on_message,
            self._wake.set,
            self._board.random,
            retry_ms_max=self._config["retry_ms_max"],
            state_topic=self._topic + "/state",
        )

    def _make_wifi(self):
        from node.wifi import Wifi

        board = self._board
        return Wifi(board.radio(self._config), self._config["wifi"], self.link.nudge, board.random)

    def _try(self, name, make):
        """What `make()` makes; None, and a fault of this name, if it cannot be made."""
        try:
            return make()
        except _WRONG as error:
            self.faults[name] = "%s: %s" % (type(error).__name__, error)
            return None

    def _is_well(self):
        return self.link.is_up and (self.sampler is None or self.tap.reads > 0)

    def _is_delivering(self):
        return self.delivery is not None and (self.delivery.acknowledged > 0 or not self.journal.backlog())

    def _restart_other(self):
        """Another image starts next: how often this one failed to start says nothing about it."""
        self.health.well()
        self._board.restart()
