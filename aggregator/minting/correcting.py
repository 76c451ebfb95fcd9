"""Carries corrections out as a window is minted: reads what was minted of a device, keeps what is owed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.minting import corrections, line_pages
from aggregator.minting.corrections import MEASURED, Standing
from aggregator.settling.claim_pages import COLUMNS, Claims
from aggregator.settling.meters import Meters
from aggregator.statements.corrections import Correction
from commonwatt import page
from commonwatt.page import Octets


@dataclass(frozen=True, slots=True)
class Proven:
    """Claims on their way to a mint. One with the evidence id −n stands by `proofs[n − 1]`, others by their block."""

    claims: Claims
    proofs: Sequence[bytes]

    def and_more(self, claims: Claims, digests: Iterable[bytes]) -> "Proven":
        """These and others that stand by `digests`, one each."""
        ids = -1 - len(self.proofs) - np.arange(len(claims), dtype=np.int64)
        return Proven(self.claims.and_more(_by(claims, ids)), [*self.proofs, *digests])


def carry_out(
    connection: sa.Connection, ready: Proven, known: Sequence[Correction], meters: Meters, closing_s: int
) -> Proven:
    """The claims of a window with what earlier ones still owe and what corrections take back; notes these.

    `known`: every correction of the log as the window's last closing knows it.
    """
    ready = _with_owed(connection, ready)
    done = set(connection.execute(sa.select(schema.correction.c.place)).scalars()) if known else set()
    for correction in known:
        if correction.place not in done:
            ready = _carry_out(connection, ready, correction, meters, closing_s)
    return ready


def keep_owed(connection: sa.Connection, owed: Claims, digests: Octets) -> None:
    """Keep the claims that are not minted yet, in place of those kept before; `digests` (n, 32): of their blocks."""
    connection.execute(sa.delete(schema.owed_page))
    if len(owed):
        columns = {name: getattr(owed, name) for name in (*COLUMNS, "closing_s")}
        encoded = page.encode({**columns, "block_sha256": digests})
        connection.execute(sa.insert(schema.owed_page), {"page": 0, "columns": encoded})


def owed(connection: sa.Connection) -> tuple[Claims, list[bytes]] | None:
    """What was kept, with the hash of each claim's block; None: nothing."""
    data = connection.scalar(sa.select(schema.owed_page.c.columns))
    if data is None:
        return None
    columns = page.decode(data)
    digests = numbers.names_of(columns.pop("block_sha256"))
    return Claims(**columns), list(digests)


def _with_owed(connection: sa.Connection, ready: Proven) -> Proven:
    found = owed(connection)
    return ready if found is None else ready.and_more(*found)


def _carry_out(
    connection: sa.Connection, ready: Proven, correction: Correction, meters: Meters, closing_s: int
) -> Proven:
    device = int(numbers.of(connection).find(numbers.octets([correction.device]))[0])
    standing: list[Standing] = []
    account = numbers.NONE
    if device != numbers.NONE and meters.roles[device]:
        account = int(meters.accounts[device])
        standing = corrections.stands(_lines(connection, ready, correction, device, account))
    back = list(corrections.taken_back(standing, correction.energy_wh))
    _note(connection, correction, standing, back, account, closing_s)
    if not back:
        return ready
    everywhere = np.ones(len(back), dtype=np.int64)
    columns = {name: np.array([getattr(row, name) for row in back], dtype=np.int64) for name in _FIGURES}
    claims = Claims(
        device=device * everywhere,
        account=account * everywhere,
        evidence_id=0 * everywhere,
        closing_s=closing_s * everywhere,
        **columns,
    )
    return ready.and_more(claims, [row.block_sha256 for row in back])


def of_device(claims: Claims, digests: Octets, device: int, span_s: tuple[int, int]) -> Iterator[Standing]:
    """The measured ones among some claims of a device (a number) in spans within a time; `digests` (n, 32): of their
    blocks."""
    is_it = (claims.device == device) & np.isin(claims.source, list(MEASURED))
    is_it &= (claims.start_s >= span_s[0]) & (claims.end_s <= span_s[1])
    rows = zip(*(getattr(claims, name)[is_it].tolist() for name in _FIGURES), strict=True)
    for (start_s, end_s, source, revision, energy_wh, amount_mc), digest in zip(
        rows, numbers.names_of(digests[is_it]), strict=True
    ):
        yield Standing(start_s, end_s, source, revision, energy_wh, amount_mc, digest)


def _lines(
    connection: sa.Connection, ready: Proven, correction: Correction, device: int, account: int
) -> Iterator[Standing]:
    """What was minted of the device in spans within the correction's, and what is about to be."""
    waiting = ready.claims.where((ready.claims.account == account) & (ready.claims.device == device))
    digests = line_pages.digests(connection, waiting.evidence_id, ready.proofs)
    for claims, hashes in (*line_pages.of_account(connection, account, correction.start_s), (waiting, digests)):
        yield from of_device(claims, hashes, device, (correction.start_s, correction.end_s))


_FIGURES = ("start_s", "end_s", "source", "revision", "energy_wh", "amount_mc")


def _note(
    connection: sa.Connection,
    correction: Correction,
    standing: Sequence[Standing],
    back: Sequence[Standing],
    account: int,
    closing_s: int,
) -> None:
    row = {
        "place": correction.place,
        "device": correction.device,
        "start_s": correction.start_s,
        "end_s": correction.end_s,
        "energy_wh": correction.energy_wh,
        "before_wh": sum(line.energy_wh for line in standing),
        "closing_s": closing_s,
        "digest": correction.digest,
    }
    connection.execute(sa.insert(schema.correction), row)
    if not back:
        return
    (holder,) = numbers.of(connection).names(np.array([account]))
    rows = [
        {
            "device": correction.device,
            "start_s": line.start_s,
            "source": line.source,
            "revision": line.revision,
            "end_s": line.end_s,
            "account": holder,
            "energy_wh": line.energy_wh,
            "amount_mc": line.amount_mc,
            "place": correction.place,
        }
        for line in back
    ]
    connection.execute(sa.insert(schema.corrected), rows)


def _by(claims: Claims, evidence_ids: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Claims:
    columns = {name: getattr(claims, name) for name in (*COLUMNS, "closing_s")}
    return Claims(**{**columns, "evidence_id": evidence_ids})
