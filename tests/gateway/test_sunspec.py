"""SunSpec: models are found by walking, totals are read, and our offsets are those of the published models."""

import asyncio
import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from gateway.meters import sunspec, sunspec_bus
from gateway.meters.silence import MeterSilentError
from gateway.meters.sunspec import Model, Point, SunSpecError, SunSpecRefusal
from gateway.meters.tables import Request

CAPTURES = Path(__file__).parent / "captures"


def published(number: int) -> dict[str, Any]:
    """A model as the SunSpec Alliance publishes it."""
    group: dict[str, Any] = json.loads((CAPTURES / "sunspec" / f"model_{number}.json").read_text())["group"]
    return group


def offsets(points: list[dict[str, Any]], first: int = 0) -> dict[str, tuple[int, dict[str, Any]]]:
    """Each point with where it stands."""
    placed = {}
    for point in points:
        placed[point["name"]] = (first, point)
        first += point["size"]
    return placed


class Registers:
    """A device that has some registers, and answers any other with an exception."""

    def __init__(self, words: dict[int, int]) -> None:
        self.words = words
        self.asked = 0

    async def read(self, address: int, count: int) -> Sequence[int]:
        self.asked += 1
        return [self.words[address + index] for index in range(count)]


def placed_at(address: int, *words: int) -> dict[int, int]:
    return {address + index: word for index, word in enumerate(words)}


@pytest.mark.parametrize("number", sunspec.POINTS)
def test_offsets_when_compared_with_the_published_model(number: int) -> None:
    """Place, type, size, unit and scale of every point that we read are as published."""
    points = offsets(published(number)["points"])
    for own in sunspec.POINTS[number]:
        check_point(own, points, points)


def test_offsets_when_compared_with_the_published_strings() -> None:
    """So are those of model 160, whose strings of panels repeat."""
    group = published(160)
    fixed = offsets(group["points"])
    (module,) = group["groups"]
    for own in sunspec.MODULE:
        check_point(own, offsets(module["points"], first=10), fixed)
    assert sum(point["size"] for point in module["points"]) == sunspec.MODULE_WORDS
    assert fixed["N"][0] == sunspec.MODULES_OFFSET


def check_point(own: Point, points: dict[str, Any], scales: dict[str, Any]) -> None:
    offset, point = points[own.name]
    assert (own.offset, own.kind.name.lower(), own.unit) == (offset, point["type"], point["units"])
    assert scales[point["sf"]][0] == own.scale_offset
    assert own.kind.value[0] == point["size"]


def test_walk_when_a_real_inverter_answers() -> None:
    """evcc-io/evcc#15726, a Kostal: the models that it told, each header where the one before it says."""
    lengths = [(1, 66), (103, 50), (113, 60), (120, 26), (123, 24), (160, 68), (203, 105), (802, 62)]
    words, address = placed_at(40000, *sunspec.SUNS), 40002
    for number, length in (*lengths, (0xFFFF, 0)):
        words |= placed_at(address, number, length)
        address += 2 + length
    assert words[0x9C86] == 103, "where the first header stood that was posted"
    assert words[0x9E1F] == 0xFFFF, "and the last"
    models = asyncio.run(sunspec.discover(Registers(words).read))
    assert [(model.number, model.length) for model in models] == lengths
    with pytest.raises(SunSpecError, match="ambiguous"):
        sunspec.metering(models)
    assert sunspec.metering(models, 203).address == 0x9D74


def test_strings_when_a_real_inverter_answers() -> None:
    """evcc-io/evcc#12713, a Kostal PIKO: two strings, volts in tenths; one that was not read has no value."""
    scales = {"DCA": -2, "DCV": -1, "DCW": 0, "DCWH": 0}
    fixed = [*(scale & 0xFFFF for scale in scales.values()), 0, 0, 2, 0]  # no event, two strings, no period
    first = [1] + 8 * [0] + [0xFFFF, 3821, 0x8000, 0, 0]
    words = [160, 48, *fixed, *first]
    one, two = sunspec.modules(words)
    assert one == {"DCA": None, "DCV": Fraction(3821, 10), "DCW": 0x8000, "DCWH": None}
    assert set(two.values()) == {None}


def meter(total_exported: int, phases: Sequence[int], imported: int, scale: int) -> list[int]:
    words = [203, 105, *(105 * [0])]
    for offset, value in ((38, total_exported), *zip((40, 42, 44), phases, strict=True), (46, imported)):
        words[offset : offset + 2] = divmod(value, 0x10000)
    words[54] = scale & 0xFFFF
    return words


def test_total_when_phases_add_to_something_else() -> None:
    """The figures of a real SolarEdge meter: its total is what it says, not what its phases add to."""
    words = meter(21_267_458, (9_000_000, 7_000_000, 6_962_260), 41, scale=0)
    assert sunspec.registers_wh(203, words) == ((1, 41), (2, 21_267_458))


