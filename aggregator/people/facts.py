"""What is known of people and places as rows of text: for lists, for CSV, and for changing it word by word."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aggregator.commune.admission import named_places
from aggregator.commune.attributes import (
    PLACES,
    BuildingFacts,
    FeederFacts,
    MemberFacts,
    QuarterFacts,
    SiteFacts,
    TransformerFacts,
    as_attributes,
)
from aggregator.private.person import Person
from aggregator.private.store import PrivateStore
from commonwatt import settings
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.settings import Settings

PEOPLE: Mapping[str, type[Settings] | None] = {"members": MemberFacts, "merchants": None, "associations": None}
PLACE_TABLES: Mapping[str, type[Settings] | None] = {
    "sites": SiteFacts,
    "buildings": BuildingFacts,
    "quarters": QuarterFacts,
    "feeders": FeederFacts,
    "transformers": TransformerFacts,
}
SINGULAR = {table: table.removesuffix("s") for table in (*PEOPLE, *PLACE_TABLES)}
COLUMNS = ["table", "name", "id", "field", "value"]
"""Of CSV files: one fact a line, so that one file holds every table."""


def find(store: PrivateStore, tables: Iterable[str], name: str) -> Person:
    """Whoever of these tables bears a name or an id; UserError if nobody does, or several."""
    everybody = [person for table in tables for person in store.people(table)]
    found = [person for person in everybody if name in (person.name, person.id.hex())]
    if len(found) != 1:
        words = _("nobody is called {name!r}") if not found else _("several are called {name!r}")
        raise UserError(
            words.format(name=name),
            to_do=_("write the name as in the roster, or the id"),
        )
    return found[0]


def facts(store: PrivateStore, person: Person) -> dict[str, str]:
    """What is known of somebody now, a text by field; consents as "consent.statistics"."""
    return {field: _text(store, field, value) for field, value in _flat(store.attributes(person.id)).items()}


def change(store: PrivateStore, person: Person, words: Mapping[str, str], *, at_s: int) -> bool:
    """Set fields from texts, an empty text forgets; whether anything is new. UserError names a bad one."""
    model = {**PEOPLE, **PLACE_TABLES}[person.table]
    where = f"{SINGULAR[person.table]} {person.name}"
    if model is None:
        raise UserError(_("nothing further is known of a {table}").format(table=SINGULAR[person.table]), where=where)
    before = store.attributes(person.id)
    after: dict[str, Any] = {key: value for key, value in before.items() if key not in PLACES}
    after |= {key: store.name_of(bytes.fromhex(value)) for key, value in before.items() if key in PLACES}
    for field, text in words.items():
        _put(after, field, text)
    read = settings.validate(model, after, where=where)
    known = named_places(store, person.table, person.name, as_attributes(read, model))
    return store.amend(person, {**dict.fromkeys(before), **known}, at_s=at_s) is not None


def rows(store: PrivateStore, people: Iterable[Person]) -> list[list[str]]:
    """Their facts as lines of COLUMNS; who has none stands there with an empty field."""
    lines = []
    for person in people:
        head = [person.table, person.name, person.id.hex()]
        lines += [[*head, field, value] for field, value in facts(store, person).items()] or [[*head, "", ""]]
    return lines


def apply_rows(store: PrivateStore, lines: Iterable[Sequence[str]], *, at_s: int) -> list[Person]:
    """Set what lines of COLUMNS say of known people and places; who changed. UserError names the line."""
    wanted: dict[tuple[str, str], dict[str, str]] = {}
    for number, line in enumerate(lines, 1):
        if number == 1 and list(line) == COLUMNS:
            continue
        if len(line) != len(COLUMNS):
            raise UserError(_("line {number} has not {count} columns").format(number=number, count=len(COLUMNS)))
        table, name, _identifier, field, value = line
        wanted.setdefault((table, name), {})
        if field:
            wanted[table, name][field] = value
    changed = []
    for (table, name), words in wanted.items():
        person = store.find(table, name) if table in SINGULAR else None
        if person is None:
            raise UserError(
                _("nobody of {table} is called {name!r}").format(table=table, name=name),
                to_do=_("admit newcomers with a roster"),
            )
        if words and change(store, person, words, at_s=at_s):
            changed.append(person)
    return changed


def _put(attributes: dict[str, Any], field: str, text: str) -> None:
    group, _dot, purpose = field.partition(".")
    if purpose:
        inner = dict(attributes.get(group) or {})
        inner.pop(purpose, None)
        attributes[group] = inner | ({purpose: text} if text else {})
    elif text:
        attributes[field] = _value(text)
    else:
        attributes.pop(field, None)


def _value(text: str) -> Any:
    """A number where it is spelled as one: the models take no text for it."""
    try:
        value = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text
    return value if type(value) in (int, float) and math.isfinite(value) else text


def _flat(attributes: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for field, value in attributes.items():
        if isinstance(value, dict):
            flat |= {f"{field}.{inner}": row for inner, row in value.items()}
        else:
            flat[field] = value
    return flat


def _text(store: PrivateStore, field: str, value: Any) -> str:
    return store.name_of(bytes.fromhex(value)) if field in PLACES else str(value)
