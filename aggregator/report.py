"""The process's state for people (status.json): counts from the database, balances from the ledger."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from aggregator import schema
from aggregator.commune.registry import Directory
from aggregator.settling import settled_pages
from aggregator.settling.settlement import Settled
from aggregator.sql import Database, counters
from commonwatt import status
from commonwatt.clock import Civil, MonotonicClock
from commonwatt.identity import ID_SIZE
from commonwatt.quantities import EXPORT, IMPORT
from ledger.book.body import DeviceRole
from ledger.sequencer import Sequencer

log = logging.getLogger(__name__)

STATUS_EVERY_S = 1.0

DEVICES_SHOWN_MAX = 1000
"""Beyond this nobody reads a list, and energy per device is left out."""

ACCOUNTS_SHOWN_MAX = 10_000
"""Beyond this credits per account are left out too: they are the ledger's to tell (`commonwatt ledger balance`)."""


class StatusFile:
    """Rewrites status.json about once a second. `state`: what was written last; `withheld`: figures that telemetry
    did not tell, by reason."""

    def __init__(self, path: Path, *, database: Database, ledger: Sequencer, clock: Civil) -> None:
        self._path = path
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._protocol = MonotonicClock()
        self._next_s = 0.0
        self.state: dict[str, Any] = {}
        self.withheld: Mapping[str, int] = {}

    def step(self, directory: Directory) -> None:
        """Write if it is time to."""
        now_s = self._protocol.monotonic_s()
        if now_s >= self._next_s:
            self._next_s = now_s + STATUS_EVERY_S
            self.write(directory)

    def write(self, directory: Directory) -> None:
        """Write now."""
        found = report(self._database, self._ledger, directory, civil_s=self._clock.now_s())
        self.state = {**found, "withheld": dict(self.withheld)}
        status.write(self._path, self.state)


def report(database: Database, ledger: Sequencer, directory: Directory, *, civil_s: float) -> dict[str, Any]:
    """The state as JSON holds it; ids in hex, energy in Wh, amounts in milli-credits."""
    with database.transaction() as connection:
        counted = counters(connection)
        closed, last_end_s = connection.execute(
            sa.select(sa.func.count(), sa.func.max(schema.closing.c.end_s)).select_from(schema.closing)
        ).one()
        minted = connection.scalar(sa.select(sa.func.count()).where(schema.run.c.place.is_not(None)))
        held = connection.scalar(sa.select(sa.func.count()).where(schema.held.c.review_place.is_(None)))
        frozen = connection.scalar(sa.select(sa.func.count(schema.conflict.c.device.distinct())))
        settled = settled_pages.first_settled(connection, DEVICES_SHOWN_MAX)
    return {
        "civil_s": civil_s,
        "batches": {"received": counted.get("batches.received", 0), "dropped": _under(counted, "batches.dropped.")},
        "blocks": {
            "received": counted.get("blocks.received", 0),
            "accepted": counted.get("blocks.accepted", 0),
            "duplicate": counted.get("blocks.duplicate", 0),
            "refused": _refused(counted),
        },
        "readings": counted.get("readings.accepted", 0),
        "energy_wh": {row.device.hex(): _energy_wh(row, directory) for row in settled},
        "credits_mc": _credits_mc(ledger),
        "intervals": {"closed": closed, "last_end_s": last_end_s or 0},
        "held": held,
        "frozen_devices": frozen,
        "windows_minted": minted,
        "log_size": ledger.size,
        "checkpoint_size": ledger.checkpoint.size if ledger.checkpoint else 0,
    }


def _credits_mc(ledger: Sequencer) -> dict[str, int]:
    accounts = ledger.state.book.accounts
    return {
        account.hex(): row.balance_mc
        for account, row in (accounts.items() if len(accounts) <= ACCOUNTS_SHOWN_MAX else ())
        if any(account) and len(account) == ID_SIZE  # energy credits: the unit that is minted
    }


def _under(counted: dict[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): value for name, value in counted.items() if name.startswith(prefix)}


def _refused(counted: dict[str, int]) -> dict[str, int]:
    refused = _under(counted, "refused.")
    if conflicts := counted.get("blocks.conflict", 0):
        refused["conflict"] = conflicts
    return refused


def _energy_wh(settled: Settled, directory: Directory) -> int:
    """What the device measured so far: a generator's production, anyone else's import."""
    is_production = directory.meters[settled.device].role is DeviceRole.PRODUCTION
    quantity = (EXPORT if is_production else IMPORT).number
    return settled.registers_wh.get(quantity, 0) - settled.first_wh.get(quantity, 0)
