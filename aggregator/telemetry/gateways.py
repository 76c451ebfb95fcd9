"""What gateways say of themselves upstream (cw/<commune>/<gateway>/state, retained): kept in memory, and read again.

A gateway is trusted with what it says of itself and of nothing else. Everything is bounded: a lie fills no memory,
and a number that is none is taken for missing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aggregator.telemetry.measurements import FACETS
from aggregator.telemetry.point import Point
from commonwatt import topics
from commonwatt.mqtt import Message
from commonwatt.units import INT64_MAX

SIZE_MAX = 16_384
GATEWAYS_MAX = 10_000
VERSIONS_MAX = 50
"""Versions of firmware of one gateway's devices that are counted."""


@dataclass(frozen=True, slots=True)
class Said:
    """The last word of a gateway. `heard_s`: civil time here; `times`: how often we heard it: the first word may be
    an old one that the broker kept."""

    heard_s: int
    times: int
    is_up: bool
    state: Mapping[str, Any] = field(default_factory=dict)


class GatewayStates:
    """The last word by gateway. `take` may be called from another thread than `now`."""

    def __init__(self) -> None:
        self._by_gateway: dict[bytes, Said] = {}

    def take(self, message: Message, now_s: float) -> None:
        """Keep a word; what is none is left alone."""
        gateway = topics.sender(message.topic)
        if gateway is None or (gateway not in self._by_gateway and len(self._by_gateway) >= GATEWAYS_MAX):
            return
        state = _read(message.payload)
        if state is None:
            return
        before = self._by_gateway.get(gateway, Said(0, 0, is_up=False))
        is_up = state.get("state") == "up"
        self._by_gateway[gateway] = Said(
            int(now_s), before.times + 1, is_up, {**before.state, **state} if not is_up else state
        )

    def now(self) -> dict[bytes, Said]:
        """As it is now."""
        return dict(self._by_gateway)


def _read(payload: bytes) -> Mapping[str, Any] | None:
    if len(payload) > SIZE_MAX:
        return None
    try:
        state = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return state if isinstance(state, dict) else None


def points(
    said: Mapping[bytes, Said], names: Mapping[bytes, str], known: Mapping[bytes, bytes], now_s: int
) -> Iterator[Point]:
    """`gateway` and `grid` of every active gateway (`known`), heard of or not. `names`: what people call them."""
    for gateway in sorted(known):
        tags = {"gateway": names.get(gateway, gateway.hex()[:8])}
        word = said.get(gateway)
        if word is None:
            yield Point("gateway", now_s, {"up": 0}, tags)
            continue
        yield Point("gateway", now_s, dict(_of_gateway(word, now_s)), tags)
        grid = dict(_numbers(word.state, _GRID))
        if grid.get("meters"):
            yield Point("grid", now_s, grid, tags)


def _of_gateway(word: Said, now_s: int) -> Iterator[tuple[str, int]]:
    state = word.state
    yield "up", int(word.is_up)
    civil_s = _integer(state.get("civil_s"))
    if civil_s is not None:
        yield "heard_age_s", max(0, now_s - civil_s)
        if word.times > 1 and word.is_up:
            yield "clock_skew_ms", (civil_s - word.heard_s) * 1000
    if isinstance(state.get("clock_trusted"), bool):
        yield "clock_trusted", int(state["clock_trusted"])
    yield from _numbers(state, _GATEWAY)
    refused = _at(state, ("blocks", "refused"))
    if isinstance(refused, dict):
        yield "blocks_refused", sum(count for value in refused.values() if (count := _integer(value)) is not None)


_GATEWAY = {
    "spool_blocks": ("spool", "blocks"),
    "spool_waiting": ("spool", "waiting"),
    "spool_bytes": ("spool", "bytes"),
    "spool_bytes_max": ("spool", "bytes_max"),
    "spool_age_s": ("spool", "oldest_age_s"),
    "disk_free_bytes": ("spool", "disk_free_bytes"),
    "blocks_received": ("blocks", "received"),
    "batches_resent": ("batches", "resent"),
    "clock_jumps": ("clock_jumps",),
    "devices_online": ("fleet", "state", "online"),
    "devices_offline": ("fleet", "state", "offline"),
    "meters_ok": ("meters", "ok"),
    "meters_silent": ("meters", "silent"),
    "meters_doubtful": ("meters", "doubtful"),
}
_GRID = {
    name: ("grid", name)
    for name in ("voltage_mv_min", "voltage_mv_max", "frequency_mhz_min", "frequency_mhz_max", "meters")
}
_ZERO_IF_NONE = {"spool_age_s"}
"""Said to be null where nothing is spooled."""


def _numbers(state: Mapping[str, Any], paths: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, int]]:
    for name, path in paths.items():
        value = _integer(_at(state, path))
        if value is not None:
            yield name, value
        elif name in _ZERO_IF_NONE and path[0] in state:
            yield name, 0


def _at(state: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = state
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _integer(value: Any) -> int | None:
    return value if type(value) is int and -INT64_MAX <= value <= INT64_MAX else None


def fleet(said: Mapping[bytes, Said]) -> dict[str, dict[str, int]]:
    """How many devices all gateways together say are in which class, by facet; a class that nobody is in has 0."""
    found = {facet: dict.fromkeys(classes, 0) for facet, classes in FACETS.items()}
    for word in said.values():
        for facet, counts in found.items():
            told = _at(word.state, ("fleet", facet))
            if not isinstance(told, dict):
                continue
            for name, value in list(told.items())[:VERSIONS_MAX]:
                count = _integer(value)
                if count is not None and (name in counts or not FACETS[facet]):
                    counts[str(name)] = counts.get(str(name), 0) + count
    return found
