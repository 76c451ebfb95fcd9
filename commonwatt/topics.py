"""MQTT topics. Devices: cw/<device>/…; upstream: cw/<commune>/<gateway>/… with ids as 32 hex digits.

A commune's slug is never 32 hex digits, so the two families cannot meet.
"""

import re

BLOCK, ACK, COMMAND, TIME, TIME_ANSWER = "block", "ack", "cmd", "time", "time/answer"
CLAIM, ENERGY = "claim", "energy"
ASKED, REQUESTS = "asked", "requests"
BATCH, RECEIPT, REGISTRY, STATE = "batch", "receipt", "registry", "state"

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,30}")


def is_slug(text: str) -> bool:
    """Whether a text may name a commune: a to z first, then a-z, 0-9 and hyphens, at most 31 characters."""
    return _SLUG.fullmatch(text) is not None


def of_device(device: bytes | str, channel: str) -> str:
    """A device's topic on its gateway's broker; "+" for all devices."""
    return f"cw/{device if isinstance(device, str) else device.hex()}/{channel}"


def of_gateway(commune: str, gateway: bytes | str, channel: str) -> str:
    """A gateway's topic upstream; "+" for all gateways."""
    return f"cw/{commune}/{gateway if isinstance(gateway, str) else gateway.hex()}/{channel}"


def claim_parties(topic: str) -> tuple[bytes, bytes] | None:
    """Gateway and device of a claim that a gateway passes on, cw/<commune>/<gateway>/claim/<device>; None: no claim's
    topic."""
    head, _slash, device = topic.rpartition("/")
    if head.rpartition("/")[2] != CLAIM:
        return None
    gateway = sender(head)
    try:
        identifier = bytes.fromhex(device)
    except ValueError:
        return None
    return None if gateway is None or len(identifier) != 16 else (gateway, identifier)


def sender(topic: str) -> bytes | None:
    """The id that a topic names (a device's or a gateway's), or None if there is none."""
    parts = topic.split("/")
    if len(parts) not in (3, 4) or parts[0] != "cw":
        return None
    try:
        identifier = bytes.fromhex(parts[-2])
    except ValueError:
        return None
    return identifier if len(identifier) == 16 else None
