"""Generated topic rights, judged by what arrives: brokers acknowledge a forbidden publish and drop it."""

import os
import shutil
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commonwatt.topics import of_device, of_gateway
from gateway.testing import SigningDevice
from tests.gateway.support import COMMUNE, Client, Town, answers, command, started, wait_for

BROKERS = [
    "nats",
    pytest.param("mosquitto", marks=pytest.mark.skipif(not shutil.which("mosquitto"), reason="no mosquitto here")),
]


@contextmanager
def running(broker: str, town: Town) -> Iterator[None]:
    if broker == "nats":
        with town.broker():
            yield
        return
    mosquitto = shutil.which("mosquitto")
    assert mosquitto
    config = town.directory / "broker" / "mosquitto.conf"
    if os.geteuid() == 0:
        config.write_text(config.read_text() + "user root\n")
    with started([mosquitto, "-c", str(config)], stderr=subprocess.DEVNULL):
        wait_for(lambda: answers(town.port), "mosquitto")
        yield


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path, [SigningDevice(), SigningDevice()]).found()


@pytest.mark.story
@pytest.mark.parametrize("broker", BROKERS)
def test_rights_when_everyone_tries_every_topic(town: Town, broker: str) -> None:
    """Everyone publishes everywhere and listens everywhere; exactly what the rights allow arrives."""
    ours = town.devices[0]
    gateway, stranger = town.gateway, bytes(16)
    device_topics = [
        of_device(d.id, c) for d in town.devices for c in ("block", "ack", "cmd", "time", "time/answer", "state")
    ]
    upstream_topics = [
        of_gateway(COMMUNE, g, c)
        for g in (gateway, stranger)
        for c in ("batch", "state", "receipt", "registry", "cmd")
    ]
    everything = [*device_topics, *upstream_topics, "$SYS/x", "other"]
    allowed = {
        (ours.id.hex(), of_device(ours.id, "block")): [gateway.hex()],
        (ours.id.hex(), of_device(ours.id, "time")): [gateway.hex()],
        (ours.id.hex(), of_device(ours.id, "state")): [gateway.hex()],
        (gateway.hex(), of_device(ours.id, "ack")): [ours.id.hex()],
        (gateway.hex(), of_device(ours.id, "cmd")): [ours.id.hex()],
        (gateway.hex(), of_device(ours.id, "time/answer")): [ours.id.hex()],
        (gateway.hex(), of_gateway(COMMUNE, gateway, "batch")): ["aggregator"],
        (gateway.hex(), of_gateway(COMMUNE, gateway, "state")): ["aggregator"],
        ("aggregator", of_gateway(COMMUNE, gateway, "receipt")): [gateway.hex()],
        ("aggregator", of_gateway(COMMUNE, gateway, "registry")): [gateway.hex()],
        ("aggregator", of_gateway(COMMUNE, gateway, "cmd")): [gateway.hex()],
    }
    expected = {(sender, topic, reader) for (sender, topic), readers in allowed.items() for reader in readers}
    assert _what_arrives(town, broker, everything) == expected


def _what_arrives(town: Town, broker: str, everything: list[str]) -> set[tuple[str, str, str]]:
    """(sender, topic, reader) of every message that arrived when three accounts published on every topic."""
    names = [town.devices[0].id.hex(), town.gateway.hex(), "aggregator"]
    arrived: set[tuple[str, str, str]] = set()
    with running(broker, town):
        for sender in names:
            with _clients(town, names, everything) as clients:
                for topic in everything:
                    clients[sender].publish(topic, sender.encode())
                _flush(town, clients, sender)
                for reader, link in clients.items():
                    arrived |= {(m.payload.decode(), m.topic, reader) for m in link.drain() if m.payload != b"end"}
    return arrived


@contextmanager
def _clients(town: Town, names: list[str], topics: list[str]) -> Iterator[dict[str, Client]]:
    if not names:
        yield {}
        return
    with town.client(names[0], *topics) as link, _clients(town, names[1:], topics) as others:
        yield {names[0]: link, **others}


def _flush(town: Town, clients: dict[str, Client], sender: str) -> None:
    """Wait until a message sent after all others has come through; earlier ones have come, or never will."""
    own, gateway = town.devices[0].id, town.gateway
    last = {
        own.hex(): (of_device(own, "time"), [gateway.hex()]),
        gateway.hex(): (of_device(own, "time/answer"), [own.hex()]),
        "aggregator": (of_gateway(COMMUNE, gateway, "cmd"), [gateway.hex()]),
    }
    topic, readers = last[sender]
    clients[sender].publish(topic, b"end")
    for reader in readers:
        wait_for(
            lambda r=reader: b"end" in [m.payload for m in list(clients[r].messages.queue)], f"the end at {reader}"
        )
    if sender == gateway.hex():
        # The aggregator listens elsewhere: a last message of its own kind.
        clients[sender].publish(of_gateway(COMMUNE, gateway, "state"), b"end")
        wait_for(
            lambda: b"end" in [m.payload for m in list(clients["aggregator"].messages.queue)], "the end upstream"
        )


@pytest.mark.story
@pytest.mark.parametrize("broker", BROKERS)
def test_login_when_the_password_is_wrong(town: Town, broker: str) -> None:
    """Nobody gets in without the password, with another one's, or without a name."""
    device, other = (d.id.hex() for d in town.devices)
    with running(broker, town):
        for username, password in ((device, "x"), (device, town.passwords[other]), ("nobody", ""), ("", "")):
            with Client(town.port, username, password) as client:
                assert client.start() is False


def test_files_when_they_are_written(town: Town) -> None:
    """Every file is for its owner's eyes only; each account has a file of its own, and no two passwords are alike."""
    directory = town.directory / "broker"
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"nats.conf", "mosquitto.conf", "mosquitto.acl", "mosquitto.passwd"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    assert len(set(town.passwords.values())) == len(town.passwords) == 4
    own = tomllib.loads((directory / "accounts" / "aggregator.toml").read_text())
    assert own == {
        "url": f"mqtt://127.0.0.1:{town.port}",
        "username": "aggregator",
        "password": town.passwords["aggregator"],
    }


def test_passwords_when_the_roster_grows(town: Town) -> None:
    """A second run keeps the passwords that were handed out and makes those that are missing."""
    new = SigningDevice()
    before = dict(town.passwords)
    town.devices.append(new)
    town.found()
    assert {name: town.passwords[name] for name in before} == before
    assert new.id.hex() in town.passwords


def test_roster_when_it_has_a_mistake(tmp_path: Path) -> None:
    """The mistake is named with its file and place."""
    roster = tmp_path / "accounts.toml"
    roster.write_text('commune = "Not A Slug"\ndevices = ["zz"]\n')
    with pytest.raises(AssertionError, match=r"accounts\.toml: commune: .*devices\.0: .*32 hexadecimal digits"):
        command("gateway", "broker-config", str(roster), str(tmp_path / "out"))
