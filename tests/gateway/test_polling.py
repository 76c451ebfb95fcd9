"""Meters over a real socket: what is read, what is refused, and that a dead one delays nobody."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from commonwatt.clock import CivilClock, MonotonicClock
from gateway.meters import checking, polling
from gateway.meters import tables as meters
from gateway.meters.buses import open_bus
from gateway.meters.meter import Heat, Linky, Meter, Registers, limits_of
from gateway.meters.polling import MeterState, Poller, PollRules
from gateway.meters.sampling import Reading
from gateway.meters.silence import MeterSilentError
from gateway.settings import BusSettings
from tests.gateway.modbus_meter import FaultyMeter
from tests.gateway.serial_ports import SerialAdapter, serial_meters
from tests.gateway.support import GIVE_UP_S, free_port, wait_for
from tests.gateway.test_buses import iem3155
from tests.gateway.test_mbus import KAMSTRUP, HeatBus
from tests.gateway.test_tic import STANDARD, framed

TABLE = meters.find("schneider-iem3155")
T0 = 1_721_606_400
NO_VALUE = -(2**63)


def meter_at(port: int, name: str = "solar", device: bytes = bytes(16)) -> Meter:
    bus = BusSettings(name=name, kind="modbus-tcp", host="127.0.0.1", port=port, timeout_s=0.2)
    return Meter(name, device, bus, 1, TABLE, limits_of(TABLE))


def rules(**changes: Any) -> PollRules:
    usual = {"step_s": 900, "late_s_max": 900, "backoff_s_min": 0.1, "backoff_s_max": 0.2}
    return PollRules(**(usual | changes))


def fast_clock(factor: float = 9000.0) -> CivilClock:
    """A step of 900 s takes 0.1 s."""
    return CivilClock(T0, time.time(), factor)


def read_once(port: int) -> Any:
    async def read() -> Any:
        meter = meter_at(port)
        bus = open_bus(meter.bus, MonotonicClock())
        try:
            return await bus.energy(meter)
        finally:
            bus.close()

    return asyncio.run(read())


def test_read_when_the_meter_is_well() -> None:
    """Both registers come from one request, so they belong to one instant."""
    with FaultyMeter() as meter:
        meter.show(123, 2**40)
        assert read_once(meter.port) == ((1, 123), (2, 2**40))
        assert meter.asked == 1


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("silent", "no-answer"),
        ("exception", "exception-4"),
        ("short", "short-answer"),
        ("other-id", "garbled"),
    ],
)
def test_read_when_the_meter_fails(mode: str, reason: str) -> None:
    """No value is made of a failure: each is named, and the next request stands by itself."""
    with FaultyMeter(mode) as meter:
        meter.show(1, 2)
        with pytest.raises(MeterSilentError) as caught:
            read_once(meter.port)
        assert caught.value.reason == reason


def test_read_when_nobody_listens() -> None:
    """A meter that is switched off is no connection."""
    with pytest.raises(MeterSilentError) as caught:
        read_once(free_port())
    assert caught.value.reason == "no-connection"


@pytest.mark.parametrize("export_wh", [NO_VALUE, -1, -500])
def test_read_when_the_meter_has_no_value(export_wh: int) -> None:
    """ "Not available", 0xFFFF… and a negative counter are no value: never 0, never the last one."""
    with FaultyMeter() as meter:
        meter.show(5, export_wh)
        with pytest.raises(MeterSilentError) as caught:
            read_once(meter.port)
        assert caught.value.reason == "no-value"


def collect(poller: Poller, until: Callable[[list[Reading]], bool], what: str) -> list[Reading]:
    readings: list[Reading] = []

    def enough() -> bool:
        while not poller.readings.empty():
            readings.append(poller.readings.get_nowait())
        return until(readings)

    wait_for(enough, what)
    return readings


def test_poller_when_a_meter_on_another_bus_is_dead() -> None:
    """The living meter misses nothing beside one that never answers; each step is read once."""
    living, dead = bytes(16), b"\x01" * 16
    with FaultyMeter() as well, FaultyMeter("silent") as mute:
        well.show(1, 2)
        fleet = [meter_at(mute.port, "mute", dead), meter_at(well.port, "well", living)]
        # 900 s in half a second: the machine that runs the tests may be slow.
        clock = fast_clock(1800.0)
        with Poller(fleet=fleet, rules=rules(), civil=clock, protocol=MonotonicClock()) as poller:
            readings = collect(poller, lambda readings: len(readings) >= 6, "six readings")
            state = poller.states["mute"]
            wait_for(lambda: state.silent_because, "the mute meter's state")
    times_s = [reading.time_s for reading in readings]
    assert times_s == sorted(set(times_s))
    assert {reading.device for reading in readings} == {living}
    assert (state.taken, state.silent_because) == (0, "no-answer")
    assert well.asked == poller.states["well"].taken + sum(poller.states["well"].failures.values())


def test_poller_when_a_meter_comes_back() -> None:
    """After its silence a meter is read again; the steps between are missed, not made up."""
    with FaultyMeter("silent") as meter:
        meter.show(1, 2)
        protocol = MonotonicClock()
        with Poller(fleet=[meter_at(meter.port)], rules=rules(), civil=fast_clock(), protocol=protocol) as poller:
            wait_for(lambda: poller.states["solar"].failures["no-answer"] >= 2, "two failures")
            assert poller.readings.empty()
            meter.mode = "ok"
            collect(poller, lambda readings: len(readings) >= 2, "readings again")
            assert poller.states["solar"].silent_because is None


def test_poller_when_nothing_is_configured() -> None:
    """A gateway without meters of its own runs and ends like any other."""
    with Poller(fleet=[], rules=rules(), civil=fast_clock(), protocol=MonotonicClock()) as poller:
        assert poller.is_alive


def test_state_when_a_meter_stays_silent() -> None:
    """It is left alone twice as long each time, up to the limit, and at once forgiven when it answers."""
    state, limits = MeterState(), rules(backoff_s_min=2.0, backoff_s_max=300.0)
    waits_s = []
    for _ in range(10):
        state.fail("no-answer", 1000.0, limits)
        waits_s.append(state.backoff_s)
    assert waits_s == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert not state.is_due(T0, 1299.0)
    assert state.is_due(T0, 1300.0)
    state.succeed(T0, 900)
    state.succeed(T0 + 4 * 900, 900)
    assert (state.backoff_s, state.taken, state.missed) == (0, 2, 3)


def test_check_when_meters_differ() -> None:
    """Each meter's values stand under its name, a silent one is said to be silent."""
    with FaultyMeter() as well, FaultyMeter("exception") as ill:
        well.show(1234, 2**63 - 1)
        fleet = [meter_at(well.port, "well"), meter_at(ill.port, "ill")]
        good, bad = asyncio.run(checking.check_all(fleet, MonotonicClock()))
    assert "active energy import    1.234 kWh" in good.text()
    assert good.answered
    assert not bad.answered
    assert "exception-4: the meter says that it is out of order" in bad.text()


