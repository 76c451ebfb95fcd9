"""Claims of new meters; one meter, suspended, revoked or replaced."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from aggregator.commune import replacing
from aggregator.enrolment import confirm
from aggregator.enrolment.confirm import Listed
from aggregator.enrolment.judge import Unfit
from aggregator.enrolment.store import enrolling
from commonwatt.errors import FormatError
from commonwatt.i18n import _
from commonwatt.identity import ID_SIZE, KEY_SIZE
from commonwatt.registry import Status
from commonwatt.units import INTERVAL_S
from ledger.book import entry as entries
from ledger.book.admissions import DeviceAccount
from ledger.book.body import AdmitDevice, Body, SetStatus
from ledger.book.entry import SignedEntry
from ledger.book.kinds import Subject
from ledger.book.state import State
from web.association.office import Office, standing
from web.association.people import admitting
from web.association.people.pages import id_of, reason_of, see
from web.door import Page
from web.drafts.turns import ENTRY_CHARS_MAX, in_turn
from web.looks import Words
from web.roles import Role
from web.spelling import unbase64
from web.visitor import Ask, Sorry

SEES = frozenset((Role.STEWARD, Role.TOWNHALL))
DOES = frozenset((Role.STEWARD,))
NAME_MAX = 80
_STANDINGS = {"suspend": Status.SUSPENDED, "restore": Status.ACTIVE, "revoke": Status.REVOKED}


class MeterPages:
    """Routes of this room."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def pages(self) -> list[Page]:
        """Every address about meters."""
        return [
            Page("meters", "/meters", SEES, get=self.meters),
            Page("meter", "/meters/{meter}", SEES, get=self.meter),
            Page("meter-standing", "/meters/{meter}/standing", DOES, post=self.set_standing),
            Page("meter-replace", "/meters/{meter}/replace", DOES, post=self.replace),
            Page("meter-claim", "/meters/claims/{claim}", DOES, post=self.confirm),
            Page("meter-claim-reject", "/meters/claims/{claim}/reject", DOES, post=self.reject),
        ]

    def meters(self, ask: Ask) -> Response:
        """What waits to be admitted, and meters that are worth a look."""
        names = self._office.names()
        with self._office.books.now() as book:
            claims = self._office.claims(book.state)
            meters = self._office.meters(book.state, names)
        waiting = [row for row in claims if row.unfit not in (Unfit.ADMITTED_BEFORE, Unfit.REJECTED)]
        odd = [row for row in meters if row.status == "active" and (row.is_frozen or row.missing or not row.latest_s)]
        values = {
            "claims": waiting,
            "odd": odd,
            "count": len(meters),
            "may_act": ask.visitor.role in DOES,
        }
        return self._office.looks.answer(ask, "association/meters.html", lambda _words: {**values, "unfit": unfit})

    def meter(self, ask: Ask) -> Response:
        """One meter: whose it is, what came from it, what can be done."""
        names = self._office.names()
        with self._office.books.now() as book:
            device = self._device(ask, book.state)
            (row,) = self._office.meters_of([device], names)
        values = {
            "meter": row,
            "device": device,
            "site": names.name_of(device.site),
            "holder": names.name_of(device.account),
            "may_act": ask.visitor.role in DOES,
        }

        def make(_words: Words) -> dict[str, Any]:
            return {**values, "standing": standing, "role": role_name(row.role), "grade": grade_name(row.grade)}

        return self._office.looks.answer(ask, "association/meter.html", make)

    def set_standing(self, ask: Ask) -> Response:
        """Suspend, reactivate or revoke."""
        wanted, reason = _STANDINGS.get(ask.text("act")), reason_of(ask)
        if wanted is None:
            raise Sorry(_("It is not said what is to be done."), _("Load the page again."))

        def to_do() -> list[Body]:
            with self._office.books.now() as book:
                device = self._device(ask, book.state).device
                status = book.state.admissions.by_id[device].status
            return [] if status is wanted else [SetStatus(Subject.DEVICE, device, wanted, reason)]

        return in_turn(ask, self._office.books, self._office.facts, to_do, then=f"/meters/{ask.part('meter')}")

    def replace(self, ask: Ask) -> Response:
        """Admit another device in its place, then revoke it: nothing is counted twice."""
        new = _hex(ask, "device", ID_SIZE)
        name = ask.text("name", chars_max=NAME_MAX)
        public_key = self._key_of(ask, new)
        names = self._office.enrolling()
        known = names.find("devices", name)
        if known is not None and known.id != new:
            raise Sorry(_("A meter is called {name} already.").format(name=name), _("Give the new one another name."))
        names.enrol("devices", name, new)
        names.save()
        begins_s = _begins_s(ask)

        def to_do() -> list[Body]:
            with self._office.books.now() as book:
                old = self._device(ask, book.state)
                is_there = new in book.state.admissions.by_id
                is_gone = book.state.admissions.by_id[old.device].status is Status.REVOKED
            admit = AdmitDevice(new, old.site, public_key, old.role, old.rated_power_w, old.grade)
            text = replacing.text_of(new, begins_s)
            revoke = SetStatus(Subject.DEVICE, old.device, Status.REVOKED, text)
            return [*([] if is_there else [admit]), *([] if is_gone else [revoke])]

        return in_turn(ask, self._office.books, self._office.facts, to_do, then=f"/meters/{new.hex()}")

    def confirm(self, ask: Ask) -> Response:
        """Admit a claimed meter at one of its member's homes, or at a further one."""
        device = id_of(ask.part("claim"))
        new_site = ask.text("new_site", chars_max=NAME_MAX, is_needed=False)
        with self._office.books.now() as book:
            claim = self._claim(device, book.state)
        then = f"/meters/{device.hex()}"
        wanted: list[Body] = []
        if claim.unfit is not Unfit.ADMITTED_BEFORE:  # of a form that comes a second time nothing is left to do
            names = self._office.enrolling()
            proposals = confirm.propose(
                self._office.directory,
                claim,
                names,
                site=new_site or ask.text("site", chars_max=NAME_MAX, is_needed=False),
                is_new_site=bool(new_site),
                name=ask.text("name", chars_max=NAME_MAX, is_needed=False),
                time_s=ask.now_s,
            )
            names.save()
            wanted = [proposal.body for proposal in proposals]

        def to_do() -> list[Body]:
            with self._office.books.now() as book:
                return admitting.left(book.state, wanted)

        return in_turn(ask, self._office.books, self._office.facts, to_do, then=then)

    def reject(self, ask: Ask) -> Response:
        """Say no to a claim; the member may set the meter up again."""
        with self._office.books.now() as book:
            claim = self._claim(id_of(ask.part("claim")), book.state)
        confirm.reject(self._office.directory, claim, reason_of(ask))
        return see("/meters")

    def _device(self, ask: Ask, state: State) -> DeviceAccount:
        wanted = id_of(ask.part("meter"))
        found = next((row for row in state.admissions.devices() if row.device == wanted), None)
        if found is None:
            raise HTTPException(404)
        return found

    def _claim(self, device: bytes, state: State) -> Listed:
        found = next((row for row in self._office.claims(state) if row.device == device), None)
        if found is None:
            raise HTTPException(404)
        return found

    def _key_of(self, ask: Ask, device: bytes) -> bytes:
        """As the form says, or as the label of the new device does."""
        if ask.text("public_key", is_needed=False):
            return _hex(ask, "public_key", KEY_SIZE)
        with enrolling(self._office.place.private_db) as enrolment:
            label = enrolment.labels().get(device)
        if label is None:
            raise Sorry(
                _("Nobody made the label of this device known."),
                _("Write its public key, as it stands on its label."),
            )
        return label.public_key


