"""Says on which line of a meter table a mistake stands. tomllib tells no places, and our tables are flat."""

import re
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from commonwatt.errors import UserError
from commonwatt.settings import read_toml

Place = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_TABLE = re.compile(r"^\[\[(\w+)\]\]")
_KEY = re.compile(r"^(\w+)\s*=")


def load(model: type[Model], path: Path) -> Model:
    """Read a TOML file into its model; UserError lists every mistake with its line."""
    table = read_toml(path)
    try:
        return model.model_validate(table)
    except ValidationError as error:
        lines = lines_of(path.read_text(encoding="utf-8"))
        mistakes = "; ".join(_sentence(mistake, lines) for mistake in error.errors(include_url=False))
        raise UserError(mistakes, where=path, to_do="see hardware/meters/README.md") from error


def mistake_at(place: Place, what: str) -> PydanticCustomError:
    """A mistake that a check of the whole table finds, with the place that it would blame."""
    return PydanticCustomError("table", "{what}", {"what": what, "place": place})


def lines_of(text: str) -> dict[Place, int]:
    """The line of each key and of each `[[table]]`, by its place: ("energy", 0, "unit")."""
    lines: dict[Place, int] = {}
    counts: Counter[str] = Counter()
    prefix: Place = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TABLE.match(line):
            name = match[1]
            prefix = (name, counts[name])
            counts[name] += 1
            lines[prefix] = number
        elif match := _KEY.match(line):
            lines[*prefix, match[1]] = number
    return lines


def _sentence(mistake: ErrorDetails, lines: dict[Place, int]) -> str:
    context: dict[str, Any] = mistake.get("ctx", {})
    place: Place = context.get("place", mistake["loc"])
    name = ".".join(str(part) for part in place) or "file"
    while place and place not in lines:  # a missing key: blame the table that lacks it
        place = place[:-1]
    line = f"line {lines[place]}: " if place else ""
    return f"{line}{name}: {mistake['msg']}"
