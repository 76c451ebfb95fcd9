"""Statements that browsers sign (docs/spec/statement.cddl), and the steward's hand that brings them into the log.

A statement stands in the log as the reason of an entry that a steward signs. Whoever states something signs it in
their own browser; it then waits here until a steward's browser signs the entry around it.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from aggregator.statements import statement as statements
from aggregator.statements.signers import Signers
from aggregator.statements.statement import KIND, Signed, Statement, reason_of
from aggregator.statements.values import Stated
from commonwatt.errors import FormatError
from commonwatt.i18n import _
from ledger.book.body import Body, SetStatus
from ledger.book.state import State
from web.book.said import Said
from web.facts import Facts
from web.spelling import base64url, unbase64
from web.store.schema import stated
from web.visitor import Ask, Sorry

SIGNED_CHARS_MAX = 1000

Carried = tuple[Stated, str, bytes]
"""A statement that waits, the reason of its entry, and whom that is about."""


def to_state(statement: Statement, facts: Facts, *, post: str) -> dict[str, object]:
    """What static/wallet/sign.js reads, as for entries (signing.py)."""
    told = {"payload": base64url(statement.encode()), "kind": KIND, "genesis": facts.genesis_sha256}
    return {**told, "approve": False, "post": post}


def read_signed(ask: Ask, about: bytes) -> Signed | None:
    """The signed statement that a form brings; None: it brings none, or something else that was signed."""
    if not ask.form.get("signed") or len(ask.form["signed"]) > SIGNED_CHARS_MAX:
        return None
    try:
        return statements.parse_signed(unbase64(ask.text("signed", chars_max=SIGNED_CHARS_MAX)), about)
    except FormatError:
        return None


def check(signed: Signed, public_key: bytes, genesis: bytes) -> None:
    """Sorry unless this key signed it for this commune."""
    if not signed.is_by(public_key, genesis):
        raise Sorry(_("The signature does not fit what was asked."), _("Load the page again and repeat it."))


def put(connection: sa.Connection, signed: bytes, about: bytes, *, now_s: int) -> None:
    """Keep it until a steward brings it into the log; the same bytes again change nothing."""
    reason = reason_of(signed)
    is_there = sa.select(stated.c.number).where(stated.c.reason == reason)
    if connection.execute(is_there).one_or_none() is None:
        connection.execute(sa.insert(stated).values(reason=reason, about=about, stated_s=now_s))


def waiting(connection: sa.Connection, said: Said, state: State) -> list[Carried]:
    """What is not in the log yet, in the order in which it was signed. What is there by now is forgotten."""
    connection.execute(sa.delete(stated).where(stated.c.reason.in_(said.reasons)))
    signers, found = Signers(state), []
    for row in connection.execute(sa.select(stated).order_by(stated.c.number)).all():
        status = _status(state, row.about, row.reason)
        signed = statements.read(status) if status is not None else None
        signer = signers.signer_of(signed) if signed is not None else None
        if signed is not None and signer is not None:
            found.append((Stated(state.size, row.stated_s, signed.statement, signer), row.reason, row.about))
    return found


def entries(state: State, rows: Sequence[Carried]) -> list[Body]:
    """What a steward signs, in this order."""
    found = [_status(state, about, reason) for _stated, reason, about in rows]
    return [body for body in found if body is not None]


def _status(state: State, about: bytes, reason: str) -> SetStatus | None:
    """An entry about somebody whose standing stays as it is; None if nobody is there."""
    row = state.admissions.by_id.get(about)
    return None if row is None else SetStatus(row.admission.subject, about, row.status, reason)
