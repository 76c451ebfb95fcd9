"""Reads what sites measured: by quarter of an hour, and from register to register. The aggregator may be running."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from aggregator import schema
from aggregator.commune.directory import CommuneDirectory
from aggregator.commune.places import Places
from aggregator.impact.balance import Balance, of_site
from aggregator.impact.periods import Period
from aggregator.private.store import PrivateStore
from aggregator.settling import history
from aggregator.settling.settlement import Registers
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.units import INTERVAL_S
from ledger.app import LOG
from ledger.book.admissions import DeviceAccount
from ledger.book.kinds import DeviceRole
from ledger.book.replay import replay_slots
from ledger.log.published import PublishedLog

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Commune:
    """Who is there: meters from the log, names and facts from the private store."""

    directory: Path
    devices: Sequence[DeviceAccount]
    names: PrivateStore
    places: Places

    @classmethod
    def read(cls, directory: Path) -> "Commune":
        """UserError if it is no commune's directory."""
        if not (directory / LOG).exists():
            raise UserError(_("nothing was founded here yet"), where=directory, to_do=_("name a commune's directory"))
        devices = list(replay_slots(PublishedLog(directory / LOG).slots()).admissions.devices())
        names = PrivateStore(CommuneDirectory(directory).private_db)
        return cls(directory, devices, names, Places.of(names))

    def site(self, name: str) -> bytes:
        """The id of a site; UserError if nobody is called so."""
        person = self.names.find("sites", name)
        if person is None:
            raise UserError(
                _("no site is called {name!r}").format(name=name), to_do=_("write its name as in the roster")
            )
        return person.id

    def meters(self, site: bytes, role: DeviceRole) -> list[bytes]:
        """Its meters of a role."""
        return [row.device for row in self.devices if (row.site, row.role) == (site, role)]

    def members(self) -> Mapping[bytes, bytes]:
        """Who holds each site."""
        return {row.site: row.account for row in self.devices}


def closed_until_s(connection: sa.Connection) -> int:
    """The end of the last closed interval; UserError if none has closed."""
    end_s = connection.scalar(sa.select(sa.func.max(schema.closing.c.end_s)))
    if end_s is None:
        raise UserError(_("no interval has closed yet"), to_do=_("wait until one has"))
    return int(end_s)


def balance(connection: sa.Connection, commune: Commune, site: bytes, period: Period) -> Balance:
    """A site by quarter of an hour; nothing is known of one without a main meter."""
    mains, generators = (commune.meters(site, role) for role in (DeviceRole.MAIN, DeviceRole.PRODUCTION))
    starts_s = period.starts_s
    span = (period.start_s, period.end_s)
    if not mains:
        nothing = np.zeros(len(starts_s), np.int64)
        return Balance(starts_s, nothing, nothing, nothing, nothing.astype(np.bool_))
    drawn, fed = (history.growth(connection, mains, q.number, *span) for q in (IMPORT, EXPORT))
    made = history.growth(connection, generators, EXPORT.number, *span) if generators else None
    return of_site(starts_s, (drawn, fed), made, history.UNKNOWN)


def consumption_wh(connection: sa.Connection, commune: Commune, site: bytes, start_s: int, end_s: int) -> int | None:
    """What a site used, from its registers at both ends, so that no gap between them matters; None if a register is
    not known within a day before either end, or ran backwards."""
    mains, generators = (commune.meters(site, role) for role in (DeviceRole.MAIN, DeviceRole.PRODUCTION))
    grown = [_grown(connection, meter, start_s, end_s) for meter in (*mains, *generators)]
    known = [growth for growth in grown if growth is not None]
    if not mains or len(known) < len(grown):
        return None
    drawn_wh = sum(drawn for drawn, _fed in known[: len(mains)])
    fed_wh = sum(fed for _drawn, fed in known[: len(mains)])
    made_wh = sum(fed for _drawn, fed in known[len(mains) :]) if generators else fed_wh
    return drawn_wh + made_wh - fed_wh


def _grown(connection: sa.Connection, device: bytes, start_s: int, end_s: int) -> tuple[int, int] | None:
    """Import and export of a meter between two times."""
    first, last = (_registers(connection, device, at_s) for at_s in (start_s, end_s))
    if first is None or last is None:
        return None
    drawn_wh, fed_wh = (last.get(q.number, 0) - first.get(q.number, 0) for q in (IMPORT, EXPORT))
    return (drawn_wh, fed_wh) if min(drawn_wh, fed_wh) >= 0 else None


def _registers(connection: sa.Connection, device: bytes, at_s: int) -> Registers | None:
    """The last ones known at a time."""
    at_s -= at_s % INTERVAL_S
    known = history.readings(connection, device, at_s - DAY_S, at_s)
    return known[max(known)] if known else None
