"""Commands to a device's relay, as bytes (docs/spec/command.cddl): values in, values out.

840150<device>1a<counter>8201f4    [1, device, counter, [1, false]]: off
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from commonwatt import cbor, cose, topics
from commonwatt.errors import UserError
from commonwatt.identity import SigningKey

VERSION = 1
SIZE_MAX = 512
RULES_MAX = 16
COUNTER_MAX = (1 << 64) - 1
_RELAY, _SCHEDULE = 1, 2
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RULE = re.compile(r"(?P<days>[a-z,-]+) (?P<hour>\d\d):(?P<minute>\d\d) (?P<position>on|off)")
_EXAMPLE = 'a rule is written as "mon-fri 06:30 on", "sat,sun 08:00 off" or "daily 22:00 off", in UTC'

Rule = tuple[int, int, bool]
"""Days (bit 0 Monday), minute of the day in UTC, whether the relay is on from then."""
Action = tuple[int, bool | tuple[Rule, ...]]


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a device is seen from above: behind a gateway of a commune."""

    commune: str
    gateway: bytes


def relay(is_on: bool) -> Action:
    """Switch on or off, and no schedule from now on."""
    return _RELAY, is_on


def schedule(rules: Sequence[str]) -> Action:
    """Follow these rules; UserError names the one that is none. Without any the relay stays where it is."""
    if len(rules) > RULES_MAX:
        raise UserError(f"{len(rules)} rules", to_do=f"a device keeps {RULES_MAX} at most")
    return _SCHEDULE, tuple(parse_rule(text) for text in rules)


def parse_rule(text: str) -> Rule:
    """A rule as a person writes it."""
    found = _RULE.fullmatch(" ".join(text.lower().split()))
    if not found or int(found["hour"]) > 23 or int(found["minute"]) > 59:
        raise UserError(f"{text!r} is no rule", to_do=_EXAMPLE)
    days = (
        127 if found["days"] == "daily" else sum({1 << day for part in found["days"].split(",") for day in _of(part)})
    )
    return days, 60 * int(found["hour"]) + int(found["minute"]), found["position"] == "on"


def sign(device: bytes, counter: int, action: Action, key: SigningKey, genesis: bytes) -> bytes:
    """The signed command as it travels; at most SIZE_MAX bytes."""
    assert 0 < counter <= COUNTER_MAX
    kind, what = action
    argument = what if isinstance(what, bool) else [list(rule) for rule in what]
    payload = cbor.encode([VERSION, device, counter, [kind, argument]])
    signed = cose.sign1(payload, key, cose.external_aad("command", genesis))
    assert len(signed) <= SIZE_MAX
    return signed


def topic_of(device: bytes, upstream: Upstream | None) -> str:
    """The gateway's own broker has the device's topic; above it the gateway has one for each of its devices."""
    if upstream is None:
        return topics.of_device(device, topics.COMMAND)
    if not topics.is_slug(upstream.commune):
        raise UserError(f"{upstream.commune!r} is no commune", to_do="its slug, as in gateway.toml")
    return f"{topics.of_gateway(upstream.commune, upstream.gateway, topics.COMMAND)}/{device.hex()}"


def _of(part: str) -> list[int]:
    """The days of "mon" or "fri-mon"."""
    first, dash, last = part.partition("-")
    last = last if dash else first
    if first not in _DAYS or last not in _DAYS:
        raise UserError(f"{part!r} is no day of the week", to_do=_EXAMPLE)
    count = (_DAYS.index(last) - _DAYS.index(first)) % len(_DAYS) + 1
    return [(_DAYS.index(first) + step) % len(_DAYS) for step in range(count)]
