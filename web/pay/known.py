"""Whom somebody pays again: favourites, under names of one's own; and who agreed to be found. Rows of web.db."""

from dataclasses import dataclass

import sqlalchemy as sa

from web.store.schema import favourite, findable

FAVOURITES_MAX = 100


@dataclass(frozen=True, slots=True)
class Favourite:
    """`holder`: whose account; `name`: what their payer calls them."""

    holder: bytes
    name: str


def favourites(connection: sa.Connection, owner: bytes) -> list[Favourite]:
    """Somebody's, by name."""
    theirs = sa.select(favourite).where(favourite.c.owner == owner).order_by(sa.func.lower(favourite.c.name))
    return [Favourite(row.holder, row.name) for row in connection.execute(theirs)]


def put(connection: sa.Connection, owner: bytes, wanted: Favourite) -> bool:
    """Keep one, or give it another name; False: there are too many."""
    others = [row for row in favourites(connection, owner) if row.holder != wanted.holder]
    if len(others) >= FAVOURITES_MAX:
        return False
    remove(connection, owner, wanted.holder)
    connection.execute(sa.insert(favourite).values(owner=owner, holder=wanted.holder, name=wanted.name))
    return True


def remove(connection: sa.Connection, owner: bytes, holder: bytes) -> None:
    """Forget one."""
    this = sa.and_(favourite.c.owner == owner, favourite.c.holder == holder)
    connection.execute(sa.delete(favourite).where(this))


def may_be_found(connection: sa.Connection) -> set[bytes]:
    """Members who agreed that others find them by name."""
    return {row.holder for row in connection.execute(sa.select(findable))}


def agree_to_be_found(connection: sa.Connection, holder: bytes, *, agrees: bool, now_s: int) -> None:
    """A member agrees, or does not any more."""
    connection.execute(sa.delete(findable).where(findable.c.holder == holder))
    if agrees:
        connection.execute(sa.insert(findable).values(holder=holder, agreed_s=now_s))
