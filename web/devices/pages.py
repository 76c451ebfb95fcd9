"""/devices, and /add with the label of a new one."""

from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from aggregator.commune import called
from aggregator.private.store import PrivateStore
from commonwatt import device_label
from commonwatt.errors import UserError
from commonwatt.i18n import _
from ledger.book.admissions import DeviceAccount
from web.book.books import Books
from web.devices import state, words
from web.devices.state import Own
from web.door import Page
from web.energy.homes import Homes
from web.looks import Looks, Words
from web.names import Names
from web.roles import Role
from web.visitor import Ask, Sorry

RESIDENTS = frozenset((Role.RESIDENT,))


class DevicePages:
    """Routes of this room."""

    def __init__(
        self, directory: Path, books: Books, names: Names, homes: Homes, looks: Looks, *, database_url: str = ""
    ) -> None:
        self._directory, self._books, self._names, self._homes, self._looks = directory, books, names, homes, looks
        self._database_url = database_url

    def pages(self) -> list[Page]:
        """Every address of it."""
        return [
            Page("devices", "/devices", RESIDENTS, get=self.devices),
            Page("device-name", "/devices/{device}/name", RESIDENTS, post=self.rename),
            Page("add", "/add", RESIDENTS, get=self.add, post=self.read_label),
            Page("add-label", "/add/{label}", RESIDENTS, get=self.added),
            Page("add-scanned", f"{device_label.ADD}{{label}}", RESIDENTS, get=self.scanned),
        ]

    def devices(self, ask: Ask) -> Response:
        """What is there and how it is."""
        own = self._own(ask)
        with self._books.now() as book:
            admissions = book.state.admissions
            claims = state.claims_of(self._directory, ask.visitor.subject, admissions)

        def values(spoken: Words) -> dict[str, Any]:
            return {
                "rows": [self._row(each, ask, spoken) for each in own],
                "claims": [
                    {
                        "device": claim.claim.device.hex(),
                        "when": spoken.moment(claim.received_s),
                        "why": words.unfit(unfit) if unfit is not None else "",
                    }
                    for claim, unfit in claims
                ],
                "chars_max": called.CHARS_MAX,
            }

        return self._looks.answer(ask, "devices/list.html", values)

    def rename(self, ask: Ask) -> Response:
        """What the member calls it from now on."""
        device = self._device(ask)
        store = PrivateStore(self._names.path)
        name = ask.text("name", chars_max=10 * called.CHARS_MAX, is_needed=False)
        if called.call(store, device, name, at_s=ask.now_s):
            store.save()
        return RedirectResponse(f"/devices#d-{device.hex()}", 303)

    def add(self, ask: Ask) -> Response:
        """How a device is added."""
        return self._looks.answer(ask, "devices/add.html", lambda _words: {})

    def read_label(self, ask: Ask) -> Response:
        """A label was typed."""
        device, code = _label(ask.text("label", chars_max=device_label.TEXT_MAX))
        return RedirectResponse(f"/add/{device_label.content(device, code)}", 303)

    def scanned(self, ask: Ask) -> Response:
        """A label was scanned: its address is in capitals."""
        device, code = _label(ask.part("label"))
        return RedirectResponse(f"/add/{device_label.content(device, code)}", 303)

    def added(self, ask: Ask) -> Response:
        """How far a device is, step by step; looks again by itself until it is there."""
        device, code = _label(ask.part("label"))
        own = self._own(ask)
        with self._books.now() as book:
            found = state.added(*(self._directory, device, code, ask.visitor.subject), book.state.admissions, own)
        if not found.is_code:
            raise _unknown_label()
        if found.label is not None and found.claim is None and found.label.expires_s < ask.now_s:
            raise Sorry(_("This label is too old."), _("Ask the association to renew it; then scan it again."))
        is_done = found.row is not None and found.row.latest_s > 0

        def values(spoken: Words) -> dict[str, Any]:
            return {
                "steps": words.steps(found, spoken),
                "is_done": is_done,
                "account": ask.visitor.subject.hex(),
                "code": code,
                "network": f"Commonwatt-{device.hex()[:4].upper()}",
            }

        return self._looks.answer(ask, "devices/steps.html", values)

    def _own(self, ask: Ask) -> list[Own]:
        accounts = self._accounts(ask)
        return state.of(self._directory, accounts, self._names.now(), database_url=self._database_url)

    def _accounts(self, ask: Ask) -> list[DeviceAccount]:
        return [row for row in self._homes.commune().devices if row.account == ask.visitor.subject]

    def _device(self, ask: Ask) -> bytes:
        """The device of the address; 404 for one that is not theirs."""
        found = next((row for row in self._accounts(ask) if row.device.hex() == ask.part("device")), None)
        if found is None:
            raise HTTPException(404)
        return found.device

    def _row(self, own: Own, ask: Ask, spoken: Words) -> dict[str, Any]:
        return {
            "own": own,
            "title": words.title(own),
            "id": own.row.device.hex(),
            "site": self._names.now().name_of(own.account.site),
            "measures": words.measures(own.account.role),
            "signs": words.signs(own.account.grade),
            "health": list(words.health(own, ask.now_s, spoken)),
            "held": [words.held(span, spoken) for span in own.held],
            "waiting": len(own.waiting),
        }


def _label(text: str) -> tuple[bytes, str]:
    try:
        return device_label.read(text)
    except UserError as error:
        raise Sorry(
            _("This is not what a label of ours says."),
            _("Scan it again, or type it as it stands there: CW1, the number, the code, with colons between."),
        ) from error


def _unknown_label() -> Sorry:
    """The same for a device that nobody knows and for a code that is wrong: nobody learns which."""
    return Sorry(
        _("The commune does not know this label."),
        _("See whether each letter is right; if it is, show the label to the association."),
    )