def test_poller_when_the_clock_is_not_trusted() -> None:
    """A reading that could not be dated is not even taken; the meter is asked once the clock is right."""
    answers: list[bool] = []
    is_trusted = threading.Event()

    def may_sign() -> bool:
        answers.append(is_trusted.is_set())
        return answers[-1]

    with FaultyMeter() as meter:
        meter.show(1, 2)
        with Poller(
            fleet=[meter_at(meter.port)],
            rules=rules(),
            civil=fast_clock(1800.0),
            protocol=MonotonicClock(),
            may_sign=may_sign,
        ) as poller:
            wait_for(lambda: len(answers) >= 3, "three refusals")
            assert (meter.asked, poller.readings.qsize()) == (0, 0)
            is_trusted.set()
            collect(poller, bool, "a reading")


def test_poller_when_a_meter_on_the_same_bus_is_dead(tmp_path: Path) -> None:
    """On a serial line the dead one is asked after the others and ever less often: they miss no step."""
    units = {number: iem3155(number, 2 * number) for number in (1, 2, 3)}
    with serial_meters(tmp_path, units) as adapter:
        bus = BusSettings(name="cellar", kind="modbus-rtu", serial=str(adapter.path), timeout_s=0.2, gap_s=0.001)
        fleet = [
            Meter(f"meter {unit}", bytes([unit]) * 16, bus, unit, TABLE, limits_of(TABLE)) for unit in (9, 1, 2, 3)
        ]
        # 900 s in a second: three reads and one time-out fit, whatever the order.
        with Poller(
            fleet=fleet,
            rules=rules(backoff_s_max=300.0),
            civil=fast_clock(900.0),
            protocol=MonotonicClock(),
        ) as poller:
            readings = collect(poller, lambda readings: len(readings) >= 12, "twelve readings")
            states = dict(poller.states)
    assert {reading.device for reading in readings} == {bytes([unit]) * 16 for unit in (1, 2, 3)}
    assert (states["meter 9"].taken, states["meter 9"].silent_because) == (0, "no-answer")
    assert [states[f"meter {unit}"].missed for unit in (1, 2, 3)] == [0, 0, 0]
    assert states["meter 9"].backoff_s >= 0.4


