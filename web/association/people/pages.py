"""The list of people, one person, who wants to come in, and invitations."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from aggregator.people import facts
from aggregator.private.person import Person
from aggregator.private.store import PrivateStore
from commonwatt.i18n import _
from commonwatt.registry import Status
from ledger.book.body import AdmitAccount, AdmitSite, Body, SetStatus
from ledger.book.fields import REASON_BYTES_MAX
from ledger.book.kinds import ROLE_NAMES
from ledger.book.state import State
from web import qr
from web.association.office import Office, role_name, standing
from web.association.people import admitting, facts_form, listing
from web.association.people.listing import PAGE
from web.door import Page
from web.drafts.turns import in_turn
from web.identity import invitations, logins, newcomers, sentences
from web.identity.invitations import INVITATION_S, Invitation, InvitedAs
from web.identity.newcomers import Newcomer
from web.looks import Words
from web.mail import letters
from web.roles import Role
from web.visitor import Ask, Sorry

SEES = frozenset((Role.STEWARD, Role.TOWNHALL))
DOES = frozenset((Role.STEWARD,))
OFFICES_TO_FILL = tuple(role for role in ROLE_NAMES if role != "aggregator")
_STANDINGS = {"suspend": Status.SUSPENDED, "restore": Status.ACTIVE, "close": Status.REVOKED}


class PeoplePages:
    """Routes of this room."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def pages(self) -> list[Page]:
        """Every address about people."""
        return [
            Page("people", "/people", SEES, get=self.people),
            Page("invite", "/people/invite", DOES, get=self.invite, post=self.make_invitation),
            Page("newcomer", "/people/newcomers/{newcomer}", DOES, get=self.newcomer, post=self.admit),
            Page("newcomer-refuse", "/people/newcomers/{newcomer}/refuse", DOES, post=self.refuse),
            Page("person", "/people/{person}", SEES, get=self.person),
            Page("person-standing", "/people/{person}/standing", DOES, post=self.set_standing),
            Page("person-invite", "/people/{person}/invite", DOES, post=self.hand_over),
        ]

    def people(self, ask: Ask) -> Response:
        """Everybody, or those whom a search means."""
        names, asked = self._office.names(), ask.request.query_params
        words, show = asked.get("q", "").strip()[:80], asked.get("show", "")
        with self._office.books.now() as book:
            everybody = listing.rows(book.state, names, self._office.meters(book.state, names), now_s=ask.now_s)
        with self._office.store.transaction() as connection:
            waiting = newcomers.waiting(connection)
        found = listing.ending(everybody, now_s=ask.now_s) if show == "consent" else everybody
        found = [row for row in found if (not words or row.is_found_by(words)) and (show != "silent" or row.silent)]
        number = asked.get("page", "1")
        at = (int(number) - 1) * PAGE if number.isdigit() and 0 < int(number) <= len(found) // PAGE + 1 else 0
        values = {
            "rows": found[at : at + PAGE],
            "count": len(found),
            "page_number": at // PAGE + 1,
            "last_page": max(0, len(found) - 1) // PAGE + 1,
            "kinds": listing.kinds(everybody),
            "newcomers": waiting,
            "q": words,
            "show": show,
            "may_act": ask.visitor.role in DOES,
        }
        return self._office.looks.answer(ask, "association/people.html", lambda _words: _told(values))

    def person(self, ask: Ask) -> Response:
        """One of them: facts, homes, meters, and what can be done."""
        names = self._office.names()
        with self._office.books.now() as book:
            who, found = self._who(ask, book.state, names)
            homes = _homes(book.state, who.id)
            meters = {row.device: row for row in self._office.meters(book.state, names)}
            by_site = {
                home: [meters[row.device] for row in book.state.admissions.devices() if row.site == home]
                for home in homes
            }
        with self._office.store.transaction() as connection:
            login = logins.of_subject(connection, who.id)
        values = {
            "person": who,
            "status": found[1].name.lower(),
            "admission": found[0],
            "login": login,
            "now_s": ask.now_s,
            "may_act": ask.visitor.role in DOES,
        }

        def make(_words: Words) -> dict[str, Any]:
            known = facts_form.told(facts.facts(names, who)) if who.table == "members" else {}
            told = {
                home: facts_form.told(facts.facts(names, person)) for home in homes if (person := _site(names, home))
            }
            rows = [(names.name_of(home), told.get(home, {}), by_site[home]) for home in homes]
            return {**values, "known": known, "homes": rows, "standing": standing}

        return self._office.looks.answer(ask, "association/person.html", make)

    def set_standing(self, ask: Ask) -> Response:
        """Suspend, reactivate or close an account, with a reason that stands in the log."""
        wanted, reason = _STANDINGS.get(ask.text("act")), reason_of(ask)
        if wanted is None:
            raise Sorry(_("It is not said what is to be done."), _("Load the page again."))

        def to_do() -> list[Body]:
            with self._office.books.now() as book:
                who, (admission, status) = self._who(ask, book.state, self._office.names())
            return [] if status is wanted else [SetStatus(admission.subject, who.id, wanted, reason)]

        return in_turn(ask, self._office.books, self._office.facts, to_do, then=f"/people/{ask.part('person')}")

    def hand_over(self, ask: Ask) -> Response:
        """An invitation by which somebody's new browser takes up their account: two of three offices then sign it."""
        names = self._office.names()
        with self._office.books.now() as book:
            who, _found = self._who(ask, book.state, names)
        with self._office.store.transaction() as connection:
            login = logins.of_subject(connection, who.id)
        email = login.email if login is not None else None
        return self._invited(ask, Invitation(InvitedAs.ACCOUNT, who.id, "", who.name, email, None))

    def invite(self, ask: Ask) -> Response:
        """Whom to invite."""
        return self._office.looks.answer(ask, "association/invite.html", lambda _words: self._offices())

    def make_invitation(self, ask: Ask) -> Response:
        """A link, shown once: as a code, as text, to be printed."""
        kind, role = ask.text("kind"), ask.text("role", is_needed=False)
        if kind not in (InvitedAs.NEWCOMER, InvitedAs.MERCHANT, InvitedAs.ROLE):
            raise Sorry(_("It is not said to what they are invited."), _("Choose one of the three."))
        if kind == InvitedAs.ROLE and role not in OFFICES_TO_FILL:
            raise Sorry(_("It is not said which office they are to hold."), _("Choose the office."))
        name = ask.text("name", chars_max=facts_form.NAME_MAX)
        email = ask.text("email", is_needed=False)
        if email and not letters.is_address(email):
            raise Sorry(_("This is no e-mail address."), _("Write it like ana@example.org, or leave it empty."))
        office = role if kind == InvitedAs.ROLE else ""
        return self._invited(ask, Invitation(InvitedAs(kind), None, office, name, email or None, None))

    def newcomer(self, ask: Ask) -> Response:
        """Somebody who took up an invitation, and the form by which they are admitted."""
        who, names = self._newcomer(ask), self._office.names()
        return self._office.looks.answer(
            ask, "association/newcomer.html", lambda _words: {"newcomer": who, **facts_form.choices(names)}
        )

    def admit(self, ask: Ask) -> Response:
        """Enrol the newcomer and their home, and have the admissions signed one after the other."""
        who = self._newcomer(ask)
        roster = facts_form.roster(ask, who.login.subject, who.wallet, is_merchant=who.is_merchant)
        wanted = admitting.bodies(roster, self._office.enrolling(), at_s=ask.now_s)

        def to_do() -> list[Body]:
            with self._office.books.now() as book:
                return admitting.left(book.state, wanted)

        def done() -> None:
            with self._office.store.transaction() as connection:
                logins.rename(connection, who.login.id, ask.text("name"))
                newcomers.remove(connection, who.login.id)

        then = f"/people/{who.login.subject.hex()}"
        return in_turn(ask, self._office.books, self._office.facts, to_do, then=then, done=done)

    def refuse(self, ask: Ask) -> Response:
        """Turn a newcomer away: their browser waits no more."""
        who = self._newcomer(ask)
        with self._office.store.transaction() as connection:
            newcomers.remove(connection, who.login.id)
            logins.remove(connection, who.login)
        return see("/people")

    def _invited(self, ask: Ask, wanted: Invitation) -> Response:
        """The link, shown and, if there is an address and the commune sends letters, on its way."""
        office, is_sent = self._office, bool(wanted.email) and self._office.postman.has_mail
        with office.store.transaction() as connection:
            token = invitations.make(connection, wanted, now_s=ask.now_s)
            url = f"{office.address.url(ask.request)}/join/{token}"
            if wanted.email and is_sent:
                letter = sentences.invitation(wanted.email, wanted.name, url, office.facts.title)
                letters.put(connection, letter, now_s=ask.now_s, for_s=INVITATION_S)
        values = {"wanted": wanted, "url": url, "code": qr.svg(url), "until_s": ask.now_s + INVITATION_S}
        values["is_sent"] = is_sent
        return office.looks.answer(ask, "association/invited.html", lambda _words: {**values, **self._offices()})

    def _offices(self) -> dict[str, Any]:
        return {"offices": {role: role_name(role) for role in OFFICES_TO_FILL}, "kinds": InvitedAs}

    def _who(self, ask: Ask, state: State, names: PrivateStore) -> tuple[Person, tuple[AdmitAccount, Status]]:
        identifier = id_of(ask.part("person"))
        found = state.admissions.account(identifier)
        person = next((row for table in listing.TABLES for row in names.people(table) if row.id == identifier), None)
        if found is None or person is None:
            raise HTTPException(404)
        return person, found

    def _newcomer(self, ask: Ask) -> Newcomer:
        wanted = id_of(ask.part("newcomer"))
        with self._office.store.transaction() as connection:
            found = next((row for row in newcomers.waiting(connection) if row.login.id == wanted), None)
            if found is None and ask.form.get("signed"):
                raise Sorry(_("This person was admitted already."), _("Look them up under People."))
        if found is None:
            raise HTTPException(404)
        return found


def reason_of(ask: Ask, *, bytes_max: int = REASON_BYTES_MAX) -> str:
    """Why, in words that stand in the log. Sorry if they are too long for it."""
    reason = ask.text("reason", chars_max=bytes_max)
    if len(reason.encode()) > bytes_max:
        raise Sorry(
            _("The reason is too long."), _("Write at most {count} plain letters.").format(count=bytes_max // 2)
        )
    return reason


def id_of(text: str) -> bytes:
    """An id of an address; 404 if it is none."""
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise HTTPException(404) from error


def see(path: str) -> Response:
    """Go and look there."""
    return Response(status_code=303, headers={"location": path})


def _told(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "standing": standing}


def _homes(state: State, account: bytes) -> list[bytes]:
    """The sites that an account holds."""
    return [
        identifier
        for identifier, row in state.admissions.by_id.items()
        if isinstance(row.admission, AdmitSite)
        and row.admission.member == account
        and row.status is not Status.REVOKED
    ]


def _site(names: PrivateStore, site: bytes) -> Person | None:
    return next((row for row in names.people("sites") if row.id == site), None)
