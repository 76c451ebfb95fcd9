"""The gateway at work: what has arrived is made durable, and only then answered and sent on.

One thread ticks and owns the database; paho's threads and the poller's thread only put into bounded queues. A tick
takes what is there, writes all of it in one transaction (group commit), and then speaks.
"""

import logging
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from commonwatt.mqtt import Message
from gateway.age import AgeClock
from gateway.database import Database
from gateway.devices.desks import Desks, Sorted
from gateway.devices.inbox import Inbox, Judged
from gateway.meters.meter import Meter
from gateway.meters.polling import Poller, PollRules, Schedule
from gateway.meters.sampler import Sampler
from gateway.meters.sampling import Reading
from gateway.spool import NewBlock, Spool
from gateway.upstream.uplink import Publisher, Uplink

TICK_S = 0.05
"""How long a tick waits for a first message when there is nothing to do."""
TICK_MESSAGES_MAX = 2000
"""Messages of one tick: what one commit makes durable, and what is in memory at once."""

OWN_SHARE = 1.1
"""Our own meters have nowhere else to keep readings, so they may use a tenth more than devices."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """How large the spool may grow, and how long a block may wait for its receipt (age clock)."""

    bytes_max: int
    age_s_max: int

    @property
    def days(self) -> int:
        """As a person says it."""
        return self.age_s_max // 86_400


class Link(Publisher, Protocol):
    """A broker connection as the tick uses it; `MqttLink` is one."""

    connects: int
    dropped: int
    trouble: str | None

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, or None after `timeout_s`."""
        ...


class Gateway:
    """One gateway at work; `tick` is its whole life."""

    def __init__(
        self,
        *,
        database: Database,
        spool: Spool,
        inbox: Inbox,
        age: AgeClock,
        desks: Desks,
        uplink: Uplink,
        samplers: dict[bytes, Sampler],
        poller: Poller,
        local: Link,
        upstream: Link,
        civil: Schedule,
        limits: SpoolLimits,
        may_sign: Callable[[], bool],
    ) -> None:
        self.inbox, self.spool, self.uplink, self.poller = inbox, spool, uplink, poller
        self.age, self.desks, self.local, self.upstream = age, desks, local, upstream
        self.accepted = self.duplicates = self.turned_away = self.meter_blocks = 0
        self.seen: dict[bytes, int] = {}
        """When the last verified block of each device came (civil time)."""
        self.database = database
        self.samplers = samplers
        self._civil = civil
        self._limits = limits
        self.expired = self.readings_dropped = 0
        self._may_sign = may_sign
        self.may_sign = False

    def tick(self) -> None:
        """Take what has arrived, make it durable, then answer and send."""
        assert self.poller.is_alive, "the poller ended by a mistake of ours; its traceback is in the log"
        arrived = Sorted.of(_drain(self.local, wait_s=TICK_S))
        answers = _drain(self.upstream, wait_s=0)
        self.may_sign = self._may_sign()
        self.desks.tell_time(arrived.questions, self.local, may_sign=self.may_sign)
        with self.database.transaction():
            self.age.tick()
            registry_changed = [self._hear_upstream(message) for message in answers]
            if any(registry_changed):
                arrived.blocks = self.inbox.aside.take_all() + arrived.blocks
            self.desks.take(arrived.news, self.uplink.devices, int(self._civil.now_s()))
            self._expire()
            verdicts = self._spool_blocks(arrived.blocks)
            self._spool_readings()
            if self.may_sign:
                self.uplink.close_batches()
        for verdict in verdicts:
            answer = verdict.answer()
            self.local.publish(answer.topic, answer.payload)
        self.desks.speak(self.local, self.upstream, connections=(self.local.connects, self.upstream.connects))
        self.uplink.send(self.upstream)

    def change_meters(
        self,
        meters: Sequence[Meter],
        rules: PollRules,
        *,
        added: dict[bytes, Sampler],
        gone: Iterable[bytes],
        again: Callable[[], dict[bytes, Sampler]],
    ) -> None:
        """Poll these meters from now on. The open blocks of `gone` are closed and sent; `again` then begins anew."""
        self.samplers |= added
        self.poller.change(meters, rules)
        with self.database.transaction():
            self._spool_readings()
            self.meter_blocks += self._store(
                [block for device in gone for block in self.samplers.pop(device).close()]
            )
        self.samplers |= again()

    def _hear_upstream(self, message: Message) -> bool:
        """Something for devices, a receipt or a registry; True if it brought another registry."""
        return not self.desks.take_from_upstream(message, self.age.now_s) and self.uplink.receive(message)

    def _spool_blocks(self, messages: list[Message]) -> list[Judged]:
        """Judge and store device blocks; returns the verdicts to answer. In a full spool none is taken."""
        self.inbox.received += len(messages)
        if messages and self.spool.size_bytes() >= self._limits.bytes_max:
            self.turned_away += len(messages)
            return []
        verdicts = self.inbox.judge_all(messages, self.uplink.devices)
        now_s = int(self._civil.now_s())
        self.seen.update((verdict.device, now_s) for verdict in verdicts if verdict.refusal is None)
        accepted = [verdict.spooled() for verdict in verdicts if verdict.refusal is None]
        stored = self._store(accepted)
        self.accepted += stored
        self.duplicates += len(accepted) - stored
        return verdicts

    def _spool_readings(self) -> None:
        blocks: list[NewBlock] = []
        is_full = self.spool.size_bytes() >= self._limits.bytes_max * OWN_SHARE
        for reading in _readings(self.poller):
            if is_full:
                self.readings_dropped += 1
            else:
                blocks += self.samplers[reading.device].take(reading)
        if self.may_sign:
            now_s = self._civil.now_s()
            for sampler in self.samplers.values():
                blocks += sampler.close_if_over(now_s)
        self.meter_blocks += self._store(blocks)

    def _store(self, blocks: list[NewBlock]) -> int:
        return self.spool.add(blocks, int(self._civil.now_s()), self.age.now_s) if blocks else 0

    def _expire(self) -> None:
        """Drop what has waited too long."""
        expired = self.spool.expire(self.age.now_s - self._limits.age_s_max)
        if expired:
            self.expired += expired
            log.warning("%d blocks waited %d days without a receipt and were dropped", expired, self._limits.days)
        self.desks.commands.expire(self.age.now_s)


def _drain(link: Link, *, wait_s: float) -> list[Message]:
    messages: list[Message] = []
    while len(messages) < TICK_MESSAGES_MAX:
        message = link.receive(0 if messages else wait_s)
        if message is None:
            break
        messages.append(message)
    return messages


def _readings(poller: Poller) -> Iterator[Reading]:
    while True:
        try:
            yield poller.readings.get_nowait()
        except queue.Empty:
            return
