"""What comes into the log while the aggregator runs: carried out, and known to intake and settlement from then on."""

import logging
from pathlib import Path

from aggregator.commune import declared, enacted
from aggregator.commune.places import Places
from aggregator.commune.registry import Directory
from aggregator.intake.pipeline import Intake
from aggregator.settling.closing import Closer
from aggregator.sql import Database
from aggregator.statements.signers import Signers
from ledger.app import LOG
from ledger.inbox import Inbox
from ledger.log.published import PublishedLog
from ledger.sequencer import Sequencer

log = logging.getLogger(__name__)


class Arrivals:
    """Looks into the inbox. New devices and gateways are believed, policies and reviews known, from the next tick."""

    def __init__(self, directory: Path, *, inbox: Inbox, ledger: Sequencer, database: Database) -> None:
        self._directory = directory
        self._inbox = inbox
        self._ledger = ledger
        self._database = database

    def step(self, intake: Intake, closer: Closer) -> None:
        """Carry out what lies in the inbox. Raises StorageError."""
        if not self._inbox.step():
            return
        intake.directory = Directory.of(self._ledger.state, Places.read(self._directory))
        signers = Signers(self._ledger.state)
        known = enacted.follow(self._database, PublishedLog(self._directory / LOG), signers)
        closer.learn(known, declared.read(self._directory))
        log.info("the log has %d entries, %d devices are known", self._ledger.size, len(intake.directory.meters))
