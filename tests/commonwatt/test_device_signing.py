"""Commands and releases as they are signed: rules, numbers that are never given twice, mistakes that are told."""

import hashlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from commonwatt import cbor, cose
from commonwatt.device.signing import command, counter, release
from commonwatt.errors import FormatError, StorageError, UserError
from commonwatt.identity import SigningKey
from commonwatt.testing_command import run

KEY = SigningKey.from_seed(bytes([7]) * 32)
GENESIS = hashlib.sha256(b"a genesis entry").digest()
DEVICE = bytes(range(16))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("daily 22:00 off", (127, 1320, False)),
        ("Mon-Fri  06:30 ON", (31, 390, True)),
        ("sat,sun 00:00 on", (96, 0, True)),
        ("fri-mon 23:59 off", (16 + 32 + 64 + 1, 1439, False)),
        ("mon,mon-tue 01:02 on", (3, 62, True)),
    ],
)
def test_rule_when_written_as_people_do(text, rule):
    """Days one by one, in spans, over the end of the week; any case, any spaces."""
    assert command.parse_rule(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        *("", "mon 24:00 on", "mon 12:60 on", "mon 9:00 on", "mon 09:00", "mon 09:00 maybe"),
        *("day 09:00 on", "mon- 09:00 on", "-mon 09:00 on", "mon,, 09:00 on", "mon-tue-wed 09:00 on"),
    ],
)
def test_rule_when_it_is_none(text):
    """It is named, with an example."""
    with pytest.raises(UserError, match="mon-fri 06:30 on"):
        command.parse_rule(text)


def test_schedule_at_its_limit():
    """As many rules as a device keeps fit into what it reads; one more is refused."""
    full = command.schedule(["daily 22:00 off"] * command.RULES_MAX)
    assert len(command.sign(DEVICE, command.COUNTER_MAX, full, KEY, GENESIS)) <= command.SIZE_MAX
    with pytest.raises(UserError, match="16 at most"):
        command.schedule(["daily 22:00 off"] * (command.RULES_MAX + 1))


def test_command_when_signed():
    """The bytes are those of the specification's vectors."""
    signed = command.sign(DEVICE, 5, command.relay(False), KEY, GENESIS)
    assert cose.parse1(signed, size_max=512).payload == cbor.encode([1, DEVICE, 5, [1, False]])
    assert cose.parse1(signed, size_max=512).is_signed_by(KEY.public_key, cose.external_aad("command", GENESIS))


def test_topic_of_a_device():
    """On its gateway's broker, and above it."""
    gateway = bytes([255]) * 16
    assert command.topic_of(DEVICE, None) == f"cw/{DEVICE.hex()}/cmd"
    above = command.topic_of(DEVICE, command.Upstream("village", gateway))
    assert above == f"cw/village/{gateway.hex()}/cmd/{DEVICE.hex()}"
    with pytest.raises(UserError, match="no commune"):
        command.topic_of(DEVICE, command.Upstream("a/b", gateway))


def _numbers(path: str) -> list[int]:
    return [counter.next_number(Path(path)) for _ in range(20)]


def test_number_when_many_ask(tmp_path):
    """Programs at once never get the same number, and the last one is in the file."""
    path = tmp_path / "key.counter"
    with ProcessPoolExecutor(3) as pool:
        given = [number for numbers in pool.map(_numbers, [str(path)] * 3) for number in numbers]
    assert sorted(given) == list(range(1, 61))
    assert path.read_text() == "60\n"
    assert counter.next_number(path, 1000) == 1000
    assert counter.next_number(path, 5) == 1001


def test_number_when_the_file_is_damaged_or_full(tmp_path):
    """Nothing is signed with a number that may have been given before."""
    path = tmp_path / "key.counter"
    for wrong in ("", "x", "-1", "1 2", "9" * 21, "٣"):
        path.write_text(wrong)
        with pytest.raises(UserError, match="no counter"):
            counter.next_number(path)
    path.write_text(str(command.COUNTER_MAX))
    with pytest.raises(UserError, match="too large"):
        counter.next_number(path)
    with pytest.raises(StorageError, match="writable"):
        counter.next_number(tmp_path / "missing" / "key.counter")


