"""What stands in the addresses of pages for the parts in braces, so that tests can open every page there is.

A room that has a page with a part in its address adds how it is filled: a text, or a function of the living town that
makes what the page shows and gives its name. The same name is the same everywhere.
"""

from collections.abc import Callable, Mapping

from tests.web.conftest import Site

FILLED: Mapping[str, str | Callable[[Site], str]] = {
    "{month}": "2024-07",
    "{token}": "nobody",
    "{draft}": "00" * 16,
    "{span}": "day",
    "{date}": "2024-07-15",
}


def fill(path: str, living: Site) -> str:
    """An address without braces."""
    for name, value in FILLED.items():
        if name in path:
            path = path.replace(name, value if isinstance(value, str) else value(living))
    assert "{" not in path, f"tests/web/filled.py does not know what stands in {path}"
    return path
