"""The built dashboards, and what the telemetry writes, for the tests to hold one to the other."""

import json
from pathlib import Path

from aggregator.telemetry.measurements import HOME_MEASUREMENTS, MEASUREMENTS
from dashboards.build import BUILT
from tests.dashboards.reading import Json

FILES = sorted((BUILT / "dashboards").rglob("*.json"))
DASHBOARDS: dict[str, Json] = {file.stem: json.loads(file.read_text()) for file in FILES}

_ALL = {**MEASUREMENTS, **HOME_MEASUREMENTS}
TAGS = {name: frozenset({"commune", *row.tags}) for name, row in _ALL.items()}
WORDS = {name: TAGS[name] | frozenset(row.fields) for name, row in _ALL.items()}


def source(file: str) -> Path:
    """A file of dashboards/."""
    return BUILT.parent / file