def test_release_when_put_on_the_shelf(tmp_path):
    """Manifest and image lie there; the same or an older number is refused, and what is there stays."""
    made = release.release_of(b"image", "esp32_tic", 2)
    manifest = made.sign(KEY, GENESIS)
    assert release.parse_manifest(manifest) == made
    newest, held = release.put(tmp_path / "shelf", made, manifest, b"image")
    assert (newest.name, held.name) == ("esp32_tic.update", "esp32_tic-2.bin")
    assert held.read_bytes() == b"image"
    for number in (1, 2):
        other = release.release_of(b"other", "esp32_tic", number)
        with pytest.raises(UserError, match="must grow"):
            release.put(tmp_path / "shelf", other, other.sign(KEY, GENESIS), b"other")
    assert newest.read_bytes() == manifest
    newest.write_bytes(b"garbage")
    with pytest.raises(UserError, match="no manifest"):
        release.put(tmp_path / "shelf", made, manifest, b"image")
    with pytest.raises(FormatError):
        release.parse_manifest(cose.sign1(cbor.encode([1, 2]), KEY, cose.external_aad("update", GENESIS)))


@pytest.mark.parametrize(
    ("image", "board", "number"),
    [(b"", "b", 1), (b"i", "B", 1), (b"i", "a/b", 1), (b"i", "x" * 33, 1), (b"i", "b", 0), (b"i", "b", 1 << 32)],
)
def test_release_when_no_device_could_take_it(image, board, number):
    """It is refused before anything is signed."""
    with pytest.raises(UserError):
        release.release_of(image, board, number)


def test_commands_when_typed(tmp_path):
    """A key is made once; each command has the next number; a mistake is told with exit code 2 and uses up none."""
    key = tmp_path / "keys" / "commands"
    public_key = run("device", "key", key).stdout.strip()
    assert run("device", "key", key).stdout.strip() == public_key
    signing = ("--key", key, "--genesis", GENESIS.hex())
    account = tmp_path / "account.toml"
    account.write_text("url = 'mqtt://127.0.0.1:1'\n")
    for words in (
        ("device", "command", "12", "on", *signing),
        ("device", "command", DEVICE.hex(), "maybe", *signing),
        ("device", "command", DEVICE.hex(), "on", "daily 22:00 off", *signing),
        ("device", "command", DEVICE.hex(), "schedule", "daily", *signing),
        ("device", "command", DEVICE.hex(), "on", *signing, "--commune", "village"),
        ("device", "command", DEVICE.hex(), "on", *signing, "--broker-account", account),
        ("device", "command", DEVICE.hex(), "on", "--key", tmp_path / "none", "--genesis", GENESIS.hex()),
        ("device", "command", DEVICE.hex(), "on", "--key", key, "--genesis", "00"),
        ("device", "release", tmp_path / "none", "--board", "b", "--number", "1", *signing),
    ):
        done = run(*words)
        assert done.returncode == 2, words
    assert not counter.path_beside(key).exists()
    out = tmp_path / "off.cose"
    assert run("device", "command", DEVICE.hex(), "off", *signing, "--out", out).returncode == 0
    printed = run("device", "command", DEVICE.hex(), "schedule", "daily 22:00 off", *signing).stdout
    payloads = [cose.parse1(signed, size_max=512) for signed in (out.read_bytes(), bytes.fromhex(printed.strip()))]
    assert [cbor.decode(signed.payload, size_max=512)[2:] for signed in payloads] == [
        [1, [1, False]],
        [2, [2, [[127, 1320, False]]]],
    ]
    aad = cose.external_aad("command", GENESIS)
    assert all(signed.is_signed_by(bytes.fromhex(public_key), aad) for signed in payloads)


def test_command_when_the_broker_is_away(tmp_path):
    """The number is used up, the bytes are printed, and the failure is told."""
    key = tmp_path / "key"
    run("device", "key", key)
    account = tmp_path / "account.toml"
    account.write_text("url = 'mqtt://127.0.0.1:1'\nusername = 'g'\npassword = 'p'\n")
    words = ("--key", key, "--genesis", GENESIS.hex(), "--broker-account", account)
    done = run("device", "command", DEVICE.hex(), "on", *words)
    assert done.returncode == 1
    assert "did not take the command" in done.stderr
    assert len(bytes.fromhex(done.stdout.strip())) > 80
    assert counter.path_beside(key).read_text() == "1\n"
