"""Places and people in a roster: dwellings in buildings and quarters, on feeders and transformers."""

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

from aggregator.commune import attributes
from aggregator.commune.attributes import SiteFacts
from aggregator.commune.places import Places
from aggregator.commune.roster import Roster
from aggregator.private.store import PrivateStore
from aggregator.testing import commonwatt, key
from commonwatt.settings import Settings
from ledger.book.replay import replay
from ledger.log.published import PublishedLog

PAGE = Path(__file__).parents[2] / "docs" / "operating" / "places.md"


def roster(**changes: str) -> str:
    """A tenant in a house with two dwellings, and a house of its own; `changes` of texts, old=new."""
    text = f"""
[[transformers]]
name = "T1"
rating_w = 250000

[[feeders]]
name = "Mill Lane"
transformer = "T1"
rating_a = 200

[[feeders]]
name = "Station Road"

[[quarters]]
name = "Old Town"

[[buildings]]
name = "Mill Lane 3"
quarter = "Old Town"
feeder = "Mill Lane"

[[members]]
name = "Ana"
kind = "tenant"
consent_until = 2027-12-31
consent.comparison = 2027-01-31
wallet = "{key("ana").public_key.hex()}"

[[sites]]
name = "Ana's flat"
member = "Ana"
building = "Mill Lane 3"
contracted_power_va = 6000

[[sites]]
name = "Ana's workshop"
member = "Ana"
building = "Mill Lane 3"
feeder = "Station Road"
installed_wp = 3000
latitude = 45.76401
longitude = 4.8
tilt_deg = 30
azimuth_deg = 180
sells_production = "purchase-obligation"
sold_permille = 400
"""
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.fixture
def commune(tmp_path: Path) -> Path:
    """A commune fresh from the command."""
    assert commonwatt("init", tmp_path / "commune", "--name", "Village")[0] == 0
    return tmp_path / "commune"


def admit(commune: Path, text: str) -> tuple[int, str, str]:
    (commune / "roster.toml").write_text(text)
    return commonwatt("admit", commune, commune / "roster.toml")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({'quarter = "Old Town"': 'quarter = "New Town"'}, "buildings.Mill Lane 3.quarter"),
        ({'transformer = "T1"': 'transformer = "T2"'}, "feeders.Mill Lane.transformer"),
        ({"rating_a = 200": "rating_a = 0"}, "feeders.0.rating_a"),
        ({"azimuth_deg = 180": "azimuth_deg = 360"}, "sites.1.azimuth_deg"),
        ({"longitude = 4.8\n": ""}, "latitude and longitude go together"),
        ({'sells_production = "purchase-obligation"\n': ""}, "sold_permille without sells_production"),
        ({'kind = "tenant"': 'kind = "king"'}, "members.0.kind"),
        ({"consent.comparison": "consent.marketing"}, "members.0.consent"),
    ],
)  # fmt: skip
def test_admit_when_a_place_cannot_be(commune, changes, words):
    """Named with its place; nobody is enrolled, nothing admitted."""
    code, _, errors = admit(commune, roster(**changes))
    assert code == 2
    assert words in errors
    assert PublishedLog(commune / "log").unverified_checkpoint().size == 3
    assert PrivateStore(commune / "private.db").people("members") == []


def test_places_when_admitted(commune):
    """A dwelling has its building's quarter and feeder unless it says otherwise, and the feeder's transformer."""
    assert admit(commune, roster())[0] == 0
    store, places = PrivateStore(commune / "private.db"), Places.read(commune)

    def named(identifier: bytes | None) -> str | None:
        return None if identifier is None else store.name_of(identifier)

    found = {store.name_of(row.site): row for row in places.sites.values()}
    flat, workshop = found["Ana's flat"], found["Ana's workshop"]
    places_of = [
        [named(row.building), named(row.quarter), named(row.feeder), named(row.transformer)]
        for row in (flat, workshop)
    ]
    assert places_of == [
        ["Mill Lane 3", "Old Town", "Mill Lane", "T1"],
        ["Mill Lane 3", "Old Town", "Station Road", None],
    ]
    assert (flat.facts.contracted_power_va, workshop.facts.installed_wp, workshop.facts.latitude) == (
        6000,
        3000,
        45.76,
    )
    assert (flat.facts.earns_nothing_permille, workshop.facts.earns_nothing_permille) == (0, 400)
    (ana,) = places.members.values()
    assert ana.consents == {"statistics": date(2027, 12, 31), "comparison": date(2027, 1, 31)}
    assert {row.rating_a for row in places.feeders.values()} == {200, None}


def test_roster_when_it_says_something_new(commune):
    """The change is dated in the private store and committed to in the log; what is not named stays."""
    admit(commune, roster())
    size = PublishedLog(commune / "log").unverified_checkpoint().size
    code, words, _ = admit(commune, roster(**{"contracted_power_va = 6000": "contracted_power_va = 9000"}))
    assert code == 0
    assert words.count("has changed") == 1
    assert PublishedLog(commune / "log").unverified_checkpoint().size == size + 1
    store = PrivateStore(commune / "private.db")
    flat = store.find("sites", "Ana's flat")
    assert flat is not None
    assert [row.read()["contracted_power_va"] for row in store.records(flat.id)] == [6000, 9000]
    last = store.records(flat.id)[-1]
    *_, entry = PublishedLog(commune / "log").entries()
    assert f"record {last.commitment(flat).hex()}".encode() in entry
    state = replay(PublishedLog(commune / "log").entries())
    assert state.admissions.by_id[flat.id].admission.commitment == flat.commitment
    assert admit(commune, roster(**{"contracted_power_va = 6000\n": ""}))[1].count("has changed") == 0


def test_sold_production_when_nothing_is_said():
    """All of it, if any: who sells is not paid twice by leaving a figure away."""
    assert SiteFacts(sells_production="guarantees-of-origin").earns_nothing_permille == 1000
    assert SiteFacts(sells_production="none").earns_nothing_permille == 0


def test_page_when_compared_with_the_roster():
    """The page has every field of every table, and its example is a roster."""
    page = PAGE.read_text()
    for name, model in vars(attributes).items():
        if name.endswith("Facts") and issubclass(model, Settings):
            for field in model.model_fields:
                assert f"`{field}`" in page, field
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert Roster.model_validate(tomllib.loads(example)).sites
