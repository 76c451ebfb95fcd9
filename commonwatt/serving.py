"""The pages of a commune, for whoever serves them beside its own work: found by entry point, as commands are.

The aggregator may not import what shows it (arrows point inwards), so it asks for pages by name and gets a lifetime.
"""

from contextlib import AbstractContextManager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from commonwatt.cli.missing import packages_of
from commonwatt.clock import CivilClock
from commonwatt.errors import UserError
from commonwatt.i18n import _

GROUP = "commonwatt.pages"


class Pages(Protocol):
    """Serves a commune's directory while its `with` lasts, in a thread of its own; a failing page fails nobody else.

    Entering it raises UserError for settings and for an address that cannot be had. `address`: host and port, 0 for a
    free one. `database_url`: the aggregator's database, where it is not what the directory's settings say.
    """

    def __call__(
        self, directory: Path, address: tuple[str, int], *, clock: CivilClock, database_url: str = ""
    ) -> AbstractContextManager[object]:
        """The lifetime."""
        ...


def pages() -> Pages:
    """The pages that are installed; UserError if they or their packages are not."""
    found = next(iter(entry_points(group=GROUP)), None)
    if found is None:
        raise UserError(_("no pages are installed"), where="--pages", to_do="pip install 'commonwatt[web]'")
    with packages_of("web", extra="web"):
        served: Pages = found.load()
    return served
