"""Says what is wrong in a policy file, and in which line: for people who wrote it in an editor, not in Python."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from commonwatt.errors import UserError
from commonwatt.i18n import _

Place = tuple[str | int, ...]
"""Keys and places in lists that lead to a value: ("production", "time", 0, "hours")."""

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"' -]+?)\s*=")
_QUOTES = re.compile(r"\"\"\"|'''")


def explained(error: ValidationError, text: str, where: object) -> UserError:
    """Every mistake with its line and key, one a line."""
    lines = lines_of(text)
    rows = sorted(_told(mistake, lines) for mistake in error.errors(include_url=False))
    first, *others = (
        (_("line {line}").format(line=line) if line else "", place, words) for line, place, words in rows
    )
    told = "\n".join([_joined(first), *(f"{where}: {_joined(row)}" for row in others)])
    return UserError(told, where=where, to_do=_("the keys are explained in docs/spec/settlement.md, “Policy”"))


def lines_of(text: str) -> dict[Place, int]:
    """The line, from 1, of every table and key of a TOML text that is valid; of a key in an inline table that of the
    line where the table stands."""
    found: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    is_in_text = False
    for number, line in enumerate(text.splitlines(), 1):
        quotes = len(_QUOTES.findall(line))
        if is_in_text:
            is_in_text = quotes % 2 == 0
        elif (header := _HEADER.fullmatch(line)) is not None:
            table = _table(_keys(header[2]), counts, is_list=header[1] == "[[")
            for length in range(1, len(table) + 1):
                found.setdefault(table[:length], number)
        elif (key := _KEY.match(line)) is not None:
            for length in range(len(table) + 1, len(table) + len(_keys(key[1])) + 1):
                found.setdefault((*table, *_keys(key[1]))[:length], number)
            is_in_text = quotes % 2 == 1
    return found


def _table(keys: Place, counts: dict[Place, int], *, is_list: bool) -> Place:
    """The place of a header, with the places in lists of tables that it runs through."""
    place: Place = ()
    for key in keys[:-1]:
        place = (*place, key)
        if place in counts:
            place = (*place, counts[place] - 1)
    place = (*place, keys[-1])
    if is_list:
        counts[place] = counts.get(place, 0) + 1
        place = (*place, counts[place] - 1)
    return place


def _keys(text: str) -> Place:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def _told(mistake: ErrorDetails, lines: Mapping[Place, int]) -> tuple[int, str, str]:
    context: Mapping[str, Any] = mistake.get("ctx", {})
    place = tuple(context.get("place", mistake["loc"]))
    line = next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), 0)
    return line, _name(place), _sentence(mistake["type"], context) or mistake["msg"]


def _name(place: Sequence[str | int]) -> str:
    """production.time[2].hours, lists counted from 1 as people do."""
    text = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def _sentence(kind: str, context: Mapping[str, Any]) -> str:
    """A mistake that pydantic found, in the language spoken here; empty where it has words of our own already."""
    sentences = {
        "missing": _("is missing"),
        "extra_forbidden": _("there is no such key"),
        "int_type": _("is not a whole number"),
        "int_from_float": _("is not a whole number"),
        "string_type": _("is not a text in quotes"),
        "bool_type": _("is neither true nor false"),
        "model_type": _("is not a table"),
        "dict_type": _("is not a table"),
        "tuple_type": _("is not a list of tables: write it in double brackets"),
        "greater_than_equal": _("is less than {ge}"),
        "greater_than": _("is not more than {gt}"),
        "less_than_equal": _("is more than {le}"),
        "less_than": _("is not less than {lt}"),
        "string_too_short": _("has fewer than {min_length} characters"),
        "string_too_long": _("has more than {max_length} characters"),
        "too_long": _("there are more than {max_length}"),
        "value_error": "{error}",
    }
    return sentences.get(kind, "").format_map(dict(context)) if kind in sentences else ""


def _joined(row: tuple[str, str, str]) -> str:
    return ": ".join(part for part in row if part)
