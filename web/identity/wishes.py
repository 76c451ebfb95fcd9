"""Addresses that were typed to sign in: written down whether they are known here or not, and looked up later.

So an answer takes as long, and says the same, for an address that nobody has. Rows of web.db.
"""

import sqlalchemy as sa

from commonwatt.i18n import speaking
from web.identity import links, logins, sentences
from web.identity.links import LINK_S, Link, Purpose
from web.mail import letters
from web.store.file import WebStore
from web.store.schema import wish

QUARTER_S, DAY_S = 15 * 60, 86_400
PER_QUARTER_MAX, PER_DAY_MAX = 3, 10
"""Links that one address gets: nobody's mailbox is flooded by us."""
WAITING_MAX = 1000
BATCH = 100


def note(connection: sa.Connection, email: str, language: str, *, now_s: int) -> None:
    """Somebody wants a link sent to an address. What is too much is forgotten silently: saying so would tell who is
    known here, or that somebody else is asking."""
    email = email.lower()
    counted = sa.select(sa.func.count()).select_from(wish)
    of_day = counted.where(wish.c.email == email, wish.c.asked_s > now_s - DAY_S)
    of_quarter = of_day.where(wish.c.asked_s > now_s - QUARTER_S)
    waiting = counted.where(wish.c.is_done.is_(False))
    counts = [connection.execute(one).scalar_one() for one in (of_quarter, of_day, waiting)]
    if all(count < most for count, most in zip(counts, (PER_QUARTER_MAX, PER_DAY_MAX, WAITING_MAX), strict=True)):
        connection.execute(sa.insert(wish).values(email=email, language=language, asked_s=now_s, is_done=False))


class Granting:
    """A round of the postman: a letter for each wish whose address somebody here has."""

    def __init__(self, store: WebStore, *, public_url: str, title: str) -> None:
        self._store, self._url, self._title = store, public_url, title

    def __call__(self, now_s: int) -> None:
        """The wishes so far."""
        with self._store.transaction() as connection:
            rows = connection.execute(sa.select(wish).where(wish.c.is_done.is_(False)).limit(BATCH)).all()
        for row in rows:
            with self._store.transaction() as connection:
                connection.execute(sa.update(wish).where(wish.c.number == row.number).values(is_done=True))
                connection.execute(sa.delete(wish).where(wish.c.asked_s <= now_s - DAY_S))
                self._grant(connection, row.email, row.language, now_s)

    def _grant(self, connection: sa.Connection, email: str, language: str, now_s: int) -> None:
        found = logins.of_email(connection, email)
        if not found:
            return
        token = links.make(connection, Link(Purpose.ENTER, email), now_s=now_s)
        with speaking(found[0].language or language):
            letter = sentences.sign_in(found[0].email or email, f"{self._url}/link/{token}", self._title)
        letters.put(connection, letter, now_s=now_s, for_s=LINK_S)
