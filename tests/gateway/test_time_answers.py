"""Time for devices: signed, bound to the question, and never from a clock that nobody keeps."""

import queue
from contextlib import suppress
from pathlib import Path

import pytest

from commonwatt import cbor, cose
from commonwatt.identity import SigningKey, load_key
from commonwatt.mqtt import Message
from commonwatt.testing import ManualClock
from commonwatt.topics import of_device
from gateway.devices.time_answers import AAD, TimeDesk, is_question
from gateway.testing import SigningDevice
from tests.gateway.support import Client, Town

DEVICE, NONCE = bytes(16), bytes(range(16))
ANSWER_SIZE_MAX = 256
ATTEMPTS_MAX = 60


def test_answer_when_a_device_asks() -> None:
    """The answer goes to the asker alone and signs its nonce with the time, in the bytes of the specification."""
    key, clock = SigningKey.generate(), ManualClock(civil_s=1_721_001_600.9)
    answer = TimeDesk(key=key, civil=clock).answer(Message(of_device(DEVICE, "time"), NONCE), may_sign=True)
    assert answer is not None
    assert answer.topic == of_device(DEVICE, "time/answer")
    signed = cose.parse1(answer.payload, size_max=ANSWER_SIZE_MAX)
    assert signed.payload == cbor.encode([1, NONCE, 1_721_001_600])
    assert signed.is_signed_by(key.public_key, b"commonwatt/v1/time")


@pytest.mark.parametrize(
    ("topic", "payload"),
    [(of_device(DEVICE, "time"), NONCE[1:]), (of_device(DEVICE, "time"), NONCE + b"x"), ("cw/nobody/time", NONCE)],
)
def test_answer_when_it_is_no_question(topic: str, payload: bytes) -> None:
    """Only 16 bytes of a device are answered; the rest is counted."""
    desk = TimeDesk(key=SigningKey.generate(), civil=ManualClock())
    assert desk.answer(Message(topic, payload), may_sign=True) is None
    assert (desk.answered, desk.refused) == (0, 1)


def test_answer_when_the_clock_is_not_trusted() -> None:
    """A gateway that does not know the time does not tell it."""
    desk = TimeDesk(key=SigningKey.generate(), civil=ManualClock())
    assert desk.answer(Message(of_device(DEVICE, "time"), NONCE), may_sign=False) is None
    assert (desk.answered, desk.unanswered) == (0, 1)


def test_question_when_it_is_an_answer() -> None:
    """Our own answers and blocks are not questions."""
    assert is_question(Message(of_device(DEVICE, "time"), NONCE))
    assert not is_question(Message(of_device(DEVICE, "time/answer"), NONCE))
    assert not is_question(Message(of_device(DEVICE, "block"), NONCE))


@pytest.mark.story
def test_gateway_when_a_device_asks_for_the_time(tmp_path: Path) -> None:
    """Over the real broker, with the device's own rights."""
    device = SigningDevice()
    town = Town(tmp_path, [device]).found()
    topic = of_device(device.id, "time/answer")
    with town.broker(), town.running_gateway(), town.client(device.id.hex(), topic) as asker:
        answer = _ask(asker, device.id)
    key = load_key(town.directory / "gateway.key").public_key
    signed = cose.parse1(answer.payload, size_max=ANSWER_SIZE_MAX)
    assert signed.is_signed_by(key, AAD)
    assert cbor.decode(signed.payload, size_max=ANSWER_SIZE_MAX)[1] == NONCE


def _ask(asker: Client, device: bytes) -> Message:
    """Ask until answered, as a device does: its first question may come before the gateway's subscription."""
    for _ in range(ATTEMPTS_MAX):
        asker.publish(of_device(device, "time"), NONCE)
        with suppress(queue.Empty):
            return asker.messages.get(timeout=1)
    raise AssertionError("never answered")
