"""KEEP=1: links by which a browser takes over somebody of the demo, and the demo's half of each hand-over.

A browser that follows a link makes a key of its own. The ledger takes it when those who hold the old keys have
signed: here that is the demo, with the key files that it made. What people start afterwards, and what needs several
signatures by the constitution, waits for them on the desk as in any commune.
"""

import logging
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from commonwatt.clock import CivilClock
from commonwatt.demo.founding import COMMONWATT, Commune
from commonwatt.demo.people import BAKER
from commonwatt.demo.programs import run
from commonwatt.errors import CommonwattError
from commonwatt.i18n import _

log = logging.getLogger(__name__)

OFFICES = ("steward", "townhall", "operator")
RETRY_S = 10.0
"""After a signature failed: the aggregator may just be busy."""
_ARRIVALS = "SELECT count(*) FROM draft WHERE ended IS NULL AND purpose IN ('takeover', 'office')"


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody whom a browser can be. `link` works once, in one browser; `to_try`: what is worth a look there."""

    who: str
    to_try: str
    link: str
    is_for_phones: bool = False


def invite(commune: Commune, url: str, clock: CivilClock) -> list[Visit]:
    """The links, good for two weeks of civil time."""
    village = commune.village
    # The first home declared its hours in the orchard with the key that it has: another neighbour is taken over.
    solar, neighbour = village.solar_home, next(home for home in village.homes[1:] if home != village.solar_home)
    links = _links(commune, url, clock, (solar, neighbour, BAKER))
    newcomer = _("Camille")
    (new_link,) = _links(commune, url, clock, (newcomer,), "--new")
    offices = {office: _links(commune, url, clock, (office,), "--role", office)[0] for office in OFFICES}
    return [
        Visit(
            _("the home with a roof ({name})").format(name=solar),
            _("what it earned yesterday and why; pay the baker; check a proof"),
            links[0],
            is_for_phones=True,
        ),
        Visit(
            _("a neighbour ({name})").format(name=neighbour),
            _("ask the home with a roof for a credit; follow how the sun next door was used"),
            links[1],
        ),
        Visit(
            _("the {name}, a merchant").format(name=BAKER),
            _("write an amount into the till and let somebody pay it; close the day"),
            links[2],
            is_for_phones=True,
        ),
        Visit(
            _("a steward of the association"),
            _("admit {newcomer}; review why the inverter of {home} made more than it can; see the reserve").format(
                newcomer=newcomer, home=solar
            ),
            offices["steward"],
        ),
        Visit(
            _("{newcomer}, who is new in the village").format(newcomer=newcomer),
            _("ask to take part; a steward admits her"),
            new_link,
        ),
        Visit(_("the town hall"), _("sign what the steward proposes: two must agree"), offices["townhall"]),
        Visit(_("the grid operator"), _("announce a peak, and see what it will show the homes"), offices["operator"]),
    ]


def _links(commune: Commune, url: str, clock: CivilClock, names: Sequence[str], *role: str) -> list[str]:
    layout = commune.layout
    words = ("web", "invite", str(layout.root), *names, *role, "--url", url, "--clock", str(clock))
    return run([COMMONWATT, *words], log_file=layout.logs / "keeping.log").split()


class HandOver:
    """Call `step` often: it signs for whoever has come in by a link."""

    def __init__(self, commune: Commune) -> None:
        layout = commune.layout
        self._layout = layout
        wallets = [layout.wallet(name) for name in (*commune.village.homes, BAKER)]
        self._keys = [*wallets, *(layout.root / "keys" / f"{office}.key" for office in OFFICES)]
        self._not_before_s = 0.0

    def step(self) -> None:
        """Whatever fails is logged and tried again: the visitors stay."""
        if time.monotonic() < self._not_before_s or not somebody_waits(self._layout.root / "web.db"):
            return
        words = ("web", "sign", str(self._layout.root), "--arrivals")
        keys = [word for key in self._keys for word in ("--key", str(key))]
        try:
            run([COMMONWATT, *words, *keys], log_file=self._layout.logs / "keeping.log")
        except CommonwattError as error:
            log.warning("the hand-over waits: %s", error)
            self._not_before_s = time.monotonic() + RETRY_S


def somebody_waits(path: Path) -> bool:
    """Whether a browser has made a key that the ledger does not have yet."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            (count,) = store.execute(_ARRIVALS).fetchone()
    except sqlite3.OperationalError:
        return False  # the pages are writing, or have only begun: the next look tells
    return int(count) > 0
