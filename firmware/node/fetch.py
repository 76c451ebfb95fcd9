"""Fetches updates from any web server: BOARD.update is the signed manifest, BOARD-NUMBER.bin its image.

Plain HTTP on purpose: the manifest is signed and names the image's hash, so the server is trusted with nothing.
How it ends: unreachable, refused, too slow or another size → counted by Update or in the log, and tried next time.
"""

import asyncio

from node.port import const, sleep_ms, wait_for_ms
from node.update import MANIFEST_SIZE_MAX

_STEP_MS = const(20000)
_CHUNK = const(1024)
_HEADERS_MAX = const(40)


async def updates(settings, update, board):
    """Look every `every_s` (a day by default, with jitter: a town does not come at once); restart on success."""
    every_ms = settings.get("every_s", 86400) * 1000
    while True:
        await sleep_ms(int(every_ms * (0.5 + board.random())))
        try:
            if await look(settings["url"], update):
                board.restart()
        except (OSError, EOFError, ValueError, asyncio.TimeoutError):
            pass  # next time; what was downloaded is not asked to start


async def look(url, update):
    """Whether a newer image was installed and waits for a restart. OSError, EOFError, ValueError: the server."""
    manifest = bytearray()
    await get(url + "/" + update.board + ".update", lambda data: manifest.extend(data), MANIFEST_SIZE_MAX + 1)
    if update.begin(bytes(manifest)):
        return False
    number, size, _digest = update.wanted
    refusals = []
    await get("%s/%s-%d.bin" % (url, update.board, number), lambda data: refusals.append(update.feed(data)), size + 1)
    return not any(refusals) and update.finish() == 0


async def get(url, on_data, size_max):
    """Give the body of `http://host[:port]/path` to `on_data` in pieces, at most `size_max` bytes of it."""
    host, port, path = _parts(url)
    reader, writer = await wait_for_ms(asyncio.open_connection(host, port), _STEP_MS)
    try:
        writer.write(("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" % (path, host)).encode())
        await wait_for_ms(writer.drain(), _STEP_MS)
        status = await wait_for_ms(reader.readline(), _STEP_MS)
        if status.split(b" ")[1:2] != [b"200"]:
            raise ValueError("the server does not have it")
        for _ in range(_HEADERS_MAX):
            if await wait_for_ms(reader.readline(), _STEP_MS) in (b"\r\n", b"\n", b""):
                break
        left = size_max
        while left:
            data = await wait_for_ms(reader.read(min(_CHUNK, left)), _STEP_MS)
            if not data:
                return
            on_data(data)
            left -= len(data)
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            pass


def _parts(url):
    if not url.startswith("http://"):
        raise ValueError("not an http:// address")
    place, _slash, path = url[7:].partition("/")
    host, _colon, port = place.partition(":")
    return host, int(port or "80"), "/" + path
