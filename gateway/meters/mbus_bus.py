"""Heat meters on an M-Bus, through a serial level converter or one in the network: one question, one answer."""

import asyncio

from commonwatt.i18n import _
from commonwatt.quantities import BY_OBIS, HEAT
from commonwatt.units import format_kwh
from gateway.meters import mbus
from gateway.meters.mbus import MBusRefusal, Telegram
from gateway.meters.meter import Meter, Registers
from gateway.meters.serial_line import Line, open_serial, open_tcp
from gateway.meters.silence import MeterSilentError
from gateway.settings import BusSettings

HEAD_SIZE = 4
"""68 L L 68: after these we know how long the answer is."""
TAIL_SIZE = 2
BITS_PER_BYTE = 11
"""Start, eight bits, parity, stop."""


class MBusBus:
    """One bus; its line is opened when it is first needed, and anew after it was lost."""

    def __init__(self, settings: BusSettings) -> None:
        self._settings = settings
        self._line: Line | None = None
        self._quiet_from_s = float("-inf")

    async def energy(self, meter: Meter) -> Registers:
        """The heat register; MeterSilentError if there is none."""
        heat_wh = mbus.heat_wh(await self.telegram(meter.unit))
        if isinstance(heat_wh, MBusRefusal):
            raise MeterSilentError(heat_wh.value)
        return ((HEAT.number, heat_wh),)

    async def shown(self, meter: Meter) -> list[tuple[str, str]]:
        """The heat register, and who answered."""
        telegram = await self.telegram(meter.unit)
        heat_wh = mbus.heat_wh(telegram)
        heat = _("no value") + f" ({heat_wh.value})" if isinstance(heat_wh, MBusRefusal) else format_kwh(heat_wh)
        return [
            (BY_OBIS[HEAT.obis].name, heat),
            (_("number"), telegram.identification),
            (_("maker"), telegram.manufacturer),
        ]

    async def telegram(self, unit: int) -> Telegram:
        """What the meter at a primary address says now.

        The frame count bit stays set: a meter that splits its answer sends the first part, where its register is.
        """
        loop = asyncio.get_running_loop()
        if (pause_s := self._quiet_from_s - loop.time()) > 0:
            await asyncio.sleep(pause_s)
        try:
            line = await self._opened()
            return await self._ask(line, unit)
        except OSError as error:
            self.close()
            raise MeterSilentError("no-connection") from error
        finally:
            self._quiet_from_s = loop.time() + self._settings.gap_s

    def close(self) -> None:
        """Let the line go."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def _opened(self) -> Line:
        if self._line is None:
            own = self._settings
            if own.serial is not None:
                self._line = await open_serial(
                    own.serial, baud=own.line_baud, bits=8, parity=own.line_parity, stop_bits=own.stop_bits
                )
            else:
                assert own.host is not None
                try:
                    async with asyncio.timeout(own.timeout_s):
                        self._line = await open_tcp(own.host, own.tcp_port)
                except TimeoutError as error:
                    raise ConnectionRefusedError("no connection") from error
        return self._line

    async def _ask(self, line: Line, unit: int) -> Telegram:
        await line.discard()
        line.write(mbus.ask(unit))
        heard = False
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                head = await line.read_exactly(HEAD_SIZE)
            heard = True
            if head[0] != 0x68 or head[3] != 0x68 or head[1] != head[2] or head[1] < 3:
                raise MeterSilentError(MBusRefusal.MALFORMED.value)
            size = head[1] + TAIL_SIZE
            async with asyncio.timeout(self._settings.timeout_s + size * BITS_PER_BYTE / self._settings.line_baud):
                data = head + await line.read_exactly(size)
        except TimeoutError as error:
            raise MeterSilentError(MBusRefusal.MALFORMED.value if heard else "no-answer") from error
        if data[5] != unit:
            raise MeterSilentError("garbled")
        telegram = mbus.parse(data)
        if isinstance(telegram, MBusRefusal):
            raise MeterSilentError(telegram.value)
        return telegram