@pytest.mark.parametrize(
    ("exported", "scale", "expected"),
    [
        (1234, 2, ((1, 700), (2, 123_400))),
        (1239, -1, ((1, 0), (2, 123))),
        (0, 0, ((1, 7),)),
        (5, 0x8000, None),
        (5, 11, None),
    ],
)
def test_energy_when_the_device_scales_it(exported: int, scale: int, expected: object) -> None:
    """Powers of ten are exact and rounded down; a counter at 0 is left out, one without a scale has no value."""
    assert sunspec.registers_wh(203, meter(exported, (0, 0, 0), 7, scale)) == expected


def test_energy_when_a_der_has_no_counter() -> None:
    """Model 701 has 64-bit counters: all ones is no value."""
    words = [701, 153, *(153 * [0])]
    words[19:23] = [0, 0, 1, 2]
    assert sunspec.registers_wh(701, words) == ((1, 0), (2, 65538))
    words[23:27] = 4 * [0xFFFF]
    assert sunspec.registers_wh(701, words) is None


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ({}, SunSpecRefusal.NO_MAP),
        (placed_at(40000, 1, 2), SunSpecRefusal.NO_MAP),
        (placed_at(50000, *sunspec.SUNS, 103, 50), SunSpecRefusal.NO_COMMON_MODEL),
        (placed_at(0, *sunspec.SUNS, *(100 * [1, 0])), SunSpecRefusal.ENDLESS),
        (placed_at(40000, *sunspec.SUNS, 1, 0xFFFF), SunSpecRefusal.ENDLESS),
    ],
)
def test_walk_when_the_map_is_wrong(words: dict[int, int], refusal: SunSpecRefusal) -> None:
    """A device that is none, or whose chain never ends, is refused after a bounded number of requests."""
    device = Registers(words)
    with pytest.raises(SunSpecError) as caught:
        asyncio.run(sunspec.discover(device.read))
    assert caught.value.refusal is refusal
    assert device.asked <= sunspec.MODELS_MAX + 5


def test_metering_when_there_is_nothing_to_sign() -> None:
    """Strings of panels are shown and never signed: they are before the inverter."""
    with pytest.raises(SunSpecError, match="no-energy"):
        sunspec.metering([Model(1, 40002, 66), Model(160, 40070, 68)])


class DeviceBus:
    """A bus with one device that answers exceptions for what it does not have, like real ones."""

    def __init__(self, words: dict[int, int], reason: str = "exception-2") -> None:
        self.words = words
        self.reason = reason
        self.requests: list[Request] = []

    async def read(self, function: int, unit: int, requests: list[Request]) -> dict[int, int]:
        assert (function, unit) == (3, 71)
        (request,) = requests
        self.requests.append(request)
        wanted = range(request.address, request.address + request.count)
        if request.count > 125 or any(address not in self.words for address in wanted):
            raise MeterSilentError(self.reason)
        return {address: self.words[address] for address in wanted}


def device(*models: list[int], base: int = 50000) -> dict[int, int]:
    common = [1, 66, *(66 * [0])]
    return placed_at(base, *sunspec.SUNS, *common, *(word for model in models for word in model), 0xFFFF, 0)


def test_bus_when_a_meter_is_found_and_read() -> None:
    """The walk tries the usual places; afterwards one request gives the energy."""
    bus = DeviceBus(device(meter(5, (0, 0, 0), 7, 0)))
    model = asyncio.run(sunspec_bus.find(bus, 71))
    bus.requests.clear()
    assert asyncio.run(sunspec_bus.read_energy(bus, 71, model)) == ((1, 7), (2, 5))
    assert bus.requests == [Request(50070, 107)]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({}, "sunspec-no-map"),
        (device(), "sunspec-no-energy"),
        (placed_at(0, *sunspec.SUNS, 1, 66), "sunspec-endless"),
    ],
)
def test_bus_when_there_is_nothing_to_read(words: dict[int, int], reason: str) -> None:
    """Why a device is left alone is told in one word."""
    with pytest.raises(MeterSilentError, match=reason):
        asyncio.run(sunspec_bus.find(DeviceBus(words), 71))


def test_bus_when_nobody_answers() -> None:
    """Silence is silence, and no missing map."""
    with pytest.raises(MeterSilentError, match="no-answer"):
        asyncio.run(sunspec_bus.find(DeviceBus({}, "no-answer"), 71))


def test_bus_when_the_map_moved_or_has_no_value() -> None:
    """After an update of the device's firmware another model may stand there: it is not read as the old one."""
    bus = DeviceBus(device(meter(5, (0, 0, 0), 7, 0)))
    with pytest.raises(MeterSilentError, match="sunspec-moved"):
        asyncio.run(sunspec_bus.read_energy(bus, 71, Model(201, 50070, 105)))
    bus.words |= placed_at(50070 + 54, 0x8000)
    with pytest.raises(MeterSilentError, match="no-value"):
        asyncio.run(sunspec_bus.read_energy(bus, 71, Model(203, 50070, 105)))


def test_words_when_a_model_is_longer_than_a_request() -> None:
    """Every register that is signed, and its scale, lies within the one request."""
    for points in sunspec.POINTS.values():
        for point in points:
            assert max(point.offset + point.kind.value[0], point.scale_offset + 1) <= sunspec_bus.WORDS_MAX
