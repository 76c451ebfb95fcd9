"""Labels and claims in the private store: who set up what is nobody's business but the commune's."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from aggregator.enrolment.judge import Label, Received
from aggregator.private import schema
from aggregator.private.file import opened
from commonwatt import device_claim
from commonwatt.device_claim import DeviceClaim

CLAIMS_MAX = 5_000
"""Devices whose claim is kept: more than a commune sets up before it admits them, and no flood."""


class EnrolmentStore:
    """An open store, inside `with enrolling(…)`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def expect(self, labels: Iterable[Label]) -> None:
        """Know these labels; a label known before is replaced."""
        for label in labels:
            row = {name: getattr(label, name) for name in Label.__dataclass_fields__}
            self._connection.execute(sa.delete(schema.label).where(schema.label.c.device == label.device))
            self._connection.execute(sa.insert(schema.label), row)

    def labels(self) -> dict[bytes, Label]:
        """All labels, by device."""
        return {row.device: Label(*row) for row in self._connection.execute(sa.select(schema.label))}

    def keep(self, claim: DeviceClaim, gateway: bytes, received_s: int) -> bool:
        """Keep the newest claim of a device; False if there is no room for another device's. The same bytes again
        change nothing: a claim that was rejected stays so."""
        table = schema.device_claim
        known = self._connection.scalar(sa.select(table.c.signed).where(table.c.device == claim.device))
        if known == claim.signed:
            return True
        count = self._connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        if known is None and count >= CLAIMS_MAX:
            return False
        self._connection.execute(sa.delete(table).where(table.c.device == claim.device))
        row: dict[str, Any] = {"device": claim.device, "signed": claim.signed, "gateway": gateway}
        self._connection.execute(sa.insert(table), row | {"received_s": received_s, "rejected_why": None})
        return True

    def claims(self) -> list[Received]:
        """The newest claim of each device, the first received first."""
        table = schema.device_claim
        rows = self._connection.execute(sa.select(table).order_by(table.c.received_s, table.c.device))
        return [
            Received(
                device_claim.read_claim(row.signed, row.device),
                row.gateway,
                row.received_s,
                row.rejected_why is not None,
            )
            for row in rows
        ]

    def reject(self, device: bytes, why: str) -> None:
        """Say no to the claim of a device, these very bytes."""
        table = schema.device_claim
        self._connection.execute(sa.update(table).where(table.c.device == device).values(rejected_why=why))


@contextmanager
def enrolling(private_db: Path) -> Iterator[EnrolmentStore]:
    """The store in one transaction, durable when the block has ended."""
    with opened(private_db) as connection:
        yield EnrolmentStore(connection)
