"""Takes the look that telemetry is shown: what only the loop may read, as values, in microseconds."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aggregator.books import Books
from aggregator.intake.pipeline import Intake
from aggregator.telemetry.gateways import GatewayStates
from aggregator.telemetry.influx import InfluxSettings
from aggregator.telemetry.money import Money, Purse
from aggregator.telemetry.samples import Seen
from commonwatt.clock import Civil, Protocolar
from ledger.book.units import Unit


class Look:
    """For the loop's thread. Money is looked at as often as it is sampled: it walks over all accounts."""

    def __init__(self, settings: InfluxSettings, *, civil: Civil, protocol: Protocolar) -> None:
        self._every_s = settings.sample_s
        self._civil = civil
        self._protocol = protocol
        self._purse = Purse()
        self._money: Mapping[Unit, Money] = {}
        self._next_s = float("-inf")

    def take(
        self, books: Books, intake: Intake, report: Mapping[str, Any], gateways: GatewayStates, directory: Path
    ) -> Seen:
        """Everything as it is now."""
        state, now_s = books.ledger.state, self._protocol.monotonic_s()
        if now_s >= self._next_s:
            self._next_s = now_s + self._every_s
            self._money = self._purse.look(state.book)
        heads = intake.evidence.heads
        return Seen(
            civil_s=int(self._civil.now_s()),
            wall_s=time.time(),
            directory=intake.directory,
            report=report,
            money=self._money,
            band=books.closer.policy.rules.money,
            policies=dict(state.policies),
            stated=books.closer.known.stated,
            gateways=gateways.now(),
            devices=heads.device,
            latest_s=heads.latest_s,
            disk_free_bytes=_free_bytes(directory),
        )


def _free_bytes(directory: Path) -> int | None:
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return None
