"""What devices say beside their blocks, and what they are told: each message to its desk, by the end of its topic."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from commonwatt import topics
from commonwatt.mqtt import Message
from commonwatt.registry import DeviceRecord
from commonwatt.topics import of_device
from gateway.devices.asking import AskingDesk
from gateway.devices.claims import ClaimDesk
from gateway.devices.commands import CommandDesk
from gateway.devices.states import States
from gateway.devices.time_answers import TimeDesk, is_question
from gateway.upstream.uplink import Publisher

SUBSCRIPTIONS = [of_device("+", channel) for channel in (topics.BLOCK, topics.TIME, topics.STATE, topics.CLAIM)]
"""What the gateway listens to at the devices' broker."""


@dataclass
class Sorted:
    """The messages of one tick: questions for the time, blocks, and news (states and claims)."""

    questions: list[Message] = field(default_factory=list)
    blocks: list[Message] = field(default_factory=list)
    news: list[Message] = field(default_factory=list)

    @classmethod
    def of(cls, messages: Iterable[Message]) -> "Sorted":
        """By the end of the topic; what no desk knows is judged as a block, and counted there."""
        sorted_ = cls()
        for message in messages:
            if is_question(message):
                sorted_.questions.append(message)
            elif message.topic.endswith((f"/{topics.STATE}", f"/{topics.CLAIM}")):
                sorted_.news.append(message)
            else:
                sorted_.blocks.append(message)
        return sorted_


@dataclass
class Desks:
    """The desks of a gateway. `take` and `take_from_upstream` write, so inside a transaction; `speak` after it."""

    time: TimeDesk
    commands: CommandDesk
    claims: ClaimDesk
    asking: AskingDesk
    states: States = field(default_factory=States)

    def subscriptions(self, others: Iterable[str]) -> list[str]:
        """What to listen to upstream, beside `others`."""
        return [*others, *self.commands.subscriptions(), *self.asking.subscriptions()]

    def tell_time(self, questions: Iterable[Message], link: Publisher, *, may_sign: bool) -> None:
        """At once: the answer promises nothing about the disk, and grows older by waiting."""
        for question in questions:
            answer = self.time.answer(question, may_sign=may_sign)
            if answer is not None:
                link.publish(answer.topic, answer.payload)

    def take(self, news: Iterable[Message], devices: dict[bytes, DeviceRecord], now_s: int) -> None:
        """States and claims of devices; a device that is there gets what waits for it."""
        for message in news:
            if message.topic.endswith(f"/{topics.CLAIM}"):
                self.claims.receive(message, devices, now_s)
            elif (heard := self.states.take(message, now_s)) is not None and heard[1].is_online:
                self.commands.heard(heard[0], heard[1].command)
                self.asking.heard(heard[0])

    def take_from_upstream(self, message: Message, now_s: int) -> bool:
        """A command for a device, or what devices are asked for; False if it is neither. `now_s`: the age clock."""
        return self.commands.receive(message, now_s) or self.asking.receive(message)

    def speak(self, local: Publisher, upstream: Publisher, *, connections: tuple[int, int]) -> None:
        """Hand commands and requests to devices, and claims upstream; `connections` counts those of the two."""
        self.commands.hand_over(local)
        self.asking.hand_over(local, connections[0])
        self.claims.pass_on(upstream, connections[1])
