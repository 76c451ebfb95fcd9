"""Works beside the pages: makes what is due (rounds of other rooms), and sends the letters that wait."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Self

from commonwatt.clock import Civil
from web.mail import letters
from web.mail.letters import Waiting
from web.mail.smtp import NotSent, Smtp
from web.store.file import WebStore

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often it looks, in wall time."""
JOIN_S_MAX = 30.0
BATCH = 50
"""Letters over one connection."""

Round = Callable[[int], None]
"""Work that a room has from time to time; it is given the civil time (Unix seconds), and may put letters."""


class Postman:
    """`smtp`: None where the commune sends no e-mail; the rounds are made all the same.

    `with postman:` lets it work in a thread of its own; `step` is one look, for tests and commands.
    """

    def __init__(self, store: WebStore, smtp: Smtp | None, *, clock: Civil, rounds: Sequence[Round] = ()) -> None:
        self._store, self._smtp, self._clock = store, smtp, clock
        self._rounds = list(rounds)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._work, name="postman", daemon=True)

    @property
    def has_mail(self) -> bool:
        """Whether letters are sent at all: whoever puts one asks first."""
        return self._smtp is not None

    def add(self, work: Round) -> None:
        """Let a room's work be done at each look."""
        self._rounds.append(work)

    def step(self) -> int:
        """One look; how many letters were taken by the server."""
        now_s = int(self._clock.now_s())
        for work in self._rounds:
            try:
                work(now_s)
            except Exception:  # one room's mistake keeps no other room's letters
                log.exception("a round of the postman failed; it is made again")
        if self._smtp is None:
            return 0
        with self._store.transaction() as connection:
            waiting = letters.due(connection, now_s=now_s, count_max=BATCH)
        return self._send(self._smtp, waiting, now_s) if waiting else 0

    def _send(self, smtp: Smtp, waiting: list[Waiting], now_s: int) -> int:
        left, taken = list(waiting), 0
        try:
            with smtp.line() as line:
                while left:
                    failure = self._outcome(line.send, left[0])
                    self._settle(left.pop(0), failure, now_s)
                    taken += failure is None
        except NotSent as error:
            log.warning("the e-mail server cannot be used: %s; letters wait", error)
            with self._store.transaction() as connection:
                for one in left:
                    letters.put_off(connection, one, now_s=now_s)
        return taken

    def _outcome(self, send: Callable[[Waiting], None], one: Waiting) -> NotSent | None:
        try:
            send(one)
        except NotSent as error:
            return error
        return None

    def _settle(self, one: Waiting, failure: NotSent | None, now_s: int) -> None:
        with self._store.transaction() as connection:
            if failure is not None and not failure.is_final:
                letters.put_off(connection, one, now_s=now_s)
            else:
                letters.remove(connection, one.number)
        if failure is not None:
            log.warning("letter %d was not taken: %s", one.number, failure)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ends.set()
        self._thread.join(JOIN_S_MAX)

    def _work(self) -> None:
        while not self._ends.wait(LOOK_S):
            try:
                self.step()
            except Exception:  # the pages go on without it, and the next look may succeed
                log.exception("the postman failed; it looks again")
