"""Members and merchants as a list: who they are, how they stand, what is worth a look."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from aggregator.commune.attributes import MemberFacts
from aggregator.commune.devices import DeviceRow
from aggregator.private.person import Person
from aggregator.private.store import PrivateStore
from commonwatt import settings
from ledger.book.admissions import DeviceAccount
from ledger.book.state import State

TABLES = ("members", "merchants", "associations")
"""Of the private store, whose rows have accounts."""
SILENT_S = 86_400
"""A meter that says nothing for a day is worth a look."""
CONSENT_DAYS = 30
"""How long before a consent ends it is time to ask again."""
PAGE = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One of them. `status`: "active", "suspended", "revoked", empty if the log does not know them; `silent`: meters
    without a reading for a day; `consent_until`: the day on which the first of their consents ends."""

    person: Person
    status: str
    sites: tuple[str, ...]
    meters: int
    silent: int
    consent_until: date | None

    def is_found_by(self, words: str) -> bool:
        """Whether a search for `words` means them: part of a name, of a home's name, or how an id begins."""
        wanted = words.casefold()
        names = (self.person.name, *self.sites)
        return any(wanted in name.casefold() for name in names) or self.person.id.hex().startswith(wanted)


def rows(state: State, names: PrivateStore, meters: Sequence[DeviceRow], *, now_s: int) -> list[Row]:
    """Everybody, by name."""
    latest_s = {row.device: row.latest_s for row in meters if row.status == "active"}
    by_account: dict[bytes, list[DeviceAccount]] = {}
    for device in state.admissions.devices():
        by_account.setdefault(device.account, []).append(device)
    people = sorted(
        (person for table in TABLES for person in names.people(table)), key=lambda row: row.name.casefold()
    )
    return [_row(state, names, person, by_account.get(person.id, ()), latest_s, now_s) for person in people]


def ending(everybody: Iterable[Row], *, now_s: int) -> list[Row]:
    """Those whose consent ends soon, the first first."""
    today = _day(now_s)
    soon = [row for row in everybody if row.consent_until and 0 <= (row.consent_until - today).days <= CONSENT_DAYS]
    return sorted(soon, key=lambda row: (row.consent_until or today, row.person.name))


def consents(names: PrivateStore, member: bytes) -> Mapping[str, date]:
    """The last day of each consent of a member."""
    person = names.attributes(member)
    found = settings.validate(MemberFacts, person, where=names.name_of(member)).consents
    return {str(purpose): day for purpose, day in found.items()}


def kinds(everybody: Iterable[Row]) -> Counter[str]:
    """How many of each table take part now."""
    return Counter(row.person.table for row in everybody if row.status == "active")


def _row(
    state: State,
    names: PrivateStore,
    person: Person,
    devices: Sequence[DeviceAccount],
    latest_s: Mapping[bytes, int],
    now_s: int,
) -> Row:
    found = state.admissions.account(person.id)
    live = [device.device for device in devices if device.device in latest_s]
    until = consents(names, person.id).values() if person.table == "members" else ()
    return Row(
        person,
        status="" if found is None else found[1].name.lower(),
        sites=tuple(sorted({names.name_of(device.site) for device in devices})),
        meters=len(live),
        silent=sum(now_s - latest_s[device] > SILENT_S for device in live),
        consent_until=min((day for day in until if day >= _day(now_s)), default=None),
    )


def _day(time_s: int) -> date:
    return datetime.fromtimestamp(time_s, UTC).date()
