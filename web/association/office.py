"""What the rooms of the association are given, and what several of them look up."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from aggregator.commune import devices
from aggregator.commune.devices import DeviceRow
from aggregator.commune.directory import CommuneDirectory
from aggregator.enrolment import confirm
from aggregator.enrolment.confirm import Listed
from aggregator.holds import waiting
from aggregator.holds.waiting import Waiting
from aggregator.policy.rules import Policy
from aggregator.private.store import PrivateStore
from aggregator.reading import NothingMeasuredError
from aggregator.statements.values import Stated
from commonwatt.i18n import _
from ledger.book.admissions import DeviceAccount
from ledger.book.body import Body
from ledger.book.state import State
from web.address import Address
from web.book.books import Books
from web.book.said import Said
from web.drafts import statements
from web.drafts.statements import Carried
from web.facts import Facts
from web.looks import Looks
from web.mail.postman import Postman
from web.names import Names
from web.store.file import WebStore


@dataclass(frozen=True, slots=True)
class Office:
    """`database_url`: the aggregator's database, where it is not what the directory's settings say."""

    directory: Path
    facts: Facts
    books: Books
    said: Said
    known: Names
    store: WebStore
    looks: Looks
    address: Address
    postman: Postman
    database_url: str = ""

    @property
    def place(self) -> CommuneDirectory:
        """Where the commune's files lie."""
        return CommuneDirectory(self.directory)

    def names(self) -> PrivateStore:
        """Who is who, as it is known now; nobody changes it."""
        return self.known.now()

    def enrolling(self) -> PrivateStore:
        """The same, for who writes into it."""
        return PrivateStore(self.known.path)

    def policy(self) -> Policy:
        """The rules in force, as people were told them."""
        return Policy.load(self.place.policy_toml)

    def held(self, state: State) -> list[Waiting]:
        """Spans that wait for a steward; none before anything was measured."""
        try:
            return waiting.of(
                self.directory,
                state,
                lambda place: (review for review in self.said.reviews if review.place >= place),
                database_url=self.database_url,
            )
        except NothingMeasuredError:
            return []

    def meters(self, state: State, names: PrivateStore) -> list[DeviceRow]:
        """Every device with what is known of its readings."""
        return self.meters_of(state.admissions.devices(), names)

    def meters_of(self, some: Iterable[DeviceAccount], names: PrivateStore) -> list[DeviceRow]:
        """Some of them."""
        return devices.of(self.directory, some, names, database_url=self.database_url)

    def claims(self, state: State) -> list[Listed]:
        """What members' devices claimed."""
        return confirm.of(self.directory, state)

    def stated(self, state: State) -> tuple[list[Stated], list[Carried]]:
        """All statements, those in the log first; and of them those that are signed and not there yet."""
        with self.store.transaction() as connection:
            carried = statements.waiting(connection, self.said, state)
        return [*self.said.stated(state), *(row for row, _reason, _about in carried)], carried

    def to_carry(self) -> list[Body]:
        """The entries by which a steward brings what was signed into the log."""
        with self.books.now() as book:
            _stated, carried = self.stated(book.state)
            return statements.entries(book.state, carried)


def standing(status: str) -> str:
    """Of a member or a device, in words."""
    return {"active": _("active"), "suspended": _("suspended"), "revoked": _("closed")}[status]


def role_name(role: str) -> str:
    """Of an office."""
    names = {
        "steward": _("the association"),
        "townhall": _("the town hall"),
        "operator": _("the grid operator"),
        "auditor": _("the auditor"),
    }
    return names.get(role, role)
