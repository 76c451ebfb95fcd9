"""Answers devices that ask for the time, signed so that nobody on the way can set their clocks: docs/spec/time.cddl.

Nothing is stored: a device that got no answer asks again, with another nonce.
"""

from commonwatt import cbor, cose, topics
from commonwatt.clock import Civil
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message

VERSION = 1
NONCE_SIZE = 16
AAD = cose.external_aad("time")


class TimeDesk:
    """Signs the time with the gateway's key. `refused` counts what was no question."""

    def __init__(self, *, key: SigningKey, civil: Civil) -> None:
        self.answered = self.unanswered = self.refused = 0
        self._key = key
        self._civil = civil

    def answer(self, question: Message, *, may_sign: bool) -> Message | None:
        """What the sender is told, or None: no question, or no time that anybody should believe."""
        device = topics.sender(question.topic)
        if device is None or len(question.payload) != NONCE_SIZE:
            self.refused += 1
            return None
        if not may_sign:
            self.unanswered += 1
            return None
        self.answered += 1
        payload = cbor.encode([VERSION, question.payload, int(self._civil.now_s())])
        return Message(topics.of_device(device, topics.TIME_ANSWER), cose.sign1(payload, self._key, AAD))


def is_question(message: Message) -> bool:
    """Whether it came on cw/<device>/time."""
    return message.topic.endswith(f"/{topics.TIME}")
