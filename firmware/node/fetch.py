"""Fetches updates from any web server: BOARD.update is the signed manifest, BOARD-NUMBER.bin its image.

Plain HTTP on purpose: the manifest is signed and names the image's hash, so the server is trusted with nothing.
How it ends: unreachable, too slow, a head that is none → counted in `unfetched`; a manifest or an image that is not
wanted → counted by Update with its reason. Either way it is tried again next time.
"""

import asyncio

from node import http
from node.port import const, sleep_ms, wait_for_ms
from node.update import MANIFEST_SIZE_MAX

_STEP_MS = const(20000)
_CHUNK = const(1024)
_HEAD_MAX = const(2048)
_FAILURES = (OSError, EOFError, ValueError, MemoryError, asyncio.TimeoutError)


async def updates(settings, update, random, restart):
    """Look every `every_s` (a day by default, with jitter: a town does not come at once); restart on success."""
    every_ms = settings.get("every_s", 86400) * 1000
    while True:
        await sleep_ms(int(every_ms * (0.5 + random())))
        try:
            if await look(settings["url"], update):
                restart()
        except _FAILURES:
            update.unfetched += 1  # what was downloaded is not asked to start


async def look(url, update):
    """Whether a newer image was installed and waits for a restart. _FAILURES: the server, or the way to it."""
    manifest = bytearray()
    await get(url + "/" + update.board + ".update", manifest.extend, MANIFEST_SIZE_MAX + 1)
    if update.begin(bytes(manifest)):
        return False
    number, size, _digest = update.wanted
    await get("%s/%s-%d.bin" % (url, update.board, number), update.feed, size + 1)
    return update.wanted is not None and update.finish() == 0


async def get(url, on_data, size_max):
    """Give the body of `http://host[:port]/path`, at most `size_max` bytes of it, to `on_data` until that objects."""
    host, port, path = _parts(url)
    reader, writer = await wait_for_ms(asyncio.open_connection(host, port), _STEP_MS)
    try:
        writer.write(("GET %s HTTP/1.0\r\nHost: %s\r\n\r\n" % (path, host)).encode())
        await wait_for_ms(writer.drain(), _STEP_MS)
        head, data = await wait_for_ms(http.head(reader, _HEAD_MAX), _STEP_MS)
        if head.split(b" ", 2)[1:2] != [b"200"]:
            raise ValueError("the server does not have it")
        while size_max:
            # Often nothing of the body comes with the head; only a read that brings nothing is the end.
            data = data or await wait_for_ms(reader.read(_CHUNK), _STEP_MS)
            data = data[:size_max]
            if not data or on_data(data):
                return
            size_max -= len(data)
            data = b""
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
