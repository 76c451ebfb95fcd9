"""A state as bytes and back: CBOR that names the records of the book by their classes, and builds nothing else.

Every container is an array that begins with what it is:

    [LIST, …]   [TUPLE, …]   [SET, …]   [MAP, key, value, …]   [RECORD, class, field, …]   [ENUM, class, value]

where `class` is a place in the list of names, ["ledger.book.state:State", …], that stands before the value. So a new
field or kind of entry needs no code here; a file is read by the version alone that wrote it (verify_since.py).
"""

import dataclasses
import importlib
from enum import Enum
from typing import Any

import cbor2

from commonwatt.errors import FormatError

LIST, TUPLE, SET, MAP, RECORD, ENUM = range(6)
DEPTH_MAX = 64
_MODULES = ("ledger.book.", "commonwatt.registry")
"""Where the records of a state are defined."""
_PLAIN = (int, bytes, str, type(None))
_KIND: dict[Any, int] = {list: LIST, tuple: TUPLE, set: SET}


def encode(value: Any) -> bytes:
    """The bytes of a value; TypeError for what is no record of the book."""
    names: dict[Any, int] = {}
    shown = _shown(value, names)
    return cbor2.dumps([[_name(found) for found in names], shown])


def decode(data: bytes) -> Any:
    """The value; FormatError "malformed" for anything that `encode` does not write."""
    try:
        names, shown = cbor2.loads(data, max_depth=DEPTH_MAX)
        return _built(shown, [_class(name) for name in names])
    except FormatError:
        raise
    except Exception as error:
        raise FormatError("malformed", f"not a saved state: {error}") from error


def _shown(value: Any, names: dict[Any, int]) -> Any:
    found: type[Any] = type(value)
    if found is bool or found in _PLAIN:
        return value
    if found in _KIND:
        return [_KIND[found], *(_shown(item, names) for item in value)]
    if found is dict:
        return [MAP, *(_shown(item, names) for pair in value.items() for item in pair)]
    place = names.setdefault(type(value), len(names))
    if isinstance(value, Enum):
        return [ENUM, place, value.value]
    _class(_name(found))  # what could not be read again is not written
    return [RECORD, place, *(_shown(item, names) for item in _parts(value))]


def _parts(value: Any) -> list[Any]:
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, tuple):
        return list(value)
    return [value.__getstate__() if "__getstate__" in vars(type(value)) else vars(value)]


def _built(shown: Any, classes: list[type]) -> Any:
    if type(shown) is not list:
        if type(shown) is bool or type(shown) in _PLAIN:
            return shown
        raise FormatError("malformed", f"a state has no {type(shown).__name__}")
    kind, rest = shown[0], shown[1:]
    if kind in (RECORD, ENUM):
        return _built_record(kind, classes[rest[0]], rest[1:], classes)
    items = [_built(item, classes) for item in rest]
    match kind:
        case 0:
            return items
        case 1:
            return tuple(items)
        case 2:
            return set(items)
        case 3:
            return dict(zip(items[::2], items[1::2], strict=True))
    raise FormatError("malformed", "neither a list nor a record")


def _built_record(kind: int, found: type, rest: list[Any], classes: list[type]) -> Any:
    if issubclass(found, Enum) != (kind == ENUM):
        raise FormatError("malformed", f"{found.__name__} is not what it is said to be")
    if kind == ENUM:
        return found(*rest)
    items = [_built(item, classes) for item in rest]
    if issubclass(found, tuple):
        return found(*items)
    made: Any = object.__new__(found)
    if dataclasses.is_dataclass(found):
        for field, item in zip(dataclasses.fields(found), items, strict=True):
            object.__setattr__(made, field.name, item)  # frozen records too
    elif "__setstate__" in vars(found):
        made.__setstate__(*items)
    else:
        vars(made).update(*items)
    return made


def _name(found: type) -> str:
    return f"{found.__module__}:{found.__qualname__}"


def _class(name: str) -> type:
    """A record or enumeration of the book by its name; FormatError for any other code."""
    module, _, qualname = name.partition(":")
    if module.startswith(_MODULES) and qualname.isidentifier():
        found = getattr(importlib.import_module(module), qualname, None)
        if isinstance(found, type) and found.__module__ == module:
            return found
    raise FormatError("malformed", f"names {name}")
