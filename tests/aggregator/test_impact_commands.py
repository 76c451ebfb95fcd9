"""`commonwatt impact` and `indicators`, asked of a town of twelve homes that lived eight days."""

import json
import shutil
from pathlib import Path

import pytest

from aggregator.private.store import PrivateStore
from aggregator.testing import TIME_S, commonwatt, ident

pytestmark = pytest.mark.xdist_group("impact")  # one worker, one town
HOMES = [f"home{number:02}" for number in range(12)]
DAYS = 8


def used_wh(number: int, at: int) -> int:
    """Of a home in a quarter hour: the second Monday a tenth more than the first."""
    return (20 + 2 * number + at % 4) * (11 if at >= 7 * 96 else 10)


@pytest.fixture(scope="module")
def settled(found_town, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve homes, eight days."""
    works = found_town(tmp_path_factory.mktemp("impact"), HOMES)
    for day in range(DAYS):
        blocks = []
        for number, name in enumerate(HOMES):
            register = sum(used_wh(number, at) for at in range(day * 96))
            rows = [(register, 0)]
            for at in range(day * 96, day * 96 + 96):
                rows.append((rows[-1][0] + used_wh(number, at), 0))
            blocks.append(works.meters[f"{name}-main"].sign(TIME_S + day * 86_400, rows))
        works.clock.civil_s = max(works.clock.civil_s, TIME_S + (day + 1) * 86_400)
        works.deliver(*blocks)
    works.close_until(TIME_S + DAYS * 86_400)
    works.database.close()
    works.ledger.close()
    store = PrivateStore(works.directory / "private.db")
    for name in HOMES:
        agreed = {"statistics": "2024-12-31", "comparison": "2024-12-31"}
        store.enrol("members", name, ident(name), {"consent": agreed}, TIME_S)
        store.enrol("sites", f"{name}'s", ident(f"{name}'s"), {}, TIME_S)
    store.save()
    directory: Path = works.directory
    return directory


@pytest.fixture
def town(settled: Path, tmp_path: Path) -> Path:
    shutil.copytree(settled, tmp_path / "town")
    return tmp_path / "town"


def ask(town: Path, *words: object) -> dict[str, object]:
    code, text, errors = commonwatt(
        "impact", town, "--from", "2024-07-22", "--to", "2024-07-22", "--zone", "UTC", "--json", *words
    )
    assert code == 0, errors
    return dict(json.loads(text))


def test_impact_of_a_home(town):
    """Its day to the watt-hour, beside the same day last week and eleven homes that agreed."""
    found = ask(town, "--site", "home03's")
    rows = {row["name"]: row for row in found["figures"]}
    own = sum(used_wh(3, at) for at in range(7 * 96, 8 * 96))
    assert rows["consumption"]["value"] == rows["import"]["value"] == own
    assert rows["co2_imported"]["value"] == round(own * 56_039 / 10**6)
    assert rows["co2_imported"]["source"].endswith("France 2023: 56.039 g/kWh")
    beside = {(row["name"], row["with"]): row for row in found["comparisons"]}
    assert beside["consumption", "before"]["change_permille"] == 100
    assert beside["consumption", "year_before"]["why_not"] == "not-measured-enough"
    others = [sum(used_wh(n, at) for at in range(7 * 96, 8 * 96)) for n in range(12) if n != 3]
    assert beside["consumption", "similar"]["value"] == round(sum(others) / 11)
    assert (beside["consumption", "similar"]["homes"], found["similar"]["homes"]) == (11, 11)


def test_impact_of_a_home_when_few_agree(town):
    """Nine are nobody to compare with, nor is a group that tells of one home together with an earlier answer."""
    assert ask(town, "--site", "home03's")["similar"]
    again = {(row["name"], row["with"]): row for row in ask(town, "--site", "home04's")["comparisons"]}
    assert again["consumption", "similar"]["why_not"] == "differs-by-few"
    store = PrivateStore(town / "private.db")
    for name in HOMES[:3]:
        store.amend(store.find("members", name), {"consent": {"statistics": "2024-12-31"}}, at_s=TIME_S)
    store.save()
    few = {(row["name"], row["with"]): row for row in ask(town, "--site", "home05's")["comparisons"]}
    assert few["consumption", "similar"]["why_not"] == "too-few-sites"


def test_impact_of_the_commune(town):
    """From statistics that the privacy rule lets out; exports that nobody has are nobody's secret."""
    found = ask(town)
    rows = {row["name"]: row for row in found["figures"]}
    whole = sum(used_wh(n, at) for n in range(12) for at in range(7 * 96, 8 * 96))
    assert rows["consumption"]["value"] == whole
    assert rows["self_sufficiency"]["value"] == 0
    assert rows["peak_import"]["value"] == 4 * max(
        sum(used_wh(n, at) for n in range(12)) for at in range(7 * 96, 8 * 96)
    )
    assert rows["co2_imported"]["factor_ug_per_wh"] == 56_039
    assert found["withheld"] == {}


def test_impact_of_a_commune_of_nine(town):
    """Nothing is told, and why."""
    store = PrivateStore(town / "private.db")
    for name in HOMES[:3]:
        store.amend(store.find("members", name), {"consent": None}, at_s=TIME_S)
    store.save()
    found = ask(town)
    assert found["figures"] == []
    assert set(found["withheld"].values()) == {"too-few-sites"}


@pytest.mark.parametrize(
    ("words", "says"), [((), "drawn from the grid"), (("--site", "home03's"), "11 similar homes: ")]
)
def test_impact_in_words(town, words, says):
    """A page for people, factors and sources on it."""
    code, text, errors = commonwatt(
        "impact", town, "--from", "2024-07-22", "--to", "2024-07-22", "--zone", "UTC", *words
    )
    assert code == 0, errors
    assert says in text
    assert "factor 56.0 g/kWh (life cycle)" in text
    assert "Source: Ember" in text
    assert "+10.0 %" in text


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--site", "nobody"), "no site is called"),
        (("--site", "home03's", "--commune"), "not both"),
        (("--from", "soon"), "no day"),
        (("--zone", "Mars/Olympus"), "no time zone"),
    ],
)
def test_impact_when_the_question_is_none(town, words, what):
    """A sentence, and exit code 2."""
    code, _text, errors = commonwatt("impact", town, *words)
    assert (code, what in errors) == (2, True)


def test_indicators_of_the_town(town):
    """Value, trend and what is due, as lines and as JSON."""
    (town / "indicators.toml").write_text(
        '[[indicators]]\nid = "draw"\nname = "Draw less"\nmeasure = "import"\ndays = 7\nbaseline = 900000\n'
        "baseline_date = 2024-01-01\ntarget = 100000\ntarget_date = 2024-12-31\nreview_date = 2024-07-20\n"
        'responsible = "the energy committee"\n'
        '[[indicators.actions]]\ntext = "Heat pumps"\nby = 2024-07-01\n'
    )
    code, text, errors = commonwatt("indicators", town, "--zone", "UTC", "--json")
    assert code == 0, errors
    (row,) = json.loads(text)
    week = sum(used_wh(n, at) for n in range(12) for at in range(7 * 96))
    assert (row["first"], row["last"], row["value"]) == ("2024-07-15", "2024-07-21", week)
    assert (row["step"], row["overdue"]) == ("check", ["Heat pumps"])
    assert row["on_track"] is (week <= row["expected"])
    code, text, errors = commonwatt("indicators", town, "--zone", "UTC")
    assert code == 0, errors
    assert "CHECK: the review was due on 2024-07-20" in text
    assert "DO: Heat pumps (LATE 2024-07-01)" in text
    assert "the energy committee" in text
