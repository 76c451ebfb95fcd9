"""The gateway at work: what has arrived is made durable, and only then answered and sent on.

One thread ticks and owns the database; paho's threads and the poller's thread only put into bounded queues. A tick
takes what is there, writes all of it in one transaction (group commit), and then speaks.
"""

import queue
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from commonwatt.mqtt import Message
from gateway.database import Database
from gateway.devices.inbox import Inbox, Judged
from gateway.devices.time_answers import TimeDesk, is_question
from gateway.meters.polling import Poller, Schedule
from gateway.meters.sampler import Sampler
from gateway.meters.sampling import Reading
from gateway.spool import NewBlock, Spool
from gateway.upstream.uplink import Publisher, Uplink

TICK_S = 0.05
"""How long a tick waits for a first message when there is nothing to do."""
TICK_MESSAGES_MAX = 2000
"""Messages of one tick: what one commit makes durable, and what is in memory at once."""


class Link(Publisher, Protocol):
    """A broker connection as the tick uses it; `MqttLink` is one."""

    connects: int
    dropped: int

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
        time_desk: TimeDesk,
        uplink: Uplink,
        samplers: dict[bytes, Sampler],
        poller: Poller,
        local: Link,
        upstream: Link,
        civil: Schedule,
        spool_bytes_max: int,
        may_sign: Callable[[], bool],
    ) -> None:
        self.inbox, self.spool, self.uplink, self.poller = inbox, spool, uplink, poller
        self.time_desk, self.local, self.upstream = time_desk, local, upstream
        self.accepted = self.duplicates = self.turned_away = self.meter_blocks = 0
        self._database = database
        self._samplers = samplers
        self._civil = civil
        self._spool_bytes_max = spool_bytes_max
        self._may_sign = may_sign
        self.may_sign = False

    def tick(self) -> None:
        """Take what has arrived, make it durable, then answer and send."""
        assert self.poller.is_alive, "the poller ended by a mistake of ours; its traceback is in the log"
        arrived = _drain(self.local, wait_s=TICK_S)
        messages = [message for message in arrived if not is_question(message)]
        answers = _drain(self.upstream, wait_s=0)
        self.may_sign = self._may_sign()
        self._tell_time(message for message in arrived if is_question(message))
        with self._database.transaction():
            registry_changed = [self.uplink.receive(message) for message in answers]
            if any(registry_changed):
                messages = self.inbox.aside.take_all() + messages
            verdicts = self._spool_blocks(messages)
            self._spool_readings()
            if self.may_sign:
                self.uplink.close_batches()
        for verdict in verdicts:
            answer = verdict.answer()
            self.local.publish(answer.topic, answer.payload)
        self.uplink.send(self.upstream)

    def _tell_time(self, questions: Iterable[Message]) -> None:
        """Before the commit: the answer promises nothing about the disk, and grows older by waiting."""
        for question in questions:
            answer = self.time_desk.answer(question, may_sign=self.may_sign)
            if answer is not None:
                self.local.publish(answer.topic, answer.payload)

    def _spool_blocks(self, messages: list[Message]) -> list[Judged]:
        """Judge and store device blocks; returns the verdicts to answer. In a full spool none is taken."""
        self.inbox.received += len(messages)
        if messages and self.spool.size_bytes() >= self._spool_bytes_max:
            self.turned_away += len(messages)
            return []
        verdicts = self.inbox.judge_all(messages, self.uplink.devices)
        accepted = [verdict.spooled() for verdict in verdicts if verdict.refusal is None]
        stored = self._store(accepted)
        self.accepted += stored
        self.duplicates += len(accepted) - stored
        return verdicts

    def _spool_readings(self) -> None:
        blocks: list[NewBlock] = []
        for reading in _readings(self.poller):
            blocks += self._samplers[reading.device].take(reading)
        if self.may_sign:
            now_s = self._civil.now_s()
            for sampler in self._samplers.values():
                blocks += sampler.close_if_over(now_s)
        self.meter_blocks += self._store(blocks)

    def _store(self, blocks: list[NewBlock]) -> int:
        return self.spool.add(blocks, int(self._civil.now_s())) if blocks else 0


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
