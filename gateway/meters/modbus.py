"""One Modbus bus: a connection that requests go through one after another. The only module that knows pymodbus.

After a time-out the connection is closed, so that a late answer can never be taken for the next request's.
"""

import asyncio

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from gateway.meters.tables import Request

GAP_S = 0.025
"""Silence between two requests: some converters lose the second one otherwise."""


class MeterSilentError(Exception):
    """A meter did not give what was asked; `reason` is a short label, for counting."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class TcpBus:
    """Modbus TCP to one host and port, connected when it is first needed."""

    def __init__(self, host: str, port: int, *, timeout_s: float) -> None:
        self._client = AsyncModbusTcpClient(host, port=port, timeout=timeout_s, retries=0, reconnect_delay=0)
        self._timeout_s = timeout_s

    async def read(self, function: int, unit: int, requests: list[Request]) -> dict[int, int]:
        """All registers of the requests by address; MeterSilentError if one of them fails."""
        memory: dict[int, int] = {}
        try:
            # pymodbus bounds each step; this bounds them together, whatever the other end does.
            async with asyncio.timeout(self._timeout_s * (1 + len(requests))):
                await self._connect()
                for index, request in enumerate(requests):
                    if index:
                        await asyncio.sleep(GAP_S)
                    words = await self._read_one(function, unit, request)
                    memory.update(zip(range(request.address, request.address + request.count), words, strict=True))
        except (ModbusException, OSError, TimeoutError) as error:
            self.close()
            raise MeterSilentError("no-connection" if isinstance(error, ConnectionError) else "no-answer") from error
        return memory

    def close(self) -> None:
        """Drop the connection; the next read makes another."""
        self._client.close()

    async def _connect(self) -> None:
        if not self._client.connected and not await self._client.connect():
            raise ConnectionRefusedError("no connection")

    async def _read_one(self, function: int, unit: int, request: Request) -> list[int]:
        read = self._client.read_holding_registers if function == 3 else self._client.read_input_registers
        answer = await read(request.address, count=request.count, device_id=unit)
        if answer.isError():
            raise MeterSilentError(f"exception-{getattr(answer, 'exception_code', 0)}")
        if len(answer.registers) != request.count:
            self.close()
            raise MeterSilentError("short-answer")
        return list(answer.registers)
