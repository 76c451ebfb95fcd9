"""The documentation is true: links lead somewhere, commands exist, named tests exist."""

import re
from pathlib import Path

import pytest

from commonwatt.testing_command import run

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page for page in ROOT.rglob("*.md") if not {".venv", "var", "node_modules"} & set(page.relative_to(ROOT).parts)
)

_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_COMMAND = re.compile(r"^\s*(?:\$ )?commonwatt ([a-z][a-z -]*)", re.MULTILINE)
_TARGET = re.compile(r"(?:^    (?:\$ )?|`)make ([a-z-]+)", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_when_followed(page: Path) -> None:
    """Every link to a file of the repository leads to one."""
    for target in _LINK.findall(page.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page_id(page)} links to {target}, which is not there"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_named_tests_when_looked_up(page: Path) -> None:
    """Every test that a page names exists."""
    for file, name in _TEST.findall(page.read_text()):
        assert (ROOT / file).exists(), f"{page_id(page)} names {file}"
        assert not name or f"def {name}(" in (ROOT / file).read_text(), f"{page_id(page)} names {file}::{name}"


def test_make_targets_when_documented() -> None:
    """Every make target in a page is in the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for target in _TARGET.findall(page.read_text()):
            assert f"\n{target}:" in makefile, f"{page_id(page)}: make {target}"


def commands() -> list[str]:
    """Every `commonwatt …` line of the pages, without its arguments."""
    found = {" ".join(words.split()[:2]) for page in PAGES for words in _COMMAND.findall(page.read_text())}
    return sorted(found)


@pytest.mark.parametrize("words", commands())
def test_command_when_documented(words: str) -> None:
    """Every command in a page answers --help."""
    done = run(*words.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
