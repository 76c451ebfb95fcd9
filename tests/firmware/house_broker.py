"""A real nats-server with two accounts: a device, password "d", and a person, password "p", who hears everything."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commonwatt.demo.programs import answers, free_port, wait_for

PATIENCE_S = 60

_CONFIG = """
server_name: house
listen: "127.0.0.1:-1"
jetstream {{ store_dir: "{folder}/nats" }}
mqtt {{ listen: "127.0.0.1:{port}"{tls} }}
authorization {{ users: [ {{ user: person, password: p }}, {{ user: {device}, password: d }} ] }}
"""


def start(folder: Path, port: int, device: str, *, tls: str = "") -> "subprocess.Popen[bytes]":
    """Start it and wait until it answers. `tls`: what its configuration says of TLS, behind the port."""
    config = folder / "nats.conf"
    config.write_text(_CONFIG.format(folder=folder, port=port, device=device, tls=tls))
    words = [Path(sys.executable).with_name("nats-server"), "-c", config]
    broker = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers("127.0.0.1", port), what="the broker", timeout_s=PATIENCE_S)
    except BaseException:
        _end(broker)
        raise
    return broker


@contextmanager
def running(folder: Path, device: str) -> Iterator[int]:
    """The port of one that runs for as long."""
    port = free_port()
    broker = start(folder, port, device)
    try:
        yield port
    finally:
        _end(broker)


def _end(broker: "subprocess.Popen[bytes]") -> None:
    broker.kill()
    broker.wait()
