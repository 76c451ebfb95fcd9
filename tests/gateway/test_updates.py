"""Updates go through the gateway: fetched, checked, kept, served to the firmware's own fetcher, and nothing else."""

import hashlib
import http.server
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commonwatt import cbor, cose
from commonwatt.bounded_http import ANSWERING_MAX
from commonwatt.errors import FormatError, UserError
from commonwatt.identity import SigningKey
from gateway.devices.shelf import IMAGE_SIZE_MAX, MANIFEST_SIZE_MAX, Publisher, Shelf
from gateway.devices.shelf_http import Depot
from tests.gateway.support import BIN, Town, free_port, wait_for

KEY, OTHER, GENESIS = SigningKey.from_seed(bytes([7]) * 32), SigningKey.from_seed(bytes([8]) * 32), bytes(32)
PUBLISHER = Publisher(KEY.public_key, GENESIS)
BOARD = "esp32_tic"
IMAGE = bytes(range(256)) * 300
ROOT = Path(__file__).parents[2]
DEVICE_FETCHES = f"""
import asyncio, sys
sys.path.insert(0, {str(ROOT / "firmware")!r})
from node import fetch
got = bytearray()
asyncio.run(fetch.get(sys.argv[1], got.extend, {IMAGE_SIZE_MAX}))
with open(sys.argv[2], "wb") as file:
    file.write(got)
"""


def manifest(
    number: int, image: bytes = IMAGE, *, board: str = BOARD, key: SigningKey = KEY, size: int = -1
) -> bytes:
    payload = [1, board, number, len(image) if size < 0 else size, hashlib.sha256(image).digest()]
    return cose.sign1(cbor.encode(payload), key, cose.external_aad("update", GENESIS))


