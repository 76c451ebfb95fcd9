"""A process's state for people: one JSON file, replaced atomically, that a view or a health page reads."""

import json
from pathlib import Path
from typing import Any


def write(path: Path, state: dict[str, Any]) -> None:
    """Replace the file. Not durable on purpose: it describes a process that a power cut would end too."""
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(state))
    beside.replace(path)


def read(path: Path) -> dict[str, Any]:
    """The last state, or {} before the first."""
    try:
        state = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    assert isinstance(state, dict)
    return state
