"""The desk: counts first, then what waits to be signed, then the first steps."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from starlette.responses import Response

from aggregator import schema
from aggregator.observe import witnesses
from aggregator.private.store import PrivateStore
from aggregator.reading import NothingMeasuredError, reading
from aggregator.statements import corrections, values
from aggregator.statements.signers import Signers
from aggregator.statements.values import Stated
from commonwatt.i18n import _
from ledger.book.body import Policy, Reverse
from ledger.book.constitution import quorum_kind
from ledger.book.state import State
from web.association.desk import checklist
from web.association.desk.checklist import Step
from web.association.desk.counts import Waits, counts
from web.association.office import Office, role_name
from web.association.people import listing
from web.consent import erasure
from web.door import Page
from web.drafts import desk, purposes
from web.drafts.desk import Draft
from web.drafts.statements import Carried
from web.identity import logins, newcomers
from web.looks import Words
from web.roles import OFFICES, Role, key_of
from web.visitor import Ask

NO_WAY_BACK = frozenset(("takeover", "recover", "office", "reverse", "policy"))
"""What is signed last asks again: the log never forgets it."""


class DeskPages:
    """Routes of this room."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def pages(self) -> list[Page]:
        """Its one page."""
        return [Page("desk", "/desk", OFFICES, get=self.desk)]

    def desk(self, ask: Ask) -> Response:
        """Everything that waits, and what this visitor can do about it."""
        names, is_measured = self._office.names(), self._is_measured()
        with self._office.store.transaction() as connection:
            drafts = desk.waiting(connection)
            proposers = {draft.entry.id: logins.of_id(connection, draft.proposed_by or b"") for draft in drafts}
            subjects = {draft.entry.id: logins.of_subject(connection, draft.about or b"") for draft in drafts}
            waiting = newcomers.waiting(connection)
        with self._office.books.now() as book:
            key = key_of(book.state, ask.visitor.subject) or b""
            asks = {draft.entry.id: desk.asks(book.state, draft, key) for draft in drafts}
            signed = {draft.entry.id: desk.roles_of(book.state, draft) for draft in drafts}
            needed = {draft.entry.id: _needed(book.state, draft) for draft in drafts}
            waits = self._waits(ask, book.state, names, sum(each is not None for each in asks.values()), len(waiting))
            steps = self._steps(ask, book.state, is_measured=is_measured)

        def row(draft: Draft, words: Words) -> dict[str, Any]:
            proposer, subject = proposers[draft.entry.id], subjects[draft.entry.id]
            return {
                "draft": draft,
                "ask": asks[draft.entry.id],
                "says": purposes.sentence(draft, words),
                "about": subject.name if subject is not None else _name_of(names, draft.about),
                "proposer": proposer.name if proposer is not None else "",
                "signed": [role_name(role) for role in sorted(signed[draft.entry.id])],
                "needed": needed[draft.entry.id],
                "question": _question(draft),
                "look": _look_at(draft),
            }

        def make(words: Words) -> dict[str, Any]:
            rows = [row(draft, words) for draft in drafts]
            return {
                "rows": [each for each in rows if each["ask"]],
                "others": [each for each in rows if not each["ask"]],
                "counts": counts(waits, ask.visitor.role),
                "steps": steps,
                "office": role_name(ask.visitor.role),
            }

        return self._office.looks.answer(ask, "association/desk.html", make)

    def _waits(self, ask: Ask, state: State, names: PrivateStore, to_sign: int, newcomers: int) -> Waits:
        stated, carried = self._office.stated(state)
        fixes = corrections.waiting(stated, Signers(state).correcting_min)
        if ask.visitor.role is Role.OPERATOR:
            return Waits(to_sign=to_sign, corrections=len(fixes))
        meters = self._office.meters(state, names)
        everybody = listing.rows(state, names, meters, now_s=ask.now_s)
        return Waits(
            to_sign=to_sign,
            newcomers=newcomers,
            holds=sum(not span.verdict for span in self._office.held(state)),
            declared=len(values.waiting(stated)),
            carried=_to_carry(stated, carried),
            corrections=len(fixes),
            claims=sum(claim.unfit is None for claim in self._office.claims(state)),
            ending=len(listing.ending(everybody, now_s=ask.now_s)),
            silent=sum(row.silent > 0 for row in everybody),
            leaving=self._leaving(state),
        )

    def _leaving(self, state: State) -> int:
        with self._office.store.transaction() as connection:
            return len(erasure.wishes(connection, state))

    def _steps(self, ask: Ask, state: State, *, is_measured: bool) -> Sequence[Step]:
        if ask.visitor.role is not Role.STEWARD:
            return []
        seen = witnesses.look(self._office.directory, wall_s=ask.now_s)
        is_witnessed = seen is not None and seen.cosigned_entries > 0
        return checklist.steps(state, is_measured=is_measured, is_witnessed=is_witnessed)

    def _is_measured(self) -> bool:
        try:
            with reading(self._office.directory, self._office.database_url) as connection:
                return connection.scalar(sa.select(sa.func.max(schema.closing.c.end_s))) is not None
        except NothingMeasuredError:
            return False


def _to_carry(stated: Sequence[Stated], carried: Sequence[Carried]) -> int:
    """How many signed statements only need a steward's hand: not those that a second person has to see before."""
    waiting = {item.statement for item in values.waiting(stated)}
    return sum(row.statement not in waiting for row, _reason, _about in carried)


def _needed(state: State, draft: Draft) -> int:
    """How many offices the constitution asks for."""
    quorum = state.founded.genesis.quorum(quorum_kind(draft.entry.body))
    return 0 if quorum is None else quorum.k


def _name_of(names: PrivateStore, subject: bytes | None) -> str:
    """Of a member or merchant; empty for everything else."""
    everybody = (person for table in listing.TABLES for person in names.people(table))
    return next((person.name for person in everybody if person.id == subject), "")


def _look_at(draft: Draft) -> str:
    """The page that shows what a draft would do; empty where its sentence says all."""
    body = draft.entry.body
    if isinstance(body, Reverse):
        return f"/corrections/payment?id={body.entry.hex()}"
    return f"/policy/trials/{body.sha256.hex()}" if isinstance(body, Policy) else ""


def _question(draft: Draft) -> str:
    return _("This goes into the log for good. Sign it?") if draft.purpose in NO_WAY_BACK else ""