def publish(web: Path, number: int, image: bytes = IMAGE) -> None:
    """The commune publishes an update, as any web server does."""
    (web / f"{BOARD}.update").write_bytes(manifest(number, image))
    (web / f"{BOARD}-{number}.bin").write_bytes(image)


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """A web server somewhere."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(directory))  # type: ignore[arg-type]

        def log_message(self, form: str, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def shelf_at(directory: Path) -> Shelf:
    return Shelf(directory, PUBLISHER, [BOARD])


def content(shelf: Shelf, name: str) -> bytes | None:
    file = shelf.open(name)
    if file is None:
        return None
    with file:
        return file.read()


def get(port: int, name: str) -> bytes | int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=10) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_shelf_when_an_update_comes(tmp_path: Path) -> None:
    """Manifest and image are there, also after a restart; the next one replaces them, an older one does not."""
    shelf = shelf_at(tmp_path)
    first, second = PUBLISHER.read(manifest(2), BOARD), PUBLISHER.read(manifest(3, b"new"), BOARD)
    shelf.put(first, [IMAGE[:1000], IMAGE[1000:]])
    assert content(shelf_at(tmp_path), f"{BOARD}.update") == first.signed
    assert content(shelf_at(tmp_path), f"{BOARD}-2.bin") == IMAGE
    assert shelf.wants(second)
    shelf.put(second, [b"new"])
    assert (content(shelf, f"{BOARD}-3.bin"), content(shelf, f"{BOARD}-2.bin")) == (b"new", None)
    assert not shelf.wants(first)
    assert shelf_at(tmp_path).numbers == {BOARD: 3}


@pytest.mark.parametrize(
    ("image", "reason"), [(IMAGE[:-1], "wrong-size"), (IMAGE + b"x", "wrong-size"), (IMAGE[:-1] + b"x", "wrong-hash")]
)
def test_shelf_when_the_image_is_another(tmp_path: Path, image: bytes, reason: str) -> None:
    """Cut, longer or altered: refused, and what was there before goes on."""
    shelf = shelf_at(tmp_path)
    shelf.put(PUBLISHER.read(manifest(1, b"old"), BOARD), [b"old"])
    with pytest.raises(FormatError, match=reason):
        shelf.put(PUBLISHER.read(manifest(2), BOARD), [image])
    assert (shelf.numbers, content(shelf, f"{BOARD}-1.bin"), content(shelf, f"{BOARD}-2.bin")) == (
        {BOARD: 1},
        b"old",
        None,
    )


@pytest.mark.parametrize(
    ("signed", "reason"),
    [
        (bytes(MANIFEST_SIZE_MAX + 1), "too-large"),
        (b"", "malformed"),
        (cose.sign1(cbor.encode([1]), KEY, cose.external_aad("update", GENESIS)), "malformed"),
        (manifest(2, board="esp32_other"), "wrong-board"),
        (manifest(2, size=IMAGE_SIZE_MAX + 1), "no-room"),
        (manifest(2, key=OTHER), "bad-signature"),
        (manifest(2)[:-1] + b"\xff", "bad-signature"),
    ],
)
def test_manifest_when_it_is_refused(signed: bytes, reason: str) -> None:
    """The first check that fails is named."""
    with pytest.raises(FormatError, match=reason):
        PUBLISHER.read(signed, BOARD)


@pytest.mark.parametrize("damaged", [f"{BOARD}.update", f"{BOARD}-2.bin"])
def test_shelf_when_the_disk_went_bad(tmp_path: Path, damaged: str) -> None:
    """A file that is not what it was is given to nobody, at once and after a restart, and can be fetched again."""
    shelf = shelf_at(tmp_path)
    update = PUBLISHER.read(manifest(2), BOARD)
    shelf.put(update, [IMAGE])
    path = tmp_path / damaged
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert content(shelf_at(tmp_path), damaged) is None
    if damaged.endswith(".bin"):
        assert content(shelf, damaged) is None
    again = shelf_at(tmp_path)
    assert again.wants(update)
    again.put(update, [IMAGE])
    assert content(shelf_at(tmp_path), f"{BOARD}-2.bin") == IMAGE


def test_depot_when_the_commune_publishes(tmp_path: Path) -> None:
    """It fetches what is new, once; a server that is away, lies or sends for ever is counted and harms nothing."""
    web = tmp_path / "web"
    web.mkdir()
    shelf = shelf_at(tmp_path / "shelf")
    with served(web) as url:
        depot = Depot(shelf, url=url, host="127.0.0.1", port=0, every_s=3600)
        depot.look()
        assert depot.failures == {"unreachable": 1}
        publish(web, 2)
        depot.look()
        depot.look()
        (web / f"{BOARD}.update").write_bytes(manifest(3))
        (web / f"{BOARD}-3.bin").write_bytes(IMAGE + bytes(IMAGE_SIZE_MAX))
        depot.look()
    depot.look()
    assert (depot.fetched, shelf.numbers) == (1, {BOARD: 2})
    assert depot.failures == {"unreachable": 2, "wrong-size": 1}


def test_depot_when_somebody_asks_for_something_else(tmp_path: Path) -> None:
    """Only what lies on the shelf has a name: no path leads out of it."""
    shelf = shelf_at(tmp_path / "shelf")
    shelf.put(PUBLISHER.read(manifest(2), BOARD), [IMAGE])
    (tmp_path / "secret").write_text("x")
    with Depot(shelf, url="http://127.0.0.1:1", host="127.0.0.1", port=0, every_s=3600) as depot:
        for name in ("", "../secret", "%2e%2e/secret", f"{BOARD}-1.bin", f"{BOARD}.update.new", "other.update"):
            assert get(depot.port, name) == 404
        assert get(depot.port, f"{BOARD}.update") == manifest(2)
        wait_for(lambda: (depot.served, depot.not_there) == (1, 6), "the counts, after the last byte")


def test_depot_when_too_many_come_at_once(tmp_path: Path) -> None:
    """As many as there is room for are held open; one more finds the door shut; then there is room again."""
    shelf = shelf_at(tmp_path)
    shelf.put(PUBLISHER.read(manifest(2), BOARD), [IMAGE])
    with Depot(shelf, url="http://127.0.0.1:1", host="127.0.0.1", port=0, every_s=3600) as depot:
        idle = [socket.create_connection(("127.0.0.1", depot.port)) for _ in range(ANSWERING_MAX)]
        with socket.create_connection(("127.0.0.1", depot.port)) as one_more:
            assert one_more.recv(1) == b""
        for one in idle:
            one.close()
        wait_for(lambda: _is_served(depot.port), "room again")
        assert depot.described()["turned_away"] >= 1


def _is_served(port: int) -> bool:
    try:
        return get(port, f"{BOARD}.update") == manifest(2)
    except OSError:
        return False


def test_depot_when_its_port_is_taken(tmp_path: Path) -> None:
    """A sentence says which, and what to do."""
    shelf = shelf_at(tmp_path)
    with Depot(shelf, url="http://127.0.0.1:1", host="127.0.0.1", port=0, every_s=3600) as depot:
        second = Depot(shelf, url="http://127.0.0.1:1", host="127.0.0.1", port=depot.port, every_s=3600)
        with pytest.raises(UserError, match=r"cannot serve updates.*\n→"):
            second.__enter__()


@pytest.mark.story
def test_gateway_when_a_device_fetches_an_update(tmp_path: Path) -> None:
    """The real gateway fetches it, the firmware's own fetcher in a real MicroPython gets the very bytes from it."""
    web, port = tmp_path / "web", free_port()
    web.mkdir()
    publish(web, 5)
    (tmp_path / "fetch.py").write_text(DEVICE_FETCHES)
    with served(web) as url:
        updates = (
            f'[updates]\nurl = "{url}"\npublic_key = "{KEY.public_key.hex()}"\nboards = ["{BOARD}"]\n'
            f'directory = "updates"\nhost = "127.0.0.1"\nport = {port}\n'
        )
        town = Town(tmp_path, [], meters=updates).found()
        with town.running_gateway():
            wait_for(lambda: (town.status().get("updates") or {}).get("boards") == {BOARD: 5}, "the update")
    with town.running_gateway():  # the commune's server is gone, the shelf is not
        wait_for(lambda: _is_there(port), "the gateway again")
        for name, expected in ((f"{BOARD}.update", manifest(5)), (f"{BOARD}-5.bin", IMAGE)):
            argv = [BIN / "micropython", tmp_path / "fetch.py", f"http://127.0.0.1:{port}/{name}", tmp_path / "got"]
            subprocess.run(argv, check=True, timeout=60)
            assert (tmp_path / "got").read_bytes() == expected


def _is_there(port: int) -> bool:
    try:
        return get(port, "") == 404
    except OSError:
        return False
