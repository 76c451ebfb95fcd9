"""The tickets of a shop and what it tells its accountant: rows of web.db."""

import json
from dataclasses import asdict
from datetime import date
from typing import Any

import sqlalchemy as sa

from web.accounting.plan import Plan
from web.accounting.ticket import Ticket, parse
from web.store.schema import books_of, closing


def tickets(connection: sa.Connection, account: bytes) -> tuple[list[Ticket], list[bytes]]:
    """All of an account's, in order, and their seals."""
    theirs = sa.select(closing).where(closing.c.account == account).order_by(closing.c.number)
    rows = connection.execute(theirs).all()
    return [parse(row.ticket) for row in rows], [row.seal for row in rows]


def last(connection: sa.Connection, account: bytes) -> tuple[Ticket, bytes] | None:
    """The newest and its seal."""
    theirs = sa.select(closing).where(closing.c.account == account).order_by(closing.c.number.desc()).limit(1)
    row: Any = connection.execute(theirs).one_or_none()
    return None if row is None else (parse(row.ticket), row.seal)


def keep(connection: sa.Connection, ticket: Ticket) -> None:
    """Add one. IntegrityError if another tab closed at the same time: numbers are unique."""
    row = {"account": ticket.account, "number": ticket.number, "day": ticket.day.isoformat()}
    connection.execute(sa.insert(closing).values(ticket=ticket.encode(), seal=ticket.seal, **row))


def is_closed(connection: sa.Connection, account: bytes, day: date) -> bool:
    """Whether a day has its ticket."""
    this = sa.select(closing.c.number).where(closing.c.account == account, closing.c.day == day.isoformat())
    return connection.execute(this).first() is not None


def plan_of(connection: sa.Connection, account: bytes) -> Plan:
    """What an account's holder set, or what is usual."""
    row = connection.execute(sa.select(books_of.c.plan).where(books_of.c.account == account)).scalar_one_or_none()
    return Plan() if row is None else Plan(**json.loads(row))


def put_plan(connection: sa.Connection, account: bytes, plan: Plan) -> None:
    """Set it."""
    connection.execute(sa.delete(books_of).where(books_of.c.account == account))
    connection.execute(sa.insert(books_of).values(account=account, plan=json.dumps(asdict(plan))))
