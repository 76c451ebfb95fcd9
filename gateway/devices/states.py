"""What devices say of themselves on cw/<device>/state: "online", "offline" (their last will), or a small JSON object.

Kept in memory for people to look at: the broker retains it, so a restarted gateway hears it again. Nothing is decided
by it but when to hand a command over.
"""

import json
from dataclasses import dataclass
from typing import Any

from commonwatt import topics
from commonwatt.mqtt import Message

SIZE_MAX = 1024
DEVICES_MAX = 5_000
OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The last word of a device: when it was heard (civil time), whether it is there, and what it said."""

    heard_s: int
    is_online: bool
    said: dict[str, Any]

    @property
    def command(self) -> int | None:
        """The counter of the last command that it obeyed, if it says so."""
        counter = self.said.get("command")
        return counter if type(counter) is int else None


def read_state(payload: bytes, now_s: int) -> DeviceState | None:
    """What a device said, or None if it is too large or neither of the two words nor a JSON object."""
    if len(payload) > SIZE_MAX:
        return None
    if payload in (b"online", b"offline"):
        return DeviceState(now_s, payload == b"online", {})
    try:
        said = json.loads(payload, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return DeviceState(now_s, said.get("state") != OFFLINE, said) if isinstance(said, dict) else None


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not JSON, and would spoil ours")


class States:
    """The last state of each device, bounded; `ignored` counts what was none."""

    def __init__(self) -> None:
        self.ignored = 0
        self.by_device: dict[bytes, DeviceState] = {}
        self.ours: set[bytes] = set()
        """Who is no device, though it has a state on the devices' broker: the gateway and its own meters."""

    def take(self, message: Message, now_s: int) -> tuple[bytes, DeviceState] | None:
        """Keep a state; who said what, or None if it was none."""
        device = topics.sender(message.topic)
        if device in self.ours:
            return None
        state = read_state(message.payload, now_s)
        is_room = device in self.by_device or len(self.by_device) < DEVICES_MAX
        if device is None or state is None or not is_room:
            self.ignored += 1
            return None
        self.by_device[device] = state
        return device, state

    def described(self) -> dict[str, Any]:
        """For status.json."""
        online = sum(state.is_online for state in self.by_device.values())
        return {
            "online": online,
            "offline": len(self.by_device) - online,
            "ignored": self.ignored,
            "by_device": {
                device.hex(): {"online": state.is_online, "heard_s": state.heard_s, "said": state.said}
                for device, state in sorted(self.by_device.items())
            },
        }
