"""The head of an HTTP message, read up to a limit: what else asyncio has reads a line of any length into memory."""

from node.port import const

_CHUNK = const(256)


async def head(reader, size_max):
    """(head without its empty line, what came with it of the body). ValueError: too long; EOFError: it ended."""
    data = b""
    while True:
        for ending in (b"\r\n\r\n", b"\n\n"):
            end = data.find(ending)
            if end >= 0:
                return data[:end], data[end + len(ending) :]
        if len(data) >= size_max:
            raise ValueError("too large")
        more = await reader.read(_CHUNK)
        if not more:
            raise EOFError
        data += more
