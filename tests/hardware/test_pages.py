"""What the pages of hardware/ tell a person to type exists: each command with each of its options, each board."""

import re
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commonwatt.cli.main import app
from gateway.meters.tables import ACCURACY_PERCENT

ROOT = Path(__file__).parents[2]
HARDWARE = ROOT / "hardware"
PAGES = sorted(HARDWARE.rglob("*.md"))
BOARDS = {path.stem for path in (ROOT / "firmware" / "boards").glob("*.py") if "BOARD = " in path.read_text()}
COMMAND = re.compile(r"`commonwatt ([^`]+)`|^ *commonwatt (.+)$", re.MULTILINE)
GROUPS = {"gateway", "device", "aggregator", "ledger"}


def commands(page: Path) -> list[str]:
    """Every command of a page, without `commonwatt`; a line end inside backquotes is a space."""
    return [" ".join((inline or line).split()) for inline, line in COMMAND.findall(page.read_text(encoding="utf-8"))]


@cache
def help_of(*words: str) -> str:
    """What --help says; AssertionError if there is no such command."""
    done = CliRunner().invoke(app, [*words, "--help"])
    assert done.exit_code == 0, words
    return done.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HARDWARE)))
def test_commands_when_a_person_types_them(page: Path) -> None:
    """They are there, and so is every option."""
    for command in commands(page):
        words = command.split()
        told = help_of(*words[: 2 if words[0] in GROUPS and len(words) > 1 else 1])
        for option in re.findall(r"(?<!\S)--[a-z-]+", command):
            assert re.search(rf"(?<!\S){option}(?![a-z-])", told), f"{page.name}: commonwatt {command}"


def test_commands_when_they_are_looked_for() -> None:
    """The pages do name some: the way to a device that reports, and the way to a gateway's meter."""
    for name, needed in {
        "flashing.md": ("device flash", "device enrol", "admit", "device monitor", "device list"),
        "first-meter.md": ("init", "gateway scan", "gateway check", "gateway identity", "admit", "gateway run"),
    }.items():
        named = commands(HARDWARE / name)
        assert all(any(command.startswith(words) for command in named) for words in needed), name


def test_boards_when_they_are_to_be_flashed() -> None:
    """The table of flashing.md has every board of the firmware and no other."""
    page = (HARDWARE / "flashing.md").read_text(encoding="utf-8")
    table = [line for line in page.splitlines() if line.startswith("| `")]
    assert {board for line in table for board in re.findall(r"`([a-z0-9_]+)`", line)} == BOARDS


def test_limits_when_they_are_added() -> None:
    """accuracy.md: the norm's column is the library's; what is accepted is the meter's limit and the reference's."""
    page = (HARDWARE / "accuracy.md").read_text(encoding="utf-8")
    allowed = re.findall(r"^\| ([ABC]) \| ([\d.]+) % \| ([\d.]+) % \| ([\d.]+) % \|$", page, re.MULTILINE)
    accepted = {row[0]: row[1:] for row in re.findall(r"^\| ([ABC]) \| ([\d.]+) % \| ([\d.]+) % \|$", page, re.M)}
    reference_small, reference_large = next(
        (float(low), float(norm)) for name, low, _, norm in allowed if name == "B"
    )
    assert [name for name, *_ in allowed] == ["A", "B", "C"]
    for name, small, _directive, norm in allowed:
        assert float(norm) == float(ACCURACY_PERCENT[f"EN 50470-3 class {name}"])
        assert float(accepted[name][0]) == float(norm) + reference_large
        assert float(accepted[name][1]) == float(small) + reference_small
