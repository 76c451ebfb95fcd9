"""TLS with a commune's own authority: who is let in, who is not, and what the gateway says about it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from commonwatt.errors import UserError
from commonwatt.mqtt import BrokerAccount, MqttLink
from gateway.devices.broker import Place, Roster
from gateway.devices.broker_files import write_broker
from gateway.devices.certificates import CERTIFICATE_DAYS, RENEW_DAYS, Authority, Pair, names_of, read_pair
from gateway.settings import read_settings
from gateway.testing import SigningDevice
from tests.gateway.support import BIN, COMMONWATT, COMMUNE, SEED, Town, free_port, wait_for
from tests.gateway.test_broker import BROKERS, running
from tests.gateway.test_story import Story

# paho leaves the socket of a failed handshake to the garbage collector, which says so.
pytestmark = pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning")

NOW = datetime.now(UTC)
GATEWAY = bytes.fromhex("aa" * 16)
DEVICE_CONNECTS = f"""
import asyncio, json, sys
sys.path.insert(0, {str(Path(__file__).parents[2] / "firmware")!r})
from node.link import Link

async def main(broker):
    changed = asyncio.Event()
    link = Link(broker, broker["username"], ["cw/%s/ack" % broker["username"]], print, changed.set, lambda: 0.0)
    task = asyncio.create_task(link.run())
    while not link.is_up and link.failures < 3:
        await asyncio.sleep(0.02)
    print(json.dumps({{"up": link.is_up, "reasons": link.reasons}}))
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass

with open("settings.json") as file:
    settings = json.load(file)
asyncio.run(main(settings))
"""


@contextmanager
def connecting(account: BrokerAccount) -> Iterator[MqttLink]:
    with MqttLink(account, client_id="probe", subscriptions=["cw/nothing"], reconnect_s_max=1) as link:
        wait_for(lambda: link.is_up or link.trouble, "an answer, or trouble")
        yield link


def trouble(account: BrokerAccount) -> str | None:
    """What a connection says that does not come to be; None if it does."""
    with connecting(account) as link:
        return None if link.is_up else link.trouble


def upstream_town(directory: Path, *, name: str = "localhost", now: datetime = NOW) -> Town:
    """A broker that no device reaches: it wants certificates. `now`: when its certificates are made."""
    town = Town(directory, [], tls=True)
    roster = Roster(commune=COMMUNE, aggregator=True, gateways=(GATEWAY.hex(),))
    place = Place(
        host="127.0.0.1",
        name=name,
        port=town.port,
        store_dir=directory / "broker" / "store",
        tls=directory / "broker",
        wants_certificates=roster.wants_certificates,
    )
    write_broker(roster, directory / "broker", place, now)
    return town


def account_of(town: Town, username: str = GATEWAY.hex()) -> BrokerAccount:
    """The account that its holder was given."""
    accounts = town.directory / "broker" / "accounts"
    (town.directory / "probe.toml").write_text(_SETTINGS + (accounts / f"{username}.toml").read_text())
    account = read_settings(town.directory / "probe.toml").local.broker_account()
    files = {name: getattr(account, name) for name in ("ca_file", "cert_file", "key_file")}
    return replace(account, **{name: accounts / file.name for name, file in files.items() if file})


_SETTINGS = (
    f'id = "{GATEWAY.hex()}"\ncommune = "{COMMUNE}"\ngenesis_sha256 = "{"00" * 32}"\n'
    f'aggregator_public_key = "{"00" * 32}"\nkey_file = "k"\nspool_file = "s"\nstatus_file = "t"\n[local]\n'
)


@pytest.mark.story
@pytest.mark.parametrize("broker", BROKERS)
def test_gateway_when_all_speak_tls(tmp_path: Path, broker: str) -> None:
    """By default everything that broker-config wrote speaks TLS: a block goes from device to aggregator over it."""
    town = Town(tmp_path, [SigningDevice()], tls=True).found()
    assert 'url = "mqtts://127.0.0.1:' in town.settings_file.read_text()
    with running(broker, town), Story(town, seed=SEED) as story, town.running_gateway():
        story.upstream.publish_registry(*(device.record() for device in town.devices))
        made = story.measure(1)
        story.until(lambda: set(made) <= set(story.upstream.blocks), "the block upstream")
        story.until(lambda: not story.unanswered, "its acknowledgement")


@pytest.mark.story
@pytest.mark.parametrize("broker", BROKERS)
def test_device_when_it_speaks_tls(tmp_path: Path, broker: str) -> None:
    """The firmware's own link in a real MicroPython believes our certificates, and a stranger's not."""
    device = SigningDevice()
    town = Town(tmp_path, [device], tls=True).found()
    (tmp_path / "probe.py").write_text(DEVICE_CONNECTS)
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(Authority.make("stranger", NOW).pair.certificate)
    ours = tmp_path / "broker" / "accounts" / "ca.pem"
    with running(broker, town):
        for authority, expected in (
            (ours, {"up": True, "reasons": {}}),
            (stranger, {"up": False, "reasons": {"tls": 3}}),
        ):
            user = device.id.hex()
            settings = {"host": "127.0.0.1", "port": town.port, "username": user, "password": town.passwords[user]}
            # In a file: an argument of 256 bytes or more ends MicroPython before its first line.
            (tmp_path / "settings.json").write_text(json.dumps(settings | {"tls": {"ca": str(authority)}}))
            argv = [BIN / "micropython", tmp_path / "probe.py"]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout.splitlines()[-1]) == expected


@pytest.mark.story
@pytest.mark.parametrize("broker", BROKERS)
def test_uplink_when_the_broker_wants_certificates(tmp_path: Path, broker: str) -> None:
    """In with ours; without any, with a stranger's, or with the password of nobody not, and the trouble is named."""
    town = upstream_town(tmp_path)
    good = account_of(town)
    stranger = Authority.make("stranger", NOW).for_client(GATEWAY.hex())
    (tmp_path / "s.pem").write_bytes(stranger.certificate)
    (tmp_path / "s.key").write_bytes(stranger.key)
    with running(broker, town):
        assert trouble(good) is None
        without = trouble(replace(good, cert_file=None, key_file=None))
        assert without == "the broker wants a certificate of ours: set cert_file and key_file"
        # A broker that closes at once may take its alert with it; the next attempt hears it.
        with connecting(replace(good, cert_file=tmp_path / "s.pem", key_file=tmp_path / "s.key")) as link:
            refused = "the broker refuses our certificate: "
            wait_for(lambda: (link.trouble or "").startswith(refused), "what the broker thinks of it")
            assert not link.connects
        wrong = trouble(replace(good, password="x"))
        assert wrong is not None
        assert wrong.startswith(f"the broker refuses {GATEWAY.hex()}")


