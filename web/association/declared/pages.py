"""Members declare (`/declare`), offices confirm (`/declared`), a steward brings what was signed into the log."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from aggregator.policy.terms import Declared
from aggregator.statements import declaring, papers, values
from aggregator.statements.declaring import Words as Declaration
from aggregator.statements.signers import Signer, Signers
from aggregator.statements.statement import Statement, Topic
from aggregator.statements.values import Stated
from commonwatt.i18n import _
from commonwatt.identity import key_hint
from ledger.book.state import State
from web.allowance import Allowance
from web.association.declared import photo
from web.association.office import Office, role_name
from web.door import Page
from web.drafts import statements
from web.drafts.turns import in_turn
from web.looks import Words
from web.roles import MEMBERS, Role, key_of
from web.spelling import unbase64
from web.visitor import Ask, Sorry

SEES = frozenset((Role.STEWARD, Role.TOWNHALL))
DOES = frozenset((Role.STEWARD,))
TEXT_MAX = 1000
PAPERS_PER_DAY = 30
"""Of one member, up to 5 MB each: they are kept before anything is signed."""


class DeclaredPages:
    """Routes of this room."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._allowance = Allowance(PAPERS_PER_DAY)

    def pages(self) -> list[Page]:
        """Every address about declared values."""
        return [
            Page("declared", "/declared", SEES, get=self.declared),
            Page("declared-confirm", "/declared/{declaration}/confirm", SEES, post=self.confirm),
            Page("declared-paper", "/declared/{declaration}/{file}", SEES, get=self.paper),
            Page("carry", "/declared/carry", DOES, post=self.carry),
            Page("declare", "/declare", MEMBERS, get=self.own),
            Page("declare-sign", "/declare/sign", MEMBERS, post=self.declare),
        ]

    def declared(self, ask: Ask) -> Response:
        """What waits for a second person, with its papers; and what waits for the steward's hand."""
        names, kinds = self._office.names(), self._office.policy().rules.declared
        with self._office.books.now() as book:
            stated, carried = self._office.stated(book.state)
            confirmer = self._signer(ask, book.state)

        def row(item: Stated) -> dict[str, Any]:
            said = item.statement
            refused = values.check(said, item.signer, confirmer, kinds, ask.now_s)
            return {
                "name": declaring.name_of(said),
                "member": names.name_of(said.subject),
                "by": role_name(item.signer.role) if item.signer.role else names.name_of(item.signer.id),
                "said": said,
                "day": _day(said.start_s, self._office.looks.zone),
                "unit": kinds[said.what].unit if said.what in kinds else "",
                "worth_mc": values.amount_mc(said, kinds[said.what]) if said.what in kinds else 0,
                "papers": papers.read(self._office.directory, said.digest),
                "refused": values.sentence(refused) if refused is not None else "",
            }

        def make(_words: Words) -> dict[str, Any]:
            rows = [row(item) for item in values.waiting(stated)]
            return {
                "rows": rows,
                "carried": len(carried),
                "kind_name": kind_name,
                "may_carry": ask.visitor.role in DOES,
            }

        return self._office.looks.answer(ask, "association/declared.html", make)

    def confirm(self, ask: Ask) -> Response:
        """The second person's signature; a steward's browser goes on with the entries around both statements."""
        with self._office.books.now() as book:
            stated, _carried = self._office.stated(book.state)
            confirmer, key = self._signer(ask, book.state), key_of(book.state, ask.visitor.subject) or b""
        item = self._waiting(ask, stated)
        signed = statements.read_signed(ask, item.statement.subject) if item is not None else None
        if item is None and not ask.form.get("signed"):
            raise HTTPException(404)
        if item is not None and signed is None:
            self._check(ask, item, confirmer)
            return JSONResponse(statements.to_state(item.statement, self._office.facts, post=ask.path))
        if item is not None and signed is not None:
            if signed.statement != item.statement:
                raise Sorry(_("This is not what was to be signed."), _("Load the page again and repeat it."))
            self._check(ask, item, confirmer)
            self._keep(ask, signed.statement, key)
            ask = ask.without("signed")
        if ask.visitor.role not in DOES:
            return JSONResponse({"next": "/declared"})
        return in_turn(ask, self._office.books, self._office.facts, self._office.to_carry, then="/declared")

    def carry(self, ask: Ask) -> Response:
        """Bring what others signed into the log."""
        return in_turn(ask, self._office.books, self._office.facts, self._office.to_carry, then="/declared")

    def paper(self, ask: Ask) -> Response:
        """A photograph that belongs to a declaration: shown as a picture, whatever its bytes are."""
        with self._office.books.now() as book:
            stated, _carried = self._office.stated(book.state)
        item = self._waiting(ask, stated)
        found = papers.read(self._office.directory, item.statement.digest) if item is not None else None
        name = ask.part("file")
        if found is None or name not in found.files or name not in photo.TYPES:
            raise HTTPException(404)
        data = (self._office.directory / papers.FOLDER / found.files[name]).read_bytes()
        headers = {"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "private, no-store"}
        return Response(data, media_type=photo.TYPES[name], headers=headers)

    def own(self, ask: Ask) -> Response:
        """The form, and what became of what this member declared before."""
        kinds = self._office.policy().rules.declared
        with self._office.books.now() as book:
            stated, _carried = self._office.stated(book.state)
        mine = [item for item in values.waiting(stated) if item.statement.subject == ask.visitor.subject]
        paid = [value for value, *_who in values.confirmed(stated) if value.statement.subject == ask.visitor.subject]
        today = datetime.fromtimestamp(ask.now_s, self._office.looks.zone).date()

        def make(_words: Words) -> dict[str, Any]:
            rows = [(item.statement, False) for item in mine] + [(value.statement, True) for value in paid]
            return {
                "kinds": [(kind, kind_name(kind), terms) for kind, terms in kinds.items()],
                "rows": [self._told(said, kinds, is_confirmed) for said, is_confirmed in rows],
                "today": today,
            }

        return self._office.looks.answer(ask, "association/declare.html", make)

    def declare(self, ask: Ask) -> Response:
        """Keep the papers and give the statement to be signed; the second time, take the signature."""
        with self._office.books.now() as book:
            key, signer = key_of(book.state, ask.visitor.subject) or b"", self._signer(ask, book.state)
        signed = statements.read_signed(ask, ask.visitor.subject)
        if signed is None:
            statement, kinds = self._statement(ask), self._office.policy().rules.declared
            if signer is None:
                raise Sorry(values.sentence(values.Refused.UNKNOWN_SIGNER), _("Ask the association."))
            refused = values.check(statement, signer, None, kinds, ask.now_s)
            if refused is not None:
                raise Sorry(values.sentence(refused), _("Change it and try again."))
            kept = replace(statement, digest=self._papers(ask))
            return JSONResponse(statements.to_state(kept, self._office.facts, post=ask.path))
        said = signed.statement
        is_own = (said.topic, said.subject) == (Topic.VALUE, ask.visitor.subject)
        if not is_own or papers.read(self._office.directory, said.digest) is None:
            raise Sorry(_("This is not what was to be signed."), _("Load the page again and repeat it."))
        self._keep(ask, said, key)
        return JSONResponse({"next": "/declare"})

    def _statement(self, ask: Ask) -> Statement:
        """What the form says, without its papers."""
        row = Declaration(
            member=ask.visitor.subject.hex(),
            kind=ask.text("kind"),
            amount=ask.text("amount", chars_max=20).replace(" ", ""),
            on=ask.text("on", chars_max=10),
            text=self._words(ask),
            attachments=(),
        )
        return declaring.draft(row, self._office.policy().rules, ask.visitor.subject)

    def _papers(self, ask: Ask) -> bytes:
        data = ask.files.get("photo", b"")
        attached = {photo.name_of(data): data} if data else {}
        self._allowance.take(ask)
        return papers.keep_data(self._office.directory, self._words(ask), attached)

    def _words(self, ask: Ask) -> str:
        text = " ".join(ask.form.get("text", "").split())
        if not text or len(text) > TEXT_MAX or not text.isprintable():
            raise Sorry(
                _("It is not said what was done."), _("Say it in at most {count} letters.").format(count=TEXT_MAX)
            )
        return text

    def _told(self, said: Statement, kinds: Any, is_confirmed: bool) -> dict[str, Any]:
        terms: Declared | None = kinds.get(said.what)
        kept = papers.read(self._office.directory, said.digest)
        return {
            "said": said,
            "kind": kind_name(said.what),
            "unit": terms.unit if terms is not None else "",
            "day": _day(said.start_s, self._office.looks.zone),
            "text": kept.text if kept is not None else "",
            "is_confirmed": is_confirmed,
        }

    def _check(self, ask: Ask, item: Stated, confirmer: Signer | None) -> None:
        kinds = self._office.policy().rules.declared
        refused = values.check(item.statement, item.signer, confirmer, kinds, ask.now_s)
        if confirmer is None:
            refused = values.Refused.UNKNOWN_SIGNER
        if refused is not None:
            raise Sorry(values.sentence(refused), _("Somebody else has to look at it."))
        if papers.read(self._office.directory, item.statement.digest) is None:
            raise Sorry(_("its papers are missing or were changed"), _("Ask the member to declare it again."))

    def _keep(self, ask: Ask, statement: Statement, key: bytes) -> None:
        signed = statements.read_signed(ask, statement.subject)
        assert signed is not None
        statements.check(signed, key, self._office.facts.genesis)
        with self._office.store.transaction() as connection:
            data = unbase64(ask.form["signed"])
            statements.put(connection, data, statement.subject, now_s=ask.now_s)

    def _waiting(self, ask: Ask, stated: Sequence[Stated]) -> Stated | None:
        name = ask.part("declaration")
        return next((item for item in values.waiting(stated) if declaring.name_of(item.statement) == name), None)

    def _signer(self, ask: Ask, state: State) -> Signer | None:
        return Signers(state).find(key_hint(key_of(state, ask.visitor.subject) or b""))


def kind_name(kind: str) -> str:
    """Of a declared value."""
    names = {
        "time": _("time for others"),
        "goods": _("goods passed on"),
        "products": _("local products"),
        "food": _("food"),
        "biodiversity": _("room for nature"),
    }
    return names.get(kind, kind)


def _day(time_s: int, zone: Any) -> date:
    return datetime.fromtimestamp(time_s, UTC).astimezone(zone).date()