def unfit(reason: Unfit) -> tuple[str, str]:
    """Why a claim cannot be confirmed, and what to do."""
    return {
        Unfit.REJECTED: (_("It was rejected."), _("The member sets the device up again.")),
        Unfit.UNKNOWN_LABEL: (
            _("Nobody made the label of this device known."),
            _("Make its label known, then set it up again."),
        ),
        Unfit.OTHER_KEY: (
            _("The device has another key than its label says: it was forged, or emptied."),
            _("Make a new label for it."),
        ),
        Unfit.WRONG_CODE: (_("Whoever set it up did not have the label."), _("Ask the member; set it up again.")),
        Unfit.EXPIRED: (_("The claim came after the last day of the label."), _("Make the label known again.")),
        Unfit.UNKNOWN_MEMBER: (_("It names no member."), _("Admit the member first.")),
        Unfit.ADMITTED_BEFORE: (_("It is admitted."), _("Nothing is to be done.")),
    }[reason]


def role_name(role: str) -> str:
    """What a meter measures."""
    names = {
        "main": _("what the home takes from the grid and gives to it"),
        "production": _("what the home makes"),
        "sub-meter": _("one appliance behind the main meter"),
    }
    return names[role]


def grade_name(grade: str) -> str:
    """Who signs its readings."""
    return {"device": _("the meter reader itself"), "gateway": _("the gateway that reads it")}.get(grade, grade)


def _begins_s(ask: Ask) -> int:
    """The next quarter of an hour; that of the draft which was signed, if the quarter began meanwhile."""
    begins_s = -(-ask.now_s // INTERVAL_S) * INTERVAL_S
    if not ask.form.get("signed"):
        return begins_s
    try:
        parsed = entries.parse(unbase64(ask.text("signed", chars_max=ENTRY_CHARS_MAX)))
    except FormatError:
        return begins_s
    body = parsed.entry.body if isinstance(parsed, SignedEntry) else None
    said = replacing.read(body) if isinstance(body, SetStatus) else None
    return said.begins_s if said is not None and 0 <= begins_s - said.begins_s <= INTERVAL_S else begins_s


def _hex(ask: Ask, field: str, size: int) -> bytes:
    text = ask.text(field).replace(" ", "").lower()
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != size:
        raise Sorry(
            _("This is not what stands on the label: {text}.").format(text=text),
            _("Write its {count} digits, 0 to 9 and a to f.").format(count=2 * size),
        )
    return found
