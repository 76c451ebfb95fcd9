"""Every file of hardware/ is read: parts, pins, drawings, pages."""

import csv
import re
import runpy
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from commonwatt.quantities import BY_OBIS
from gateway.meters.tables import ACCURACY_PERCENT, CLONED, find

ROOT = Path(__file__).parents[2]
HARDWARE = ROOT / "hardware"
BOARDS = ROOT / "firmware" / "boards"
BUILDS = sorted(path.parent for path in HARDWARE.glob("*/build.toml"))
DRAW = runpy.run_path(str(HARDWARE / "draw.py"))
SOURCES: list[Path] = DRAW["sources"]()
COLUMNS = ["ref", "part", "maker", "maker_number", "quantity", "price_class", "alternatives"]
PINNED = re.compile(r"^GPIO(\d+) (\w+)$")
NEEDS_DOT = "Graphviz's `dot` is not here (Debian package graphviz): wiring is not drawn again, its stamp is checked"


def parts(build: Path) -> dict[str, dict[str, str]]:
    with (build / "bom.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["ref"]: row for row in rows}


def build_of(build: Path) -> dict[str, Any]:
    return tomllib.loads((build / "build.toml").read_text(encoding="utf-8"))


def board_pins(name: str) -> dict[str, int]:
    """All pins of a firmware board by role, its serial line included."""
    board = runpy.run_path(str(BOARDS / f"{name}.py"))["BOARD"]
    serial = {role: board["uart"][role] for role in ("rx", "tx")} if board["uart"] else {}
    return {role: pin for role, pin in {**board["pins"], **serial}.items() if pin is not None}


def wirings() -> list[Path]:
    return [path for path in SOURCES if path.suffix == ".yaml"]


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def test_builds_when_the_folder_is_listed() -> None:
    """The four builds that were promised are there, each with its page, parts, wiring and schematic."""
    names = {path.name for path in BUILDS}
    assert names == {"smart-plug", "esp32-rs485-din-meter", "esp32-linky-tic", "gateway-box"}
    for build in BUILDS:
        assert (build / "README.md").is_file()
        assert list(build.glob("wiring*.yaml"))
        assert list(build.glob("schematic*.py"))


@pytest.mark.parametrize("build", BUILDS, ids=lambda path: path.name)
def test_parts_when_they_are_listed(build: Path) -> None:
    """Each part has every column filled, a reference of its own, and a price class."""
    text = (build / "bom.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == ",".join(COLUMNS)
    rows = list(csv.DictReader(text.splitlines()))
    assert len({row["ref"] for row in rows}) == len(rows)
    for row in rows:
        assert list(row) == COLUMNS, row
        assert all(row.values()), row
        assert row["price_class"] in {"€", "€€", "€€€", "-"}
        assert re.fullmatch(r"\d+(\.\d+)?( m)?", row["quantity"])


@pytest.mark.parametrize("path", wirings(), ids=name_of)
def test_wiring_when_it_names_parts(path: Path) -> None:
    """Everything that is wired, and every cable, can be bought: it stands in the parts list, wire by wire."""
    wiring = yaml.safe_load(path.read_text(encoding="utf-8"))
    known = parts(path.parent)
    assert set(wiring["connectors"]) | set(wiring["cables"]) <= set(known)
    for row in wiring["connections"]:
        for step in row:
            ((ref, places),) = step.items()
            count = len(wiring["connectors"].get(ref, {}).get("pinlabels", [])) or 99
            assert all(
                place == "s" or 1 <= place <= count for place in (places if isinstance(places, list) else [places])
            )


@pytest.mark.parametrize("path", wirings(), ids=name_of)
def test_wiring_when_it_names_pins(path: Path) -> None:
    """A pin in a drawing has the role that a board of the build gives it."""
    boards = [board_pins(name) for name in build_of(path.parent).get("pins", {})]
    wiring = yaml.safe_load(path.read_text(encoding="utf-8"))
    for connector in wiring["connectors"].values():
        for label in connector.get("pinlabels", []):
            if match := PINNED.match(label):
                assert any(pins.get(match[2]) == int(match[1]) for pins in boards), label


@pytest.mark.parametrize("build", BUILDS, ids=lambda path: path.name)
def test_pin_map_when_compared_with_the_firmware(build: Path) -> None:
    """The pins of build.toml are those of the firmware's board files, all of them; the page names the boards."""
    page = (build / "README.md").read_text(encoding="utf-8")
    for name, pins in build_of(build).get("pins", {}).items():
        assert pins == board_pins(name)
        assert f"firmware/boards/{name}.py" in page
    for text in [page, *(path.read_text() for path in build.glob("schematic*.py"))]:
        for pin, role in re.findall(r"GPIO(\d+) (rx|tx|cf1?|sel)\b", text):
            assert any(p.get(role) == int(pin) for p in build_of(build)["pins"].values()), (pin, role)


@pytest.mark.parametrize("build", BUILDS, ids=lambda path: path.name)
def test_page_when_it_is_read_by_a_volunteer(build: Path) -> None:
    """Safety comes before anything else, in both languages; then label, commissioning sheet and accuracy check."""
    page = (build / "README.md").read_text(encoding="utf-8")
    first_heading = page.index("\n## ")
    assert 0 < page.index("../safety.md") < first_heading
    assert 0 < page.index("../securite.md") < first_heading
    for needed in ("Enclosure", "commonwatt device label", "## Commissioning sheet", "## Accuracy check", "bom.csv"):
        assert needed in page
    for name in build_of(build)["meters"]:
        assert find(name).type in page
    for link in re.findall(r"\]\(([^)#]+)", page):
        assert (build / link).exists(), link


def test_limits_when_a_page_names_a_class() -> None:
    """What the pages say a class allows is what the meter tables say."""
    said = 0
    for path in HARDWARE.rglob("*.md"):
        for name, percent in re.findall(r"(EN 50470-3 class [ABC]) \| ([\d.]+) %", path.read_text(encoding="utf-8")):
            assert float(percent) == float(ACCURACY_PERCENT[name])
            said += 1
    assert said == 3


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_drawing_when_its_source_was_changed(path: Path) -> None:
    """The picture that is committed was drawn from this source: run `python hardware/draw.py` if not."""
    svg = path.with_suffix(".svg").read_text(encoding="utf-8")
    assert svg.endswith(DRAW["stamp"](path))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_drawing_when_rendered(path: Path) -> None:
    """Every drawing renders, and says the words of the committed one (Graphviz versions place them differently)."""
    if path.suffix == ".yaml" and shutil.which("dot") is None:
        pytest.skip(NEEDS_DOT)
    drawn = DRAW["draw"](path)
    assert words(drawn) == words(path.with_suffix(".svg").read_text(encoding="utf-8"))
    assert words(drawn)


def words(svg: str) -> list[str]:
    return sorted(re.findall(r"<(?:text|tspan)\b[^>]*>([^<]+)<", svg))


def test_safety_when_compared_between_languages() -> None:
    """Both pages have the same parts, and name the norms, the marks and the three grades."""
    english, french = ((HARDWARE / name).read_text(encoding="utf-8") for name in ("safety.md", "securite.md"))
    assert english.count("\n## ") == french.count("\n## ")
    assert english.count("\n- ") == french.count("\n- ")
    for needed in (
        "NF C 15-100",
        "NF C 18-510",
        "**CE**",
        "**MID**",
        "2014/32",
        "`device`",
        "`gateway`",
        "`declared`",
        "CONSUEL",
        "112",
        "30 mA",
    ):
        assert needed in english
        assert needed in french


def test_files_when_the_folder_is_walked() -> None:
    """No file of the folder goes unread: each is of a kind that a test here or beside reads."""
    kinds = {".md", ".toml", ".csv", ".yaml", ".py", ".svg"}
    for path in HARDWARE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.suffix in kinds, path
    assert {r.quantity for name in CLONED.glob("*.toml") for r in find(name.stem).energy} == set(BY_OBIS)
