"""The main job as a stranger sees it: run the demo, then doubt everything it left behind.

Starts real programs and looks at them from outside. The soak runs ten seeds of faults and a whole week.
"""

import contextlib
import json
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
import tomllib
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from commonwatt.identity import SigningKey
from web.drafts.signing import read_entry
from web.spelling import base64url, unbase64

ROOT = Path(__file__).parents[2]
COMMONWATT = str(Path(sys.executable).with_name("commonwatt"))
FAST = "2880"
"""Twice the demo's pace; a machine too slow for it loses detail to gaps, and the books must balance all the same."""

pytestmark = [pytest.mark.story, pytest.mark.xdist_group("demo")]  # one worker, one demo


def commonwatt(*words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMONWATT, *map(str, words)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


@dataclass(frozen=True)
class Kept:
    """A demo that stayed: what it printed, what its pages showed while it did (`seen`, by name), how it ended."""

    directory: Path
    said: str
    seen: dict[str, str]
    exit_code: int
    left_behind: list[str]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """One day, TLS=1, looked at over real sockets, then SIGTERM. All tests share it: a demo takes a minute."""
    directory = tmp_path_factory.mktemp("commune") / "demo"
    argv = [COMMONWATT, "demo", "--speed", FAST, "--dir", str(directory), "--tls"]
    said, seen = "", {}
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as demo:
        assert demo.stdout is not None
        try:
            for line in demo.stdout:
                said += line.decode()
                if "Ctrl-C" in line.decode():
                    seen = look(directory, said)
                    demo.send_signal(signal.SIGTERM)
        finally:
            demo.terminate()
    return Kept(directory, said, seen, demo.returncode, processes_of(directory))


def look(directory: Path, said: str) -> dict[str, str]:
    """What a browser that installed the demo's CA is shown at the addresses that were printed."""
    (url,) = re.findall(r"^  (https://\S+:\d+/)$", said, re.MULTILINE)
    (phone_url,) = re.findall(r"http://\S+:\d+/(?=:)", said)
    trusting = ssl.create_default_context(cafile=directory.with_name("demo-ca") / "ca.crt")
    seen = {}
    for name, address in (("town", url), ("log", url + "log"), ("phone", phone_url)):
        seen[name] = Visitor(trusting).get(address)
    links = re.findall(r"^  (https://\S+/join/\S+)$", said, re.MULTILINE)
    assert len(links) == len(set(links)) == 7
    for name, link in (("home", links[0]), ("steward", links[3])):
        visitor = Visitor(trusting)
        visitor.come_in(link, genesis_of(directory))
        seen[name] = visitor.get(link)
    return seen


class Visitor:
    """A browser with cookies and a key of its own, without a screen: it speaks as static/wallet/join.js does."""

    def __init__(self, trusting: ssl.SSLContext) -> None:
        cookies = urllib.request.HTTPCookieProcessor()
        self._opener = urllib.request.build_opener(cookies, urllib.request.HTTPSHandler(context=trusting))
        self._opener.addheaders = [("Accept-Language", "en")]
        self.at = ""

    def get(self, address: str, **form: str) -> str:
        """The page of an address, or the answer to a form; `at` is where it was found."""
        data = urllib.parse.urlencode(form).encode() if form else None
        with self._opener.open(address, data, timeout=60) as answer:
            self.at = answer.url
            return str(answer.read().decode())

    def come_in(self, link: str, genesis: bytes) -> None:
        """Make a key, agree to what the ledger will be told of it, and wait until others have signed."""
        key = SigningKey.generate()
        mine = {"public_key": base64url(key.public_key)}
        asked = json.loads(self.get(link, **mine))
        agreed = read_entry(unbase64(asked["payload"])).approve(key, genesis)
        self.get(link, **mine, payload=asked["payload"], approval=base64url(agreed))
        ends_s = time.monotonic() + 60
        while self.get(link) and self.at.endswith("/waiting"):
            assert time.monotonic() < ends_s, "nobody signed the new key"
            time.sleep(0.2)


def genesis_of(directory: Path) -> bytes:
    return bytes.fromhex(tomllib.loads((directory / "commune.toml").read_text())["genesis_sha256"])


def processes_of(directory: Path) -> list[str]:
    """The command lines that name a directory, of everybody who runs."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended while we looked
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [words for words in found if str(directory) in words]


@pytest.fixture(scope="module")
def commune(kept: Kept) -> Path:
    """A commune that lived one day with balanced books."""
    assert "The books balance, to the watt-hour and the milli-credit." in kept.said, kept.said
    assert "paid 1.000 credits" in kept.said
    assert "to use less on 2024-07-22 from 20:00 to 22:00: 13 meter readers were told." in kept.said
    for source in ("local production", "a neighbour's energy used", "declared and confirmed"):
        assert source in kept.said
    return kept.directory


def test_demo_when_it_is_kept(kept: Kept) -> None:
    """It stays with its pages on HTTPS, the measured day yesterday, a page by which a phone comes to trust it, and a
    claim that waits for a steward."""
    assert "114 entries" in kept.seen["log"], kept.said
    assert "the last measured day is 2024-07-22" in kept.said
    (fingerprint,) = re.findall(r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}", kept.said)
    assert fingerprint in kept.seen["phone"]
    assert "1 held spans" in kept.said
    waiting = commonwatt("holds", "list", kept.directory).stdout.splitlines()
    assert [line.split()[1] for line in waiting] == ["above-rating"], waiting
    assert "Nothing has been settled yet" not in kept.seen["town"]


def test_demo_when_somebody_comes_in_by_its_links(kept: Kept) -> None:
    """A browser's own key becomes the home's wallet, another one a steward's: the demo signs for them with the keys
    that it has. The same browser comes back by the same link."""
    assert "taken up already" not in kept.seen["home"] + kept.seen["steward"]
    shown = commonwatt("ledger", "show", kept.directory / "log").stdout.splitlines()
    assert "rotate" in shown[114], shown[114:]
    assert shown[115].split()[3:5] == ["admit", "role"], shown[114:]
    assert 'action="/leave"' in kept.seen["home"], kept.seen["home"]


def test_demo_when_it_is_told_to_end(kept: Kept) -> None:
    """SIGTERM: exit code 0, and nobody is left behind."""
    assert (kept.exit_code, kept.left_behind) == (0, []), kept.said


def copy(commune: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(commune, tmp_path / "copy"))


def verify(directory: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return commonwatt("ledger", "verify", directory / "log", "--vkey", directory / "log.vkey", *options)


@pytest.mark.parametrize("mode", ["public", "audit"])
def test_log_when_a_stranger_verifies_a_copy(commune: Path, tmp_path: Path, mode: str) -> None:
    """The copy of a published log verifies in both modes."""
    done = verify(copy(commune, tmp_path), "--mode", mode)
    assert done.returncode == 0, done.stderr
    assert "OK" in done.stdout


def test_log_when_there_is_no_key(commune: Path) -> None:
    """Without a key nothing is proven, and the command says so."""
    done = commonwatt("ledger", "verify", commune / "log")
    assert done.returncode == 2
    assert "prove" in done.stdout + done.stderr


def test_log_when_one_byte_is_changed(commune: Path, tmp_path: Path) -> None:
    """One changed byte in any file is found, and the file is named."""
    directory = copy(commune, tmp_path)
    files = sorted(path for path in (directory / "log").rglob("*") if path.is_file())
    assert len(files) >= 3
    for path in files[:: max(1, len(files) // 12)]:
        before = path.read_bytes()
        middle = len(before) // 2
        path.write_bytes(before[:middle] + bytes([before[middle] ^ 1]) + before[middle + 1 :])
        done = verify(directory)
        assert done.returncode == 1, path
        assert str(path.relative_to(directory / "log")) in done.stdout + done.stderr
        path.write_bytes(before)


def test_judge_when_the_policy_was_changed_afterwards(commune: Path, tmp_path: Path) -> None:
    """The judge does not believe a policy file that is not the one in the log."""
    directory = copy(commune, tmp_path)
    policy = directory / "policy.toml"
    policy.write_text(policy.read_text().replace("rate_mc_per_kwh = 800", "rate_mc_per_kwh = 799"))
    done = subprocess.run(
        [sys.executable, "-m", "commonwatt.demo.judge", directory], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "do not balance" in done.stdout


def test_balance_when_asked_of_the_published_log(commune: Path) -> None:
    """The baker's credit is in the public log."""
    done = commonwatt("ledger", "balance", commune)
    assert done.returncode == 0, done.stderr
    (baker,) = [line for line in done.stdout.splitlines() if "baker" in line]
    assert "1.000" in baker


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 11))
def test_books_when_everything_is_killed(seed: int, tmp_path: Path) -> None:
    """Ten seeds of kills: the books balance every time."""
    done = commonwatt("demo", "--faults", "--seed", seed, "--dir", tmp_path / "demo")
    assert done.returncode == 0, f"seed {seed}\n{done.stdout}{done.stderr}"


