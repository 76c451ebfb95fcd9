"""Claims as they are kept: pages of the claims that one closing made (docs/spec/pages.md)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from aggregator import numbers, schema
from aggregator.numbers import Numbers
from aggregator.settling.interval import Claim, Source
from commonwatt import page
from commonwatt.page import ROWS_MAX, Integers


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims, one row each. `device`, `account`: numbers. `amount_mc`: by the source's plain rate. `closing_s`: the
    end of the interval with which it was settled. The fields but the last are the columns of a page."""

    device: Integers
    start_s: Integers
    end_s: Integers
    source: Integers
    revision: Integers
    energy_wh: Integers
    amount_mc: Integers
    account: Integers
    evidence_id: Integers
    closing_s: Integers

    def __len__(self) -> int:
        return len(self.device)

    def where(self, rows: NDArray[np.bool_] | Integers) -> "Claims":
        """Some of the rows."""
        return Claims(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def and_more(self, others: "Claims") -> "Claims":
        """These rows and others after them."""
        names = [field.name for field in fields(self)]
        return Claims(**{name: np.concatenate([getattr(self, name), getattr(others, name)]) for name in names})

    def claims(self, known: Numbers) -> Iterator[Claim]:
        """The rows as the plain functions take them."""
        devices, accounts = known.names(self.device), known.names(self.account)
        columns = [getattr(self, name).tolist() for name in COLUMNS]
        for device, account, (_d, start_s, end_s, source, revision, wh, _mc, _a, evidence_id) in zip(
            devices, accounts, zip(*columns, strict=True), strict=True
        ):
            yield Claim(device, start_s, end_s, Source(source), revision, wh, account, evidence_id)


COLUMNS = tuple(field.name for field in fields(Claims))[:-1]


def of(connection: sa.Connection, claims: Sequence[Claim], amounts_mc: Sequence[int], closing_s: int) -> Claims:
    """Claims in columns; their devices and accounts get numbers."""
    known = numbers.of(connection)

    def column(values: Iterable[int]) -> Integers:
        return np.array(list(values), dtype=np.int64)

    return Claims(
        device=known.of(connection, numbers.octets(claim.device for claim in claims)),
        start_s=column(claim.start_s for claim in claims),
        end_s=column(claim.end_s for claim in claims),
        source=column(int(claim.source) for claim in claims),
        revision=column(claim.revision for claim in claims),
        energy_wh=column(claim.energy_wh for claim in claims),
        amount_mc=column(amounts_mc),
        account=known.of(connection, numbers.octets(claim.account for claim in claims)),
        evidence_id=column(claim.evidence_id for claim in claims),
        closing_s=np.full(len(claims), closing_s),
    )


def add(connection: sa.Connection, claims: Claims) -> None:
    """Keep more claims of the closings that they name."""
    for closing_s in np.unique(claims.closing_s).tolist():
        part = schema.claim_page.c
        query = sa.select(sa.func.count()).where(part.closing_s == closing_s)
        _write(connection, closing_s, claims.where(claims.closing_s == closing_s), connection.scalar(query) or 0)


def read(connection: sa.Connection, after_s: int, until_s: int) -> Claims:
    """The claims of the intervals that closed in `(after_s, until_s]`, in the order of their closings."""
    table = schema.claim_page.c
    query = sa.select(table.closing_s, table.columns).where(table.closing_s > after_s, table.closing_s <= until_s)
    rows = connection.execute(query.order_by(table.closing_s, table.part)).all()
    return joined([(row.closing_s, row.columns) for row in rows])


def joined(pages: Sequence[tuple[int, bytes]]) -> Claims:
    """The claims of pages, each with its closing."""
    decoded = [page.decode(data) for _closing_s, data in pages]
    columns = page.concatenate(decoded, COLUMNS)
    closings_s = np.array([closing_s for closing_s, _data in pages], dtype=np.int64)
    counts = [len(found["device"]) for found in decoded]
    return Claims(**columns, closing_s=np.repeat(closings_s, counts))


def remove(connection: sa.Connection, claims: Claims, is_gone: NDArray[np.bool_]) -> None:
    """Take some of the claims that `read` gave away; closings that lose none stay as they are."""
    table = schema.claim_page.c
    for closing_s in np.unique(claims.closing_s[is_gone]).tolist():
        connection.execute(sa.delete(schema.claim_page).where(table.closing_s == closing_s))
        _write(connection, closing_s, claims.where((claims.closing_s == closing_s) & ~is_gone), 0)


def _write(connection: sa.Connection, closing_s: int, claims: Claims, first_part: int) -> None:
    rows = []
    for part, first in enumerate(range(0, len(claims), ROWS_MAX), first_part):
        columns = {name: getattr(claims, name)[first : first + ROWS_MAX] for name in COLUMNS}
        rows.append({"closing_s": closing_s, "part": part, "columns": page.encode(columns)})
    if rows:
        connection.execute(sa.insert(schema.claim_page), rows)
