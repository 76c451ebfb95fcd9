"""Founding a commune and admitting from a roster, through the command as a person types it."""

import shutil
import tomllib
from pathlib import Path

import pytest

from aggregator.commune.directory import CommuneDirectory
from aggregator.commune.init import slug_of
from aggregator.private.store import PrivateStore
from aggregator.testing import commonwatt
from commonwatt.errors import UserError
from commonwatt.identity import SigningKey
from ledger.app import open_ledger
from ledger.book.body import AdmitSite
from ledger.book.replay import replay
from ledger.log.published import PublishedLog


def public_key(name: str) -> str:
    return SigningKey.from_seed(name.encode().ljust(32, b"-")).public_key.hex()


def roster(*, ben_wallet: str = "ben") -> str:
    return f"""
[[members]]
name = "Ana"
wallet = "{public_key("ana")}"

[[members]]
name = "Ben \\"the baker\\""
wallet = "{public_key(ben_wallet)}"

[[sites]]
name = "mill"
member = "Ana"

[[devices]]
name = "meter"
id = "00112233445566778899aabbccddeeff"
site = "mill"
public_key = "{public_key("meter")}"
role = "main"
rated_power_w = 9000
grade = "device"

[[gateways]]
name = "cellar"
public_key = "{public_key("cellar")}"
"""


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commune fresh from the command; tests take copies of it."""
    directory = tmp_path_factory.mktemp("founded") / "commune"
    code, _, errors = commonwatt("init", directory, "--name", "Saint-Étienne")
    assert (code, errors) == (0, "")
    return directory


@pytest.fixture
def commune(founded: Path, tmp_path: Path) -> Path:
    """A copy of its own for each test."""
    return Path(shutil.copytree(founded, tmp_path / "commune"))


def test_init_makes_a_whole_commune(commune):
    """Keys for their owner only, commune.toml, policy, a published log that the commune's key verifies."""
    place = CommuneDirectory(commune)
    facts = place.load()
    assert (facts.name, facts.title, facts.trial) == ("saint-etienne", "Saint-Étienne", True)
    assert {path.stat().st_mode & 0o777 for path in (commune / "keys").iterdir()} == {0o600}
    assert (commune / "log.vkey").read_text().strip() == facts.log_vkey
    code, words, _ = commonwatt(
        "ledger", "verify", commune / "log", "--vkey", commune / "log.vkey", "--mode", "audit"
    )
    assert (code, words[:2]) == (0, "OK")
    state = replay(PublishedLog(commune / "log").entries())
    assert list(state.policy_texts.values()) == [(commune / "policy.toml").read_text()]


def test_init_refuses_a_directory_with_a_commune(commune):
    """Nothing of it is overwritten."""
    before = {path: path.read_bytes() for path in commune.rglob("*") if path.is_file()}
    code, _, errors = commonwatt("init", commune, "--name", "other")
    assert code == 2
    assert "a commune is here already" in errors
    assert before == {path: path.read_bytes() for path in commune.rglob("*") if path.is_file()}


def test_init_founds_further_units(tmp_path):
    """The constitution has the units that were named, in its own order, with their limits."""
    words = ("--unit", "mutual=heart:100:200.5", "--unit", "euro")
    assert commonwatt("init", tmp_path / "commune", "--name", "Village", *words)[0] == 0
    state = replay(PublishedLog(tmp_path / "commune" / "log").entries())
    euro, heart = state.founded.genesis.units
    assert (euro.name, heart.name) == ("euro", "heart")
    assert (heart.limits.soft_mc, heart.limits.hard_mc) == (100_000, 200_500)


@pytest.mark.parametrize(
    "unit", ["energy", "gold", "mutual=heart:1", "mutual=heart:200:100", "euro=e:0:1", "euro=e:x:1"]
)
def test_init_refuses_a_unit_that_cannot_be(tmp_path, unit):
    """The mistake is named, and nothing is made."""
    code, _, errors = commonwatt("init", tmp_path / "commune", "--name", "Village", "--unit", unit)
    assert code == 2
    assert "unit" in errors or "amount" in errors or "limit" in errors
    assert not (tmp_path / "commune").exists()


def test_admit_admits_once(commune, tmp_path):
    """What was admitted is printed with its id; the same roster again changes nothing."""
    (tmp_path / "roster.toml").write_text(roster())
    code, words, errors = commonwatt("admit", commune, tmp_path / "roster.toml")
    assert (code, errors) == (0, "")
    assert "00112233445566778899aabbccddeeff  device    meter" in words
    size = PublishedLog(commune / "log").unverified_checkpoint().size
    code, again, _ = commonwatt("admit", commune, tmp_path / "roster.toml")
    assert code == 0
    assert again.count("was admitted before") == len(again.splitlines()) == 5
    assert PublishedLog(commune / "log").unverified_checkpoint().size == size == 8