@pytest.mark.soak
@pytest.mark.parametrize(("homes", "faults"), [(10, []), (40, []), (40, ["--faults"])])
def test_statistics_when_homes_are_few_or_many(homes: int, faults: list[str], tmp_path: Path) -> None:
    """A whole run: the books balance by all of its policy; of forty homes both feeders and the village are told, of
    ten nothing, and why."""
    done = commonwatt("demo", "--homes", homes, *faults, "--dir", tmp_path / "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The books balance, to the watt-hour and the milli-credit." in done.stdout
    told = done.stdout.partition("Statistics")[2]
    rows = {words[0]: words for words in map(str.split, told.splitlines()) if words and "2024-07-22" in words}
    if homes == 10:
        assert rows.keys() == {"commune", "feeder:mill"}
        assert all("dominated" in words for words in rows.values())
    else:
        assert rows.keys() == {"commune", "feeder:mill", "feeder:church"}
        assert [int(rows[cell][2]) for cell in ("commune", "feeder:mill", "feeder:church")] == [40, 20, 20]
        assert not any("dominated" in words for words in rows.values())


@pytest.mark.soak
@pytest.mark.parametrize("policy", ["default", "demo"])
def test_books_when_another_policy_counts(policy: str, tmp_path: Path) -> None:
    """The rules are named on the command line; the working week has a peak in the end."""
    days = {"default": 1, "demo": 5}[policy]
    file = ROOT / "aggregator" / "policies" / f"{policy}.toml"
    done = commonwatt("demo", "--policy", file, "--days", days, "--dir", tmp_path / "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("shifted out of peaks" in done.stdout) == (policy == "demo")


@pytest.mark.soak
def test_books_when_a_week_goes_by(tmp_path: Path) -> None:
    """Seven days of measurements balance too."""
    done = commonwatt("demo", "--days", "7", "--dir", tmp_path / "demo")
    assert done.returncode == 0, done.stdout + done.stderr
