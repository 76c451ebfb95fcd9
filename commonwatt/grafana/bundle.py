"""What there is to bring: the built dashboards and the files of Grafana's own provisioning, read and checked."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from commonwatt.errors import UserError
from commonwatt.i18n import _

Json = dict[str, Any]

PACKAGED = Path(__file__).parent / "built"
"""Where an installed package has them; a clone has them in dashboards/built."""
CLONED = Path(__file__).parents[2] / "dashboards" / "built"

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class Audience(StrEnum):
    """For whom dashboards are: the folders that they are built into."""

    OPERATORS = "operators"
    PUBLIC = "public"
    HOME = "home"


@dataclass(frozen=True, slots=True)
class Bundle:
    """`dashboards`: classic JSON by audience; `groups` of alert rules and `contact_points`: as Grafana's files spell
    them, for operators."""

    dashboards: Mapping[Audience, tuple[Json, ...]]
    groups: tuple[Json, ...] = ()
    contact_points: tuple[Json, ...] = ()


def built() -> Path:
    """The directory that comes along."""
    return CLONED if CLONED.exists() else PACKAGED


def read(directory: Path, audiences: Sequence[Audience]) -> Bundle:
    """Read `dashboards/AUDIENCE/*.json` and, for operators, `provisioning/alerting/*.yaml`. UserError names a bad
    file, or says that there is nothing."""
    boards = {
        audience: tuple(map(_dashboard, sorted((directory / "dashboards" / audience).glob("*.json"))))
        for audience in audiences
    }
    if not any(boards.values()):
        raise UserError(_("there are no dashboards here"), where=directory, to_do="make dashboards")
    if Audience.OPERATORS not in audiences:
        return Bundle(boards)
    alerting = [_yaml(path) for path in sorted((directory / "provisioning" / "alerting").glob("*.yaml"))]
    return Bundle(
        boards,
        tuple(group for file in alerting for group in file.get("groups") or ()),
        tuple(point for file in alerting for point in file.get("contactPoints") or ()),
    )


def expand(value: Any, environment: Mapping[str, str] | None = None) -> tuple[Any, set[str]]:
    """The value with `$NAME` and `${NAME}` filled in from the environment, as Grafana does with its files, and the
    names that have no value there."""
    known = os.environ if environment is None else environment
    if isinstance(value, dict):
        return _expanded_all(value.items(), known)
    if isinstance(value, list):
        content, missing = _expanded_all(enumerate(value), known)
        return list(content.values()), missing
    if not isinstance(value, str):
        return value, set()
    names = {found[1] or found[2] for found in _VARIABLE.finditer(value)}
    return _VARIABLE.sub(lambda found: known.get(found[1] or found[2], ""), value), {
        name for name in names if not known.get(name)
    }


def _expanded_all(items: Iterable[tuple[Any, Any]], known: Mapping[str, str]) -> tuple[dict[Any, Any], set[str]]:
    content, missing = {}, set()
    for key, value in items:
        content[key], without = expand(value, known)
        missing |= without
    return content, missing


def _dashboard(path: Path) -> Json:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(_("is no dashboard: {error}").format(error=error), where=path) from error
    if not isinstance(content, dict) or not content.get("uid") or not content.get("title"):
        raise UserError(_("is no dashboard: it has no uid or title"), where=path)
    return content


def _yaml(path: Path) -> Json:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(_("is not YAML: {error}").format(error=error), where=path) from error
    return content if isinstance(content, dict) else {}
