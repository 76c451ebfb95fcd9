"""Blocks from devices: judge each against the registry, answer what is durable or refused, set aside the unknown.

The bytes are a COSE_Sign1 around a block (docs/spec/block.cddl); the topic cw/<device>/block names the sender, and
the broker lets a device publish on its own topics only.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from commonwatt import block, cose, topics, transport
from commonwatt.errors import FormatError
from commonwatt.mqtt import Message
from commonwatt.refusal import Refusal
from commonwatt.registry import DeviceRecord, Verified, verify
from commonwatt.transport import Ack
from gateway.spool import NewBlock

ASIDE_MAX = 1000
"""Blocks of unknown devices kept in memory until a registry names them; the devices keep them too."""
ASIDE_PER_DEVICE_MAX = 16
"""Of one device, so that a stranger who floods leaves room for others."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One message with its verdict. `refusal` is None for a block to be spooled."""

    device: bytes
    seq: int
    sha256: bytes
    signed: bytes
    refusal: Refusal | None

    def spooled(self) -> NewBlock:
        """As the spool takes it."""
        return NewBlock(self.device, self.seq, self.sha256, self.signed)

    def answer(self) -> Message:
        """What its sender is told, once it is true."""
        ack = Ack(self.seq, self.sha256, self.refusal)
        return Message(topics.of_device(self.device, topics.ACK), ack.encode())


def judge(message: Message, devices: dict[bytes, DeviceRecord]) -> Judged | None:
    """The verdict on one message, or None if its topic names no device. `seq` is 0 where none can be read."""
    device = topics.sender(message.topic)
    if device is None or message.topic != topics.of_device(device, topics.BLOCK):
        return None
    sha256 = transport.sha256(message.payload)
    verdict = verify(message.payload, device, devices)
    if isinstance(verdict, Verified):
        return Judged(device, verdict.block.seq, sha256, message.payload, None)
    return Judged(device, _seq_of(message.payload), sha256, message.payload, verdict)


class Aside:
    """Blocks of devices that no registry names yet: bounded, counted, not acknowledged, judged again later."""

    def __init__(self) -> None:
        self.dropped = 0
        self._messages: dict[tuple[bytes, bytes], Message] = {}
        self._per_device: Counter[bytes] = Counter()

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, judged: Judged, message: Message) -> None:
        """Keep a message; one too many is dropped and counted, since its sender will send it again."""
        key = (judged.device, judged.sha256)
        if key in self._messages:
            return
        if len(self._messages) >= ASIDE_MAX or self._per_device[judged.device] >= ASIDE_PER_DEVICE_MAX:
            self.dropped += 1
            return
        self._messages[key] = message
        self._per_device[judged.device] += 1

    def take_all(self) -> list[Message]:
        """Everything that was kept, in order of arrival; afterwards it is empty."""
        messages = list(self._messages.values())
        self._messages.clear()
        self._per_device.clear()
        return messages


class Inbox:
    """Judges messages by the registry that is believed now, and counts."""

    def __init__(self) -> None:
        self.received = 0
        self.refused: Counter[str] = Counter()
        self.bad_topic = 0
        self.aside = Aside()

    def judge_all(self, messages: Iterable[Message], devices: dict[bytes, DeviceRecord]) -> list[Judged]:
        """Verdicts to act upon, in order of arrival; blocks of unknown devices are set aside instead."""
        verdicts = []
        for message in messages:
            judged = judge(message, devices)
            if judged is None:
                self.bad_topic += 1
            elif judged.refusal is Refusal.UNKNOWN_DEVICE:
                self.aside.put(judged, message)
            else:
                if judged.refusal is not None:
                    self.refused[judged.refusal.label] += 1
                verdicts.append(judged)
        return verdicts


def _seq_of(signed: bytes) -> int:
    try:
        return block.parse(cose.parse1(signed, size_max=block.SIGNED_SIZE_MAX).payload).seq
    except FormatError:
        return 0
