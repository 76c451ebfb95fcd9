"""A USB dongle on a Linky's TIC terminals: 7 data bits, even parity, listening only, opened anew when it was lost."""

import asyncio
from collections.abc import Callable

from commonwatt.clock import Protocolar
from commonwatt.quantities import QUANTITIES
from commonwatt.units import format_kwh
from gateway.meters import tic_meter
from gateway.meters.meter import Meter, Registers
from gateway.meters.serial_line import open_serial
from gateway.meters.silence import MeterSilentError
from gateway.meters.tic import Frame, Mode, Reader
from gateway.meters.tic_meter import Trusted
from gateway.settings import BusSettings

STALE_S = 60.0
"""A Linky sends a frame every two seconds or so: without one for this long there is no value."""
REOPEN_S = 1.0
"""How long a dongle that is gone is left alone."""
FIRST_S_MAX = 15.0
"""How long a person who asks once waits: two frames must agree, and at 1,200 baud one takes two seconds."""


class TicRegisters:
    """The registers of one Linky, believed as frames come in."""

    def __init__(self, mode: Mode) -> None:
        self.reader = Reader(mode)
        self._trusted: dict[int, Trusted] = {}

    def feed(self, data: bytes, now_s: float) -> None:
        """Take what has come in."""
        for frame in self.reader.feed(data):
            self._take(frame, now_s)

    def registers_wh(self, now_s: float) -> Registers | None:
        """(quantity, Wh) of every register the meter has, all believed within the last minute; else None."""
        pairs = []
        for quantity, trusted in sorted(self._trusted.items()):
            if trusted.register_wh is None or now_s - trusted.seen_s >= STALE_S:
                return None
            pairs.append((quantity, trusted.register_wh))
        return tuple(pairs) or None

    def _take(self, frame: Frame, now_s: float) -> None:
        pairs = tic_meter.registers_wh(frame)
        known = set(self._trusted)
        if pairs is None or (known and known != {quantity for quantity, _ in pairs}):
            return  # a short frame, or one that lost a register: it tells nothing whole
        if not known and frame.bad:
            return  # which registers the meter has, only a frame without a fault shows
        for quantity, register_wh in pairs:
            self._trusted.setdefault(quantity, Trusted()).take(register_wh, now_s)


class TicBus:
    """Listens from its making to its closing; make it in a running loop. `is_open`: the dongle is there."""

    def __init__(self, settings: BusSettings, protocol: Protocolar) -> None:
        assert settings.mode is not None
        assert settings.serial is not None
        self.registers = TicRegisters(Mode[settings.mode.upper()])
        self._settings, self._serial = settings, settings.serial
        self._protocol = protocol
        self.is_open = False
        self._heard_at_s = float("-inf")
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._listen())

    async def energy(self, meter: Meter) -> Registers:
        """What is believed now; MeterSilentError says whether the dongle, the meter or its frames are missing."""
        found = self.registers.registers_wh(self._protocol.monotonic_s())
        if found is None:
            raise MeterSilentError(self.silence())
        return found

    async def shown(self, meter: Meter) -> list[tuple[str, str]]:
        """What is believed once two frames have agreed, and how many groups were good and bad."""
        try:
            async with asyncio.timeout(FIRST_S_MAX):
                await self._until(lambda: self.registers.registers_wh(self._protocol.monotonic_s()) is not None)
        except TimeoutError as error:
            raise MeterSilentError(self.silence()) from error
        energy = await self.energy(meter)
        reader = self.registers.reader
        counts = [("frames", f"{reader.frames}"), ("groups", f"{reader.good} good, {reader.bad} bad")]
        return [(QUANTITIES[quantity].name, format_kwh(register_wh)) for quantity, register_wh in energy] + counts

    def close(self) -> None:
        """Stop listening."""
        self._task.cancel()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    def silence(self) -> str:
        """What is missing: the dongle, anything on its line, or frames that are understood."""
        if not self.is_open:
            return "no-connection"
        is_heard = self._protocol.monotonic_s() - self._heard_at_s < STALE_S
        return "no-frame" if is_heard else "no-answer"

    async def _listen(self) -> None:
        own = self._settings
        while True:
            try:
                line = await open_serial(
                    self._serial, baud=own.line_baud, bits=7, parity=own.line_parity, stop_bits=own.stop_bits
                )
            except OSError:
                await asyncio.sleep(REOPEN_S)
                continue
            self.is_open = True
            try:
                while True:
                    data = await line.read()
                    self._heard_at_s = self._protocol.monotonic_s()
                    self.registers.feed(data, self._heard_at_s)
                    self._news.set()
            except OSError:
                await asyncio.sleep(REOPEN_S)
            finally:
                self.is_open = False
                line.close()
