"""What stands in the addresses of pages for the parts in braces, so that tests can open every page there is.

A room that has a page with a part in its address adds how it is filled: a text, or a function of the living town that
makes what the page shows and gives its name. The same name is the same everywhere.
"""

from collections.abc import Callable, Mapping

from aggregator.testing import ident
from tests.web.conftest import Site
from tests.web.office import a_held_span, a_newcomer

FILLED: Mapping[str, str | Callable[[Site], str]] = {
    "{month}": "2024-07",
    "{token}": "nobody",
    "{draft}": "00" * 16,
    "{span}": "day",
    "{date}": "2024-07-15",
    "{person}": ident("home05").hex(),
    "{newcomer}": a_newcomer,
    "{hold}": a_held_span,
    "{stopped}": "00" * 16,
}


def fill(path: str, living: Site) -> str:
    """An address without braces."""
    for name, value in FILLED.items():
        if name in path:
            path = path.replace(name, value if isinstance(value, str) else value(living))
    assert "{" not in path, f"tests/web/filled.py does not know what stands in {path}"
    return path
