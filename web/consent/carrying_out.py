"""The last step of an erasure, in files: nobody else may have the ledger open. Repeated, it finishes what was begun.

Evidence first, as long as the log still says whose devices they were; then the log's entries; then names, sums and
what the pages keep.
"""

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from aggregator.commune.directory import CommuneDirectory
from aggregator.evidence import deletion
from aggregator.impact.home_days import FILE as HOME_DAYS
from aggregator.impact.home_days import HomeDays
from aggregator.private import erasing
from ledger import erase
from ledger.app import LOG
from ledger.book.replay import replay_slots
from ledger.log.published import PublishedLog
from web.book.index import FILE as INDEX
from web.consent import erasure
from web.consent.erasure import Erasure, Stage
from web.money.tally_file import FILE as TALLY
from web.store import of_person
from web.store.file import WebStore


def carry_out(directory: Path, *, zone: ZoneInfo, database_url: str = "") -> Iterator[tuple[Erasure, int]]:
    """Erase everybody for whom the offices have signed; each with how many entries of the log are empty now.
    UserError names what still needs something of theirs: then their entries are whole."""
    store = WebStore(directory)
    try:
        state = replay_slots(PublishedLog(directory / LOG).slots())
        with store.transaction() as connection:
            wishes = [wish for wish in erasure.wishes(connection, state) if wish.stage is Stage.SIGNED]
        for wish in wishes:
            assert wish.place is not None
            if state.admissions.account(wish.account) is not None:
                deletion.delete_of_member(directory, wish.account.hex(), database_url=database_url)
            entries = erase.carry_out(directory, wish.place)
            for derived in (INDEX, f"{INDEX}-wal", f"{INDEX}-shm", TALLY):
                (directory / derived).unlink(missing_ok=True)
            if (directory / HOME_DAYS).exists():
                HomeDays(directory, zone, database_url=database_url).forget(wish.things, wish.things)
            erasing.erase(CommuneDirectory(directory).private_db, [wish.account, *wish.things])
            with store.transaction() as connection:
                of_person.erase(connection, wish.account)
            yield wish, entries
    finally:
        store.close()
