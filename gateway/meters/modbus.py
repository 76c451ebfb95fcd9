"""One Modbus line: requests go over it one after another. The only module that knows pymodbus.

An answer counts if it is the asked unit's (over TCP also the request's own number), of the asked function and exactly
as long as asked. After a time-out the line is closed and opened anew, which forgets what is still on its way.
"""

import asyncio
import logging
import termios
from collections.abc import Awaitable, Callable

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU

from gateway.meters.silence import MeterSilentError
from gateway.meters.tables import Request
from gateway.settings import BusSettings

PARITY_LETTERS = {"none": "N", "even": "E", "odd": "O"}
NO_PORT = (ValueError, termios.error)
"""What pyserial says of a speed that the port cannot have, or of a file that is no serial port."""
Ask = Callable[..., Awaitable[ModbusPDU]]
BASIC_IDENTIFICATION = 0x01
"""Of function 43/14: maker, product and revision in one answer."""


class ModbusLine:
    """The connection of one bus, made when it is first needed."""

    def __init__(self, bus: BusSettings) -> None:
        # Every failure is counted and logged by the poller under the meter's name; pymodbus would say each again.
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
        self._timeout_s = bus.timeout_s
        self._gap_s = bus.gap_s
        self._quiet_from_s = float("-inf")
        self._heard = False
        self._client = self._client_of(bus)

    async def read(self, function: int, unit: int, requests: list[Request]) -> dict[int, int]:
        """All registers of the requests by address; MeterSilentError if one of them fails."""
        memory: dict[int, int] = {}
        for request in requests:
            words = await self._read_one(function, unit, request)
            memory.update(zip(range(request.address, request.address + request.count), words, strict=True))
        return memory

    async def identification(self, unit: int) -> str:
        """What the device calls itself (function 43/14), "" if it does not know the question."""
        try:
            answer = await self._exchange(
                self._client.read_device_information, read_code=BASIC_IDENTIFICATION, device_id=unit
            )
        except MeterSilentError as error:
            if error.reason.startswith("exception-"):
                return ""
            raise
        objects: dict[int, object] = getattr(answer, "information", {})
        texts = [value.decode("latin-1") for _, value in sorted(objects.items()) if isinstance(value, bytes)]
        return " ".join(texts)

    def close(self) -> None:
        """Drop the connection; the next read makes another."""
        self._client.close()

    def _client_of(self, bus: BusSettings) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
        if bus.serial is not None:
            return AsyncModbusSerialClient(
                bus.serial,
                baudrate=bus.line_baud,
                parity=PARITY_LETTERS[bus.line_parity],
                stopbits=bus.stop_bits,
                timeout=self._timeout_s,
                retries=0,
                reconnect_delay=0,
                trace_packet=self._listen,
            )
        assert bus.host is not None
        return AsyncModbusTcpClient(
            bus.host,
            port=bus.tcp_port,
            framer=FramerType.RTU if bus.kind == "modbus-rtu-over-tcp" else FramerType.SOCKET,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._listen,
        )

    def _listen(self, is_sent: bool, data: bytes) -> bytes:
        self._heard = self._heard or (not is_sent and bool(data))
        return data

    async def _read_one(self, function: int, unit: int, request: Request) -> list[int]:
        read = self._client.read_holding_registers if function == 3 else self._client.read_input_registers
        answer = await self._exchange(read, request.address, count=request.count, device_id=unit)
        if answer.function_code != function:
            self.close()
            raise MeterSilentError("garbled")
        if len(answer.registers) != request.count:
            self.close()
            raise MeterSilentError("short-answer")
        return list(answer.registers)

    async def _exchange(self, ask: Ask, *arguments: int, **named: int) -> ModbusPDU:
        """One question and its answer, after the pause that the bus needs."""
        loop = asyncio.get_running_loop()
        if (pause_s := self._quiet_from_s - loop.time()) > 0:
            await asyncio.sleep(pause_s)
        try:
            # pymodbus bounds each of its steps; this bounds them together, whatever the other end does.
            async with asyncio.timeout(2 * self._timeout_s):
                await self._connect()
                self._heard = False
                answer = await ask(*arguments, **named)
        except (ModbusException, OSError, TimeoutError, *NO_PORT) as error:
            self.close()
            raise MeterSilentError(self._reason(error)) from error
        finally:
            self._quiet_from_s = loop.time() + self._gap_s
        if answer.isError():
            raise MeterSilentError(f"exception-{getattr(answer, 'exception_code', 0)}")
        return answer

    async def _connect(self) -> None:
        if not self._client.connected and not await self._client.connect():
            raise ConnectionRefusedError("no connection")

    def _reason(self, error: Exception) -> str:
        if isinstance(error, ConnectionError | ValueError | termios.error):
            return "no-connection"
        return "garbled" if self._heard else "no-answer"
