"""How often one person may have us keep or send something in a day: nobody fills disk, log or mailboxes alone.

Counted in memory, by login: whoever starts the pages anew forgives.
"""

import threading
from collections import Counter

from commonwatt.i18n import _
from web.visitor import Ask, Sorry

DAY_S = 86_400


class Allowance:
    """`per_day` times for each login, in days of UTC. One is enough for all threads."""

    def __init__(self, per_day: int) -> None:
        self._per_day = per_day
        self._lock = threading.Lock()
        self._day = 0
        self._taken: Counter[bytes] = Counter()

    def take(self, ask: Ask) -> None:
        """Once more. Sorry if that is too often; who has not signed in is bounded by their address (manners.py)."""
        if ask.visitor.login is None:
            return
        with self._lock:
            if ask.now_s // DAY_S != self._day:
                self._day = ask.now_s // DAY_S
                self._taken.clear()
            if self._taken[ask.visitor.login.id] >= self._per_day:
                raise Sorry(_("You have done this very often today."), _("Go on tomorrow, or ask the association."))
            self._taken[ask.visitor.login.id] += 1
