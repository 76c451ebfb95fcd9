"""Serial adapters that can be pulled out: real ptys under a fixed name, and real pymodbus servers behind them."""

import asyncio
import contextlib
import os
import select
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.framer import FramerType
from pymodbus.pdu.device import ModbusDeviceIdentification
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

LOOK_S = 0.05
"""How often a thread looks whether it is to end."""


class SerialAdapter:
    """What a program opens at `path`; `take` gets its bytes, `send` answers. Pulled out, the path is gone."""

    def __init__(self, path: Path, take: Callable[[bytes], None] = lambda _: None) -> None:
        self.path = path
        self.take = take
        self._is_plugged = False

    def __enter__(self) -> "SerialAdapter":
        self.plug()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._is_plugged:
            self.unplug()

    def plug(self) -> None:
        """Put it in; the same path leads to a new port."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path.symlink_to(os.ttyname(self._slave))
        self._is_plugged = True
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Pull it out: whoever has it open sees it go."""
        self._is_plugged = False
        self._thread.join()
        self.path.unlink()
        os.close(self._master)
        os.close(self._slave)

    def send(self, data: bytes) -> None:
        """Bytes from the line; lost when it is pulled out."""
        if self._is_plugged:
            os.write(self._master, data)

    def _carry(self) -> None:
        while self._is_plugged:
            if select.select([self._master], [], [], LOOK_S)[0]:
                self.take(os.read(self._master, 4096))


@dataclass
class Unit:
    """One meter behind a server: registers by address; any other is an exception, as `refuses` is for all."""

    memory: dict[int, int] = field(default_factory=dict)
    refuses: ExcCodes | None = None
    functions: tuple[int, ...] = (3, 4)
    identity: str = ""
    asked: int = 0

    def put(self, address: int, data: bytes) -> None:
        """Set registers from the bytes that come over the wire."""
        for index in range(0, len(data), 2):
            self.memory[address + index // 2] = int.from_bytes(data[index : index + 2], "big")

    def device(self, number: int) -> SimDevice:
        """The meter as pymodbus serves it."""

        async def answer(
            function: int, start: int, address: int, count: int, registers: list[int], _values: Any
        ) -> ExcCodes | None:
            self.asked += 1
            if self.refuses is not None:
                return self.refuses
            if function not in self.functions:
                return ExcCodes.ILLEGAL_FUNCTION
            wanted = range(address, address + count)
            if any(place not in self.memory for place in wanted):
                return ExcCodes.ILLEGAL_ADDRESS
            for place in wanted:
                registers[place - start] = self.memory[place]
            return None

        identity = ModbusDeviceIdentification(info_name={"VendorName": self.identity}) if self.identity else None
        data = SimData(0, count=65536, values=0, datatype=DataType.REGISTERS)
        return SimDevice(number, simdata=[data], action=answer, identity=identity)


def _devices(units: dict[int, Unit]) -> list[SimDevice]:
    """These units, and silence for every other: number 0 stands for all that are not there."""

    async def nobody(*_request: Any) -> ExcCodes | None:
        raise NoSuchIdException("nobody has this number")

    data = SimData(0, count=65536, values=0, datatype=DataType.REGISTERS)
    others = SimDevice(0, simdata=[data], action=nobody)
    return [others, *(unit.device(number) for number, unit in units.items())]


@contextmanager
def serving(make: Callable[[], ModbusTcpServer | ModbusSerialServer]) -> Iterator[Any]:
    """A pymodbus server in a thread of its own while the `with` lasts."""
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    made: list[Any] = []

    async def serve() -> None:
        server = make()
        await server.serve_forever(background=True)
        made.append(server)
        ready.set()
        await stop.wait()
        with contextlib.suppress(asyncio.CancelledError):
            await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves it untyped
        await asyncio.sleep(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@contextmanager
def tcp_meters(units: dict[int, Unit], *, framer: FramerType = FramerType.SOCKET) -> Iterator[int]:
    """The port where these units answer, as behind a converter; a unit that is not there says nothing."""
    devices = _devices(units)

    def make() -> ModbusTcpServer:
        return ModbusTcpServer(devices, framer=framer, address=("127.0.0.1", 0), ignore_missing_devices=True)

    with serving(make) as server:
        yield cast(asyncio.Server, server.transport).sockets[0].getsockname()[1]


@contextmanager
def serial_meters(directory: Path, units: dict[int, Unit], name: str = "adapter") -> Iterator[SerialAdapter]:
    """An adapter on whose bus these units answer, each through a pymodbus server at the other end of the cable.

    `adapter.take` and `far.send` may be wrapped by a test that damages what goes over the cable.
    """
    far = SerialAdapter(directory / f"{name}-far-end")
    near = SerialAdapter(directory / name, take=far.send)
    far.take = near.send
    devices = _devices(units)

    def make() -> ModbusSerialServer:
        return ModbusSerialServer(devices, port=str(far.path), baudrate=9600, ignore_missing_devices=True)

    with far, near, serving(make):
        yield near
