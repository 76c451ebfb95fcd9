"""A card on /me. A room that has something to set there gives `MePages` a `Maker`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from web.looks import Words
from web.visitor import Ask


@dataclass(frozen=True, slots=True)
class Link:
    """A line that leads somewhere. `note`: what stands there now, or why one would go."""

    path: str
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """`name`: its anchor. `template`: what is inside, which finds `section` and its `values`."""

    name: str
    title: str
    template: str = "me/links.html"
    values: Mapping[str, Any] = field(default_factory=dict)


Maker = Callable[[Ask, Words], Section | None]
"""Makes a section in the reader's language; None: there is nothing for this visitor."""


def links(name: str, title: str, *lines: Link) -> Section:
    """A section that leads to pages of its room."""
    return Section(name, title, values={"lines": lines})
