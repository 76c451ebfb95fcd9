"""Cells that statistics are asked of, days as people count them, and who may be counted.

A cell is the commune, or a quarter, building, feeder or transformer of it, spelled "commune" or "quarter:Old Town".
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aggregator.commune.attributes import MemberFacts, Purpose
from aggregator.commune.places import Located, Places
from aggregator.private.store import PrivateStore
from commonwatt import settings
from commonwatt.errors import UserError
from commonwatt.i18n import _

COMMUNE = "commune"
TABLES = {"quarter": "quarters", "building": "buildings", "feeder": "feeders", "transformer": "transformers"}
DAYS_MAX = 3700
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Day:
    """A day as people count it, in UTC seconds: 23, 24 or 25 hours."""

    date: date
    start_s: int
    end_s: int


def days(first: date, last: date, zone: str) -> list[Day]:
    """The days from `first` to `last`, both included, in a zone ("Europe/Paris"). UserError if there are none."""
    try:
        info = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UserError(_("{zone!r} is no time zone").format(zone=zone), to_do="Europe/Paris, UTC") from error
    if not first <= last <= first + timedelta(days=DAYS_MAX):
        raise UserError(
            _("from {first} to {last} is no span of days").format(first=first, last=last),
            to_do=_("the last day is not before the first, and ten years are the most"),
        )
    count = (last - first).days + 1
    dates = [first + timedelta(days=number) for number in range(count + 1)]
    starts_s = [int(datetime.combine(day, time(), info).timestamp()) for day in dates]
    return [Day(*row) for row in zip(dates, starts_s, starts_s[1:], strict=False)]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. `sites`: everybody's in it; `id`: how the memory knows it, whatever it is called later."""

    name: str
    id: str
    sites: frozenset[bytes]


def find(name: str, places: Places, store: PrivateStore) -> Cell:
    """The cell that is spelled so; UserError if there is none."""
    if name == COMMUNE:
        return Cell(name, COMMUNE, frozenset(places.sites))
    kind, _colon, place = name.partition(":")
    row = store.find(TABLES[kind], place) if kind in TABLES else None
    if row is None:
        raise UserError(
            _("there is no cell {name!r}").format(name=name),
            to_do=_("commune, or quarter:, building:, feeder: or transformer: and a name of the roster"),
        )
    sites = frozenset(site for site, located in places.sites.items() if _lies_in(located, kind) == row.id)
    return Cell(name, f"{kind}:{row.id.hex()}", sites)


@dataclass(frozen=True, slots=True)
class Consent:
    """From which day to which a member agrees to a purpose, both included."""

    first: date
    last: date


def consent_of(store: PrivateStore, member: bytes, purpose: Purpose) -> Consent | None:
    """A member's consent as it stands now: since the day on which it was first recorded without a break since."""
    found: Consent | None = None
    for record in store.records(member):
        facts = settings.validate(MemberFacts, record.read(), where=store.name_of(member))
        last = facts.consents.get(purpose)
        day = datetime.fromtimestamp(record.at_s, ZoneInfo("UTC")).date()
        if last is None:
            found = None
        elif found is None or found.last < day:
            found = Consent(day, last)
        else:
            found = Consent(found.first, last)
    return found


def _lies_in(site: Located, kind: str) -> bytes | None:
    place: bytes | None = getattr(site, kind)
    return place
