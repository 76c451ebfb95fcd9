"""Fetching updates from web servers that are slow to understand, broken, or no web servers at all."""

import asyncio

from node import fetch

from neutral import run
from test_update import Flash, image_of, manifest

IMAGE = image_of(8, 700)
HEAD = b"HTTP/1.1 200 OK\r\nServer: s\r\n\r\n"


async def _serving(answers, action):
    """What `action(url)` gives while a server answers each path with raw bytes."""

    async def serve(reader, writer):
        path = (await reader.readline()).split(b" ")[1].decode()
        while await reader.readline() not in (b"\r\n", b""):
            pass  # what is not read makes closing a reset
        try:
            writer.write(answers.get(path, b"HTTP/1.1 404 Not Found\r\n\r\n"))
            await writer.drain()
        except OSError:
            pass  # it hung up on us
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            pass

    for port in range(41000 + id(answers) % 10000, 65000):
        try:
            server = await asyncio.start_server(serve, "127.0.0.1", port)
            break
        except OSError:
            continue
    try:
        return await action("http://127.0.0.1:" + str(port) + "/shelf")
    finally:
        server.close()
        await server.wait_closed()


def _look(manifest_answer, image_answer=b""):
    """(whether an update waits, or the kind of failure; the update)."""
    update = Flash().start()

    async def look(url):
        try:
            return await fetch.look(url, update)
        except (OSError, EOFError, ValueError) as error:
            return type(error)

    answers = {"/shelf/esp32-plug.update": manifest_answer, "/shelf/esp32-plug-8.bin": image_answer}
    return run(_serving(answers, look)), update


def test_update_when_it_is_served():
    """Head and body in one piece or not: it is installed."""
    # A head of 256 bytes is read in one piece and nothing of the body with it.
    alone = HEAD[:-2] + b"X: " + b"y" * (256 - len(HEAD) - 5) + b"\r\n\r\n"
    assert len(alone) == 256
    for head in (HEAD, alone):
        outcome, update = _look(head + manifest(8, IMAGE), head + IMAGE)
        assert outcome is True
        assert update.refused == {}


def test_update_when_the_server_is_none():
    """No head, an endless head, another status, nothing: a failure, nothing written and little memory used."""
    for answer, kind in [
        (b"", EOFError),
        (b"garbage\r\n", EOFError),
        (b"x" * 100000, ValueError),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10000, ValueError),
        (b"HTTP/1.1 500 Broken\r\n\r\n", ValueError),
        (b"\r\n\r\n", ValueError),
    ]:
        outcome, update = _look(answer)
        assert outcome in (kind, OSError) or issubclass(outcome, OSError), answer[:30]
        assert update.wanted is None


def test_update_when_what_is_served_is_not_it():
    """Too long a manifest, an image too short or too long, another one: refused with its reason, and not started."""
    good = HEAD + manifest(8, IMAGE)
    for manifest_answer, image_answer, reason in [
        (HEAD + bytes(5000), b"", 1),
        (HEAD, b"", 2),
        (good, HEAD + IMAGE[:-1], 9),
        (good, HEAD + IMAGE + b"x" * 3000, 9),
        (good, HEAD + bytes(len(IMAGE)), 10),
    ]:
        outcome, update = _look(manifest_answer, image_answer)
        assert outcome is False
        assert update.refused == {reason: 1}


def test_updates_when_the_server_comes_and_goes():
    """Failures are counted and it is tried again; when there is an update, the restart is asked for."""
    update = Flash().start()

    class RestartError(Exception):
        pass

    def restart():
        raise RestartError

    answers = {}

    async def live(url):
        task = asyncio.create_task(fetch.updates({"url": url, "every_s": 0}, update, lambda: 0.5, restart))
        while update.unfetched < 3:
            await asyncio.sleep(0.001)
        answers["/shelf/esp32-plug-8.bin"] = HEAD + IMAGE
        answers["/shelf/esp32-plug.update"] = HEAD + manifest(8, IMAGE)
        try:
            await task
        except RestartError:
            return True
        return False

    assert run(_serving(answers, live)) is True


def test_address_when_it_is_none():
    """Only plain HTTP is spoken: what is fetched is signed."""
    update = Flash().start()
    for url in ("https://a", "ftp://a", "", "http://a:b"):
        try:
            run(fetch.look(url, update))
            raise AssertionError(url)
        except ValueError:
            pass