def test_poller_when_several_kinds_of_buses_are_read_at_once(tmp_path: Path) -> None:
    """Modbus on a wire and in the network, heat on M-Bus and a Linky: one thread, none waits for another."""
    heat = HeatBus(tmp_path / "converter", {17: KAMSTRUP})
    dongle = SerialAdapter(tmp_path / "dongle")
    with (
        serial_meters(tmp_path, {4: iem3155(40, 41)}) as adapter,
        FaultyMeter() as solar,
        heat.adapter,
        dongle,
    ):
        solar.show(1, 2)
        rtu = BusSettings(name="rtu", kind="modbus-rtu", serial=str(adapter.path), gap_s=0.001)
        warm = BusSettings(name="heat", kind="mbus-serial", serial=str(heat.adapter.path), gap_s=0)
        tic = BusSettings(name="tic", kind="tic", serial=str(dongle.path), mode="standard")
        fleet = [
            meter_at(solar.port, device=b"\1" * 16),
            Meter("wire", b"\2" * 16, rtu, 4, TABLE, limits_of(TABLE)),
            Meter("heat", b"\3" * 16, warm, 17, Heat(), limits_of(Heat())),
            Meter("linky", b"\4" * 16, tic, 1, Linky(), limits_of(Linky())),
        ]
        with Poller(fleet=fleet, rules=rules(), civil=fast_clock(1800.0), protocol=MonotonicClock()) as poller:

            def all_read(readings: list[Reading]) -> bool:
                dongle.send(framed(STANDARD))
                return {reading.device for reading in readings} == {meter.device for meter in fleet}

            readings = collect(poller, all_read, "a reading of each")
    by_device = {reading.device[0]: reading.registers_wh for reading in readings}
    assert by_device == {
        1: ((1, 1), (2, 2)), 2: ((1, 40), (2, 41)), 3: ((3, 37_351_000),), 4: ((1, 3519702),),
    }  # fmt: skip


class Stubborn:
    """A bus whose library takes its cancellation for an answer, as asyncio.wait_for may in Python 3.11."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    async def energy(self, _meter: Meter) -> Registers:
        self.asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        return ((1, 1),)

    async def shown(self, _meter: Meter) -> list[tuple[str, str]]:
        return []

    def close(self) -> None:
        pass


def test_poller_when_a_cancellation_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends all the same, and what came so late is not taken."""
    bus = Stubborn()
    monkeypatch.setattr(polling, "open_bus", lambda *_: bus)
    poller = Poller(fleet=[meter_at(1)], rules=rules(), civil=CivilClock(), protocol=MonotonicClock())
    poller.__enter__()
    assert bus.asked.wait(GIVE_UP_S)
    ending = threading.Thread(target=poller.__exit__, args=(None, None, None), daemon=True)
    ending.start()
    ending.join(GIVE_UP_S)
    assert not ending.is_alive()
    assert poller.readings.empty()