@pytest.mark.story
def test_uplink_when_the_broker_is_not_ours(tmp_path: Path) -> None:
    """Another authority, another name, and plaintext towards TLS: no connection, and the reason in words."""
    town = upstream_town(tmp_path)
    good = account_of(town)
    (tmp_path / "other.pem").write_bytes(Authority.make("other", NOW).pair.certificate)
    with running("nats", town):
        other = trouble(replace(good, ca_file=tmp_path / "other.pem"))
        assert other is not None
        assert other.startswith("the broker's certificate is not accepted: ")
        name = trouble(replace(good, url=f"mqtts://127.0.0.1:{town.port}"))
        assert name is not None
        assert "IP address mismatch" in name
        assert trouble(replace(good, url=f"mqtt://127.0.0.1:{town.port}")) is not None


@pytest.mark.story
def test_uplink_when_the_certificate_has_expired(tmp_path: Path) -> None:
    """A broker whose certificate ended is not believed, and broker-config makes another."""
    town = upstream_town(tmp_path, now=NOW - timedelta(days=CERTIFICATE_DAYS + 1))
    with running("nats", town):
        said = trouble(account_of(town))
        assert said is not None
        assert "certificate has expired" in said
    before = (tmp_path / "broker" / "ca.pem").read_bytes()
    town = replace(town, port=free_port())
    _again(town)
    assert (tmp_path / "broker" / "ca.pem").read_bytes() == before
    with running("nats", town):
        assert trouble(account_of(town)) is None


def _again(town: Town) -> None:
    """broker-config, run again today."""
    upstream = upstream_town(town.directory)
    place = Place(
        host="127.0.0.1",
        name="localhost",
        port=town.port,
        store_dir=town.directory / "broker" / "store",
        tls=town.directory / "broker",
        wants_certificates=True,
    )
    roster = Roster(commune=COMMUNE, aggregator=True, gateways=(GATEWAY.hex(),))
    write_broker(roster, upstream.directory / "broker", place, NOW)


