"""Bytes to and from one serial port, or the converter before it, without blocking: for M-Bus and the Linky's TIC."""

import asyncio
import termios
from typing import Protocol

import serial

READ_SIZE = 4096
WRITE_S_MAX = 1.0
"""A question is a few bytes: a port that does not take them within this is gone."""

PARITIES = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}


class Writer(Protocol):
    """What takes the bytes: a pyserial port or an asyncio stream."""

    def write(self, data: bytes, /) -> object:
        """Send."""
        ...


class Line:
    """An open line. Everything raises OSError once the other end is gone: open it anew."""

    def __init__(self, reader: asyncio.StreamReader, writer: Writer, transport: asyncio.BaseTransport) -> None:
        self._reader = reader
        self._writer = writer
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Send some bytes."""
        self._writer.write(data)

    async def read(self) -> bytes:
        """Whatever comes next, at least one byte."""
        data = await self._reader.read(READ_SIZE)
        if not data:
            raise ConnectionResetError("the line was closed")
        return data

    async def read_exactly(self, size: int) -> bytes:
        """Exactly so many bytes. Waits for them: give it a time limit."""
        try:
            return await self._reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the line was closed") from error

    async def discard(self) -> None:
        """Forget what has come in: a late answer is never taken for the next question's."""
        try:
            while True:
                async with asyncio.timeout(0):
                    await self.read()
        except TimeoutError:
            return

    def close(self) -> None:
        """Let the port go."""
        self._transport.close()


async def open_serial(path: str, *, baud: int, bits: int, parity: str, stop_bits: int) -> Line:
    """The port at /dev/serial/by-id/...; raises OSError."""
    try:
        port = serial.Serial(
            path,
            baud,
            bytesize=bits,
            parity=PARITIES[parity],
            stopbits=stop_bits,
            timeout=0,
            write_timeout=WRITE_S_MAX,
        )
    except (ValueError, termios.error) as error:  # a speed that the port cannot have, or no serial port at all
        raise OSError(str(error)) from error
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), port)
    return Line(reader, port, transport)


async def open_tcp(host: str, port: int) -> Line:
    """A converter that carries the line's bytes over TCP; raises OSError."""
    reader, writer = await asyncio.open_connection(host, port)
    return Line(reader, writer, writer.transport)
