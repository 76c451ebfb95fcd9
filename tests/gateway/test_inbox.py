"""Blocks from devices are judged in the documented order; strangers are set aside within limits."""

import json
from pathlib import Path
from typing import Any

import pytest

from commonwatt import block, cose
from commonwatt.identity import SigningKey
from commonwatt.mqtt import Message
from commonwatt.refusal import Refusal
from commonwatt.registry import DeviceRecord, Status
from commonwatt.topics import of_device
from commonwatt.transport import Ack, sha256
from gateway.devices.inbox import ASIDE_MAX, ASIDE_PER_DEVICE_MAX, Inbox, judge
from gateway.testing import SigningDevice

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "block.json").read_text())


def registry(*devices: SigningDevice, status: Status = Status.ACTIVE) -> dict[bytes, DeviceRecord]:
    return {device.id: device.record(status) for device in devices}


def test_judge_when_a_block_is_good() -> None:
    """A verified block is to be spooled, and its answer names its hash and no reason."""
    device = SigningDevice()
    signed = device.next_block()
    judged = judge(device.message(signed), registry(device))
    assert judged is not None
    assert judged.refusal is None
    assert judged.spooled().signed == signed
    assert judged.answer().topic == of_device(device.id, "ack")
    assert Ack.parse(judged.answer().payload) == Ack(0, sha256(signed))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in VECTORS["refused"]])
def test_judge_when_a_vector_must_be_refused(case: dict[str, Any]) -> None:
    """Every refused vector is refused with its reason, though it is truly signed by a known device."""
    device = SigningDevice()
    signed = cose.sign1(bytes.fromhex(case["payload"]), device.key, block.AAD)
    judged = judge(device.message(signed), registry(device))
    assert judged is not None
    assert judged.refusal is not None
    assert judged.refusal.label == case["reason"]
    answer = Ack.parse(judged.answer().payload)
    assert (answer.block_sha256, answer.refusal) == (sha256(signed), judged.refusal)


def test_judge_when_a_block_is_one_byte_too_large() -> None:
    """More than 1,024 bytes are refused before they are read."""
    device = SigningDevice()
    for size, refusal in (
        (block.SIGNED_SIZE_MAX + 1, Refusal.TOO_LARGE),
        (block.SIGNED_SIZE_MAX, Refusal.NOT_CANONICAL),
    ):
        judged = judge(device.message(bytes(size)), registry(device))
        assert judged is not None
        assert judged.refusal is refusal


def test_judge_when_the_signature_is_another_key_s() -> None:
    """A block signed by any other key, or for another purpose, is refused."""
    device, thief = SigningDevice(), SigningKey.generate()
    payload = cose.parse1(device.next_block(), size_max=1024).payload
    for key, aad in ((thief, block.AAD), (device.key, cose.external_aad("batch", bytes(32)))):
        judged = judge(device.message(cose.sign1(payload, key, aad)), registry(device))
        assert judged is not None
        assert judged.refusal is Refusal.BAD_SIGNATURE


def test_judge_when_one_bit_is_flipped() -> None:
    """No single flipped bit passes."""
    device = SigningDevice()
    signed = device.next_block()
    for bit in range(8 * len(signed)):
        broken = bytearray(signed)
        broken[bit // 8] ^= 1 << bit % 8
        judged = judge(device.message(bytes(broken)), registry(device))
        assert judged is not None
        assert judged.refusal is not None, f"bit {bit}"


def test_judge_when_a_device_is_revoked() -> None:
    """A revoked device is refused; a suspended one is carried, because suspending holds claims and not blocks."""
    device = SigningDevice()
    message = device.message(device.next_block())
    revoked = judge(message, registry(device, status=Status.REVOKED))
    suspended = judge(message, registry(device, status=Status.SUSPENDED))
    assert revoked is not None
    assert suspended is not None
    assert revoked.refusal is Refusal.REVOKED_DEVICE
    assert suspended.refusal is None


def test_judge_when_a_block_comes_under_another_device_s_topic() -> None:
    """The topic names the device: another one's block does not verify there."""
    device, other = SigningDevice(), SigningDevice()
    judged = judge(Message(of_device(other.id, "block"), device.next_block()), registry(device, other))
    assert judged is not None
    assert judged.refusal is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize("topic", ["cw/x/block", "cw/00/block", "cw/demo/" + "00" * 16 + "/block", "other"])
def test_inbox_when_a_topic_names_no_device(topic: str) -> None:
    """Such a message is counted and not answered, for there is nobody to answer."""
    inbox = Inbox()
    assert inbox.judge_all([Message(topic, b"")], {}) == []
    assert inbox.bad_topic == 1


def test_inbox_when_a_device_is_unknown() -> None:
    """Its blocks are set aside, unanswered, and judged again when a registry names it."""
    inbox, device = Inbox(), SigningDevice()
    messages = [device.message(device.next_block()) for _ in range(3)]
    assert inbox.judge_all([*messages, messages[0]], {}) == []
    assert len(inbox.aside) == 3
    verdicts = inbox.judge_all(inbox.aside.take_all(), registry(device))
    assert [verdict.seq for verdict in verdicts] == [0, 1, 2]
    assert len(inbox.aside) == 0


def test_inbox_when_strangers_flood() -> None:
    """What is set aside is bounded per device and in all; what is dropped is counted."""
    inbox, flooder = Inbox(), SigningDevice()
    inbox.judge_all([flooder.message(flooder.next_block()) for _ in range(ASIDE_PER_DEVICE_MAX + 1)], {})
    assert (len(inbox.aside), inbox.aside.dropped) == (ASIDE_PER_DEVICE_MAX, 1)
    others = [SigningDevice(key=flooder.key) for _ in range(ASIDE_MAX)]
    inbox.judge_all([other.message(other.next_block()) for other in others], {})
    assert len(inbox.aside) == ASIDE_MAX
    assert inbox.aside.dropped == 1 + ASIDE_PER_DEVICE_MAX


def test_inbox_when_one_block_of_many_is_bad() -> None:
    """A refusal leaves every other message of the tick untouched, and is counted by its reason."""
    inbox, device = Inbox(), SigningDevice()
    good = [device.message(device.next_block()) for _ in range(2)]
    verdicts = inbox.judge_all([good[0], device.message(b"\x00"), good[1]], registry(device))
    assert [verdict.refusal for verdict in verdicts] == [None, Refusal.MALFORMED, None]
    assert inbox.refused == {"malformed": 1}