def test_admit_keeps_names_private(commune, tmp_path):
    """The log has commitments that only private.db can open; no name is in a published file."""
    (tmp_path / "roster.toml").write_text(roster())
    commonwatt("admit", commune, tmp_path / "roster.toml")
    store = PrivateStore(commune / "private.db")
    mill = store.find("sites", "mill")
    assert mill is not None
    assert store.find("members", 'Ben "the baker"') is not None
    row = replay(PublishedLog(commune / "log").entries()).admissions.by_id[mill.id]
    assert isinstance(row.admission, AdmitSite)
    assert row.admission.commitment == mill.commitment
    assert not any(b"Ana" in path.read_bytes() for path in (commune / "log").rglob("*") if path.is_file())
    assert (commune / "private.db").stat().st_mode & 0o777 == 0o600
    assert tomllib.loads((commune / "names.toml").read_text())[mill.id.hex()] == "mill"


def test_admit_refuses_other_facts_under_a_known_name(commune, tmp_path):
    """A key is not changed by admitting again."""
    (tmp_path / "roster.toml").write_text(roster())
    commonwatt("admit", commune, tmp_path / "roster.toml")
    (tmp_path / "roster.toml").write_text(roster(ben_wallet="thief"))
    code, _, errors = commonwatt("admit", commune, tmp_path / "roster.toml")
    assert code == 2
    assert "is admitted already, with other facts" in errors


def test_admit_says_what_the_ledger_refuses(commune, tmp_path):
    """Two members with one wallet: the second is named with the reason."""
    (tmp_path / "roster.toml").write_text(roster(ben_wallet="ana"))
    code, _, errors = commonwatt("admit", commune, tmp_path / "roster.toml")
    assert code == 2
    assert "duplicate-key" in errors
    assert "baker" in errors


def test_admit_says_when_two_devices_have_one_key(commune, tmp_path):
    """Whose readings it signs could not be told: the second is named and not admitted, nor ever believed."""
    copied = (
        roster()
        + f"""
[[devices]]
name = "the copy"
site = "mill"
public_key = "{public_key("meter")}"
role = "production"
rated_power_w = 9000
grade = "device"
"""
    )
    (tmp_path / "roster.toml").write_text(copied)
    code, _, errors = commonwatt("admit", commune, tmp_path / "roster.toml")
    assert code == 2
    assert "device 'the copy' is refused: duplicate-key" in errors
    listed = commonwatt("device", "list", commune)[1]
    assert (listed.count("meter"), listed.count("the copy")) == (1, 0)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('role = "main"', 'role = "mains"', "devices.0.role"),
        ("rated_power_w = 9000", "rated_power_w = 0", "devices.0.rated_power_w"),
        ('site = "mill"', 'site = "hill"', "devices.meter.site"),
        ('member = "Ana"', 'member = "Anna"', "sites.mill.member"),
        ('name = "Ana"', 'name = "Ana"\nphone = "1"', "members.0.phone"),
        ("[[gateways]]", "[gateways", "line"),
    ],
)
def test_admit_names_the_place_of_a_mistake(commune, tmp_path, old, new, words):
    """A sentence with the place, exit code 2, nothing admitted."""
    (tmp_path / "roster.toml").write_text(roster().replace(old, new, 1))
    code, _, errors = commonwatt("admit", commune, tmp_path / "roster.toml")
    assert code == 2
    assert words in errors
    assert PublishedLog(commune / "log").unverified_checkpoint().size == 3


def test_device_list_shows_every_device(commune, tmp_path):
    """Id, role, standing, trust grade and name; asked without stopping anybody."""
    (tmp_path / "roster.toml").write_text(roster())
    commonwatt("admit", commune, tmp_path / "roster.toml")
    with open_ledger(commune):
        code, words, _ = commonwatt("device", "list", commune)
    assert code == 0
    assert words.split()[:6] == ["00112233445566778899aabbccddeeff", "main", "active", "device", "9000", "W"]
    assert words.rstrip().endswith("meter")


def test_a_name_without_letters_is_no_name():
    """Topics need a short name."""
    with pytest.raises(UserError, match="leaves no short name"):
        slug_of("42")