@pytest.mark.story
def test_uplink_when_the_broker_speaks_no_tls(tmp_path: Path) -> None:
    """TLS towards a plaintext port fails with a sentence; so does a broker that is not there."""
    town = Town(tmp_path, [], tls=False).found()
    account = replace(account_of(town), url=f"mqtts://localhost:{town.port}")
    with town.broker():
        said = trouble(account)
        assert said is not None
        assert said.startswith("no TLS with this broker")
    said = trouble(replace(account, url=f"mqtts://localhost:{free_port()}"))
    assert said == "the broker cannot be reached: Connection refused"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_account_when_the_broker_is_on_this_machine(host: str) -> None:
    """Nothing leaves the machine, so plaintext is no secret told."""
    BrokerAccount(url=f"mqtt://{host}:1883", username="u", password="p").require_encryption()


def test_account_when_it_would_send_its_password_in_the_clear(tmp_path: Path) -> None:
    """Refused with what to do, unless somebody answers for the line; the command ends with 2 and no traceback."""
    account = BrokerAccount(url="mqtt://192.0.2.1:1883", username="u", password="p")
    with pytest.raises(UserError, match=r"mqtt://192.0.2.1:1883 is not encrypted.*\n→ write mqtts://"):
        account.require_encryption()
    replace(account, plaintext=True).require_encryption()
    replace(account, url="mqtts://192.0.2.1").require_encryption()
    (tmp_path / "gateway.toml").write_text(
        _SETTINGS + 'url = "mqtt://192.0.2.1:1883"\nusername = "u"\npassword = "p"\n'
    )
    argv = [COMMONWATT, "gateway", "run", str(tmp_path / "gateway.toml")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "is not encrypted" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["", "no certificate", None])
def test_account_when_its_files_are_wrong(tmp_path: Path, text: str | None) -> None:
    """A missing or damaged file is named before anything starts."""
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    account = BrokerAccount(url="mqtts://localhost", username="u", password="p", ca_file=path)
    with pytest.raises(UserError, match=r"ca\.pem: cannot be used for TLS.*\n→"):
        account.tls_context()


def test_certificates_when_broker_config_runs_again(tmp_path: Path) -> None:
    """They stay as they are for as long as they last another year under the same name; the authority always."""
    names = ("ca.pem", "server.pem", f"accounts/{GATEWAY.hex()}.pem")

    def written(**how: object) -> list[bytes]:
        upstream_town(tmp_path, **how)  # type: ignore[arg-type]
        return [(tmp_path / "broker" / name).read_bytes() for name in names]

    first = written()
    assert written() == first
    other_name = written(name="broker.example")
    assert [a == b for a, b in zip(first, other_name, strict=True)] == [True, False, True]
    later = written(name="broker.example", now=NOW + timedelta(days=CERTIFICATE_DAYS - RENEW_DAYS))
    assert [a == b for a, b in zip(other_name, later, strict=True)] == [True, False, False]
    server = read_pair(tmp_path / "broker" / "server.pem", tmp_path / "broker" / "server.key")
    assert server is not None
    assert names_of(server.x509) == ["broker.example"]


def test_certificates_when_a_file_is_damaged_or_another_s(tmp_path: Path) -> None:
    """A half pair, a broken file, or a key of another certificate is named, and nothing is overwritten."""
    upstream_town(tmp_path)
    certificate, key = tmp_path / "broker" / "ca.pem", tmp_path / "broker" / "ca.key"
    kept = Pair(certificate.read_bytes(), key.read_bytes())
    other = Authority.make("other", NOW).pair
    for pair in (Pair(kept.certificate, other.key), Pair(b"x", kept.key), Pair(kept.certificate, b"x")):
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)
        with pytest.raises(UserError, match=r"ca\.pem: cannot be used.*\n→"):
            upstream_town(tmp_path)
        assert (certificate.read_bytes(), key.read_bytes()) == (pair.certificate, pair.key)
    key.unlink()
    with pytest.raises(UserError, match=r"ca\.pem: cannot be used.*\n→"):
        upstream_town(tmp_path)


def test_server_certificate_when_a_stranger_signed_it() -> None:
    """A certificate of another authority is not ours, whatever its names."""
    ours, other = Authority.make("ours", NOW), Authority.make("ours", NOW)
    assert ours.is_ours_for(ours.for_server(["localhost", "::1"]), ["localhost", "::1"])
    assert not ours.is_ours_for(other.for_server(["localhost"]), ["localhost"])
