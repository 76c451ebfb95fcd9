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
from gateway.devices.broker import Place, Roster, nats_conf, passwords_of, rights_of
from gateway.testing import SigningDevice
from tests.gateway.support import COMMUNE, Client, Town, answers, command, started, wait_for

OTHER = bytes.fromhex("dd" * 16)
# Debian puts it where only root looks.
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
BROKERS = [
    "nats",
    pytest.param(
        "mosquitto",
        marks=pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed: apt-get install mosquitto"),
    ),
]


@contextmanager
def running(broker: str, town: Town) -> Iterator[None]:
    if broker == "nats":
        with town.broker():
            yield
        return
    assert MOSQUITTO
    config = town.directory / "broker" / "mosquitto.conf"
    if os.geteuid() == 0:
        config.write_text(config.read_text() + "user root\n")
    with started([MOSQUITTO, "-c", str(config)], stderr=subprocess.DEVNULL):
        wait_for(lambda: answers(town.port), "mosquitto")
        yield


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path, [SigningDevice(), SigningDevice(OTHER)], roster_extra="home_assistant = true").found()


@pytest.mark.story
@pytest.mark.parametrize("broker", BROKERS)
def test_rights_when_everyone_tries_every_topic(town: Town, broker: str) -> None:
    """Everyone publishes everywhere and listens everywhere; exactly what the rights allow arrives."""
    ours, gateway = town.devices[0].id, town.gateway
    expected = {
        (sender, topic, reader) for (sender, topic), readers in allowed(ours, gateway).items() for reader in readers
    }
    assert _what_arrives(town, broker, every_topic(town)) == expected


def every_topic(town: Town) -> list[str]:
    """What anybody might try: two devices, our gateway and a stranger, every channel there is, and none of ours."""
    device, other = (d.id for d in town.devices)
    channels = ("block", "ack", "cmd", "time", "time/answer", "state", "claim", "energy", "asked", "requests")
    sensors = [f"homeassistant/sensor/{d.hex()}/import/config" for d in (device, other)]
    upstream = ("batch", "state", "receipt", "registry", "requests")
    upstream += ("cmd", f"cmd/{device.hex()}", f"claim/{device.hex()}")
    return [
        *(of_device(d, channel) for d in (device, other) for channel in channels),
        *(of_gateway(COMMUNE, g, channel) for g in (town.gateway, bytes(16)) for channel in upstream),
        *sensors,
        *(f"homeassistant/binary_sensor/{g.hex()}/peak/config" for g in (device, town.gateway)),
        of_device(town.gateway, "requests"),
        *("homeassistant/status", "homeassistant/sensor/x", "$SYS/x", "other"),
    ]


def allowed(device: bytes, gateway: bytes) -> dict[tuple[str, str], list[str]]:
    """Who hears what of whom; nothing else is heard by anybody of these four."""
    own, town_gateway, sees_all = device.hex(), gateway.hex(), "homeassistant"
    other = OTHER.hex()
    sensor = f"homeassistant/sensor/{own}/import/config"
    upstream = {
        channel: of_gateway(COMMUNE, gateway, channel)
        for channel in ("batch", "state", "receipt", "registry", "requests")
    }
    upstream |= {channel: of_gateway(COMMUNE, gateway, f"{channel}/{own}") for channel in ("cmd", "claim")}
    heard = {
        (own, of_device(device, "block")): [town_gateway],
        (own, of_device(device, "time")): [town_gateway],
        (own, of_device(device, "state")): [town_gateway, sees_all],
        (own, of_device(device, "claim")): [town_gateway],
        (own, of_device(device, "energy")): [sees_all],
        (own, sensor): [sees_all],
        (town_gateway, of_device(device, "ack")): [own],
        (town_gateway, of_device(device, "cmd")): [own],
        (town_gateway, of_device(device, "asked")): [own],
        (town_gateway, of_device(gateway, "requests")): [sees_all],
        (town_gateway, f"homeassistant/binary_sensor/{town_gateway}/peak/config"): [sees_all],
        (town_gateway, of_device(device, "time/answer")): [own],
        (town_gateway, upstream["batch"]): ["aggregator"],
        (town_gateway, upstream["state"]): ["aggregator"],
        (town_gateway, upstream["claim"]): ["aggregator"],
        ("aggregator", upstream["receipt"]): [town_gateway],
        ("aggregator", upstream["registry"]): [town_gateway],
        ("aggregator", upstream["requests"]): [town_gateway],
        ("aggregator", upstream["cmd"]): [town_gateway],
        (sees_all, "homeassistant/status"): [sees_all],
    }
    for meter in (own, other):  # the gateway speaks for the meters that it reads itself, so for any
        heard[town_gateway, f"cw/{meter}/energy"] = [sees_all]
        heard[town_gateway, f"cw/{meter}/state"] = [town_gateway, sees_all]
        heard[town_gateway, f"homeassistant/sensor/{meter}/import/config"] = [sees_all]
    return heard


def _what_arrives(town: Town, broker: str, everything: list[str]) -> set[tuple[str, str, str]]:
    """(sender, topic, reader) of every message that arrived when four accounts published on every topic."""
    names = [town.devices[0].id.hex(), town.gateway.hex(), "aggregator", "homeassistant"]
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
    """Wait until a message sent after all others has come to each; earlier ones have come, or never will."""
    for (speaker, topic), readers in allowed(town.devices[0].id, town.gateway).items():
        if speaker == sender:
            clients[sender].publish(topic, b"end")
            for reader in readers:
                _wait_for_end(clients[reader], topic)


def _wait_for_end(reader: Client, topic: str) -> None:
    def has_come() -> bool:
        return any(m.topic == topic and m.payload == b"end" for m in list(reader.messages.queue))

    wait_for(has_come, f"the end on {topic}")


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
    assert len(set(town.passwords.values())) == len(town.passwords) == 5
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


@pytest.mark.parametrize(("devices", "says_it"), [(200, False), (1000, True)])
def test_nats_when_there_are_many_devices(tmp_path: Path, devices: int, says_it: bool) -> None:
    """Every subscription is a consumer there: for more than its own limit, the configuration allows more."""
    ids = [index.to_bytes(16, "big").hex() for index in range(devices)]
    rights = rights_of(Roster.model_validate({"commune": COMMUNE, "devices": ids}))
    place = Place(host="127.0.0.1", name="localhost", port=1, store_dir=tmp_path)
    conf = nats_conf(COMMUNE, rights, passwords_of(rights, {}), place)
    assert ("default_max_consumers: 8000" in conf) is says_it
