"""Asks for statistics of a commune's directory: reads the log, the database and the private store, and remembers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from aggregator import sql
from aggregator.commune.directory import CommuneDirectory
from aggregator.commune.places import Places
from aggregator.privacy import cells, energies, statistics
from aggregator.privacy.cells import Consent, Day
from aggregator.privacy.memory import remembering
from aggregator.privacy.statistics import Row
from aggregator.private.store import PrivateStore
from commonwatt.errors import UserError
from commonwatt.i18n import _
from ledger.app import LOG
from ledger.book.replay import replay_slots
from ledger.log.published import PublishedLog


def ask(directory: Path, cell: str, days: Sequence[Day], step: str, *, database_url: str = "") -> list[Row]:
    """Answer what `cell` ("commune", "quarter:Old Town") made and used on these days, in these steps; what is told is
    remembered durably before this returns. The aggregator may be running. UserError for what cannot be asked."""
    place = CommuneDirectory(directory)
    store = PrivateStore(place.private_db)
    found = cells.find(cell, Places.of(store), store)
    devices = list(replay_slots(PublishedLog(directory / LOG).slots()).admissions.devices())
    members = {device.site: device.account for device in devices}
    consents: dict[bytes, Consent] = statistics.consents_by_site(
        members, lambda member: cells.consent_of(store, member, "statistics")
    )
    with reading(directory, database_url) as connection, remembering(place.private_db) as memory:
        counted = []
        for day in days:
            is_settled = energies.is_settled(connection, day)
            of = energies.read(connection, devices, day) if is_settled else energies.DayOfSites(day, {}, ())
            counted.append(statistics.count_sites(found, of, consents, memory, is_settled=is_settled))
        return list(statistics.rows(found, counted, step, memory))


@contextmanager
def reading(directory: Path, database_url: str = "") -> Iterator[sa.Connection]:
    """A connection to the aggregator's database that looks only; UserError if there is none."""
    if not database_url and not (directory / sql.FILE).exists():
        raise UserError(
            _("nothing was measured here yet"), where=directory / sql.FILE, to_do=_("name a commune's directory")
        )
    engine = sql.read_only(database_url or sql.url_of(directory))
    try:
        with engine.connect() as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        raise UserError(
            _("the settled intervals cannot be read: {error}").format(error=getattr(error, "orig", error)),
            where=directory,
            to_do=_("let this version's aggregator run once"),
        ) from error
    finally:
        engine.dispose()
