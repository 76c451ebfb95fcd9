"""Asks for statistics of a commune's directory: reads the log, the database and the private store, and remembers."""

from collections.abc import Sequence
from pathlib import Path

from aggregator.commune.directory import CommuneDirectory
from aggregator.commune.places import Places
from aggregator.privacy import cells, energies, statistics
from aggregator.privacy.cells import Consent, Day
from aggregator.privacy.memory import remembering
from aggregator.privacy.statistics import Row
from aggregator.private.store import PrivateStore
from aggregator.reading import reading
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
