"""Windows become mint-runs: prepared in the transaction that closes the window, handed to the ledger afterwards.

The prepared run is a durable outbox. Its id, nonces and salts are drawn once and stored, and the ledger answers a
run that it knows with its first place, so a crash between any two steps repeats nothing and loses nothing.
"""

import logging
import secrets
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.earning import closing as earning
from aggregator.earning.earned import Further
from aggregator.evidence import store
from aggregator.minting import line_pages, run_pages, valuation_columns
from aggregator.policy.rules import Policy
from aggregator.settling import claim_pages
from aggregator.settling.meters import Meters
from aggregator.sql import Database
from commonwatt.errors import StorageError
from commonwatt.identity import SigningKey, new_id
from commonwatt.page import Integers, Octets
from ledger.book.fields import HASH_SIZE
from ledger.book.mint_arrays import MintArrays
from ledger.book.rules import RUN_LEAVES_MAX
from ledger.log.checkpoint import Checkpoint
from ledger.sequencer import Placed, Refused

log = logging.getLogger(__name__)


class Minting(Protocol):
    """The part of the ledger's sequencer that mints."""

    def mint_arrays(
        self, run_id: bytes, leaves: MintArrays, *, policy_sha256: bytes, time_s: int, key: SigningKey
    ) -> Placed | Refused:
        """Place a run, all or nothing; asked again, answer the first place."""
        ...

    def publish(self) -> Checkpoint:
        """Publish what was placed."""
        ...


def prepare(
    connection: sa.Connection, end_s: int, policy: Policy, meters: Meters, further: Further | None, *, time_s: int
) -> None:
    """Put the runs of the window that ends at `end_s` into the outbox; nothing if nothing was earned. `further`: what
    was earned beside production and matching."""
    start_s = end_s - policy.rules.window_s
    claims = claim_pages.read(connection, start_s, end_s)
    claims = earning.revalue(connection, claims, policy.rules, meters, start_s)
    proofs: Sequence[bytes] = ()
    if further is not None:
        claims, proofs = claims.and_more(further.claims), further.proofs
    window = valuation_columns.mints_of_window(
        claims,
        lambda ids: _digests(connection, ids, proofs),
        numbers.of(connection),
        start_s=start_s,
        end_s=end_s,
        share_permille_of=policy.rules.share_permille_of,
        random=secrets.token_bytes,
    )
    if window is None:
        return
    line_pages.write(connection, window)
    for first in range(0, len(window.mints), RUN_LEAVES_MAX):
        run_id = new_id()
        row = {
            "id": run_id,
            "window_start_s": start_s,
            "window_end_s": end_s,
            "policy_sha256": policy.sha256,
            "time_s": time_s,
        }
        connection.execute(sa.insert(schema.run), row)
        run_pages.write(connection, run_id, window.mints.slice(first, first + RUN_LEAVES_MAX))


class Minter:
    """Hands prepared runs to the ledger, oldest window first, and notes their places. `key`: the aggregator's."""

    def __init__(self, *, database: Database, ledger: Minting, key: SigningKey) -> None:
        self._database = database
        self._ledger = ledger
        self._key = key

    def step(self) -> int:
        """Mint what waits and publish it; how many runs."""
        with self._database.transaction() as connection:
            waiting = sa.select(schema.run).where(schema.run.c.place.is_(None))
            runs = connection.execute(waiting.order_by(schema.run.c.window_start_s)).all()
        for run in runs:
            self._mint(run)
        if runs:
            self._ledger.publish()
        return len(runs)

    def _mint(self, run: sa.Row[Any]) -> None:
        with self._database.transaction() as connection:
            leaves = run_pages.read(connection, run)
        answer = self._ledger.mint_arrays(
            run.id, leaves, policy_sha256=run.policy_sha256, time_s=run.time_s, key=self._key
        )
        if isinstance(answer, Refused):
            # Going on would leave credits owed but never made; a person has to find out what happened.
            raise StorageError(
                f"the ledger refuses the mint-run of the window from {run.window_start_s}: {answer.refusal.label}",
                where="ledger",
                to_do="put the ledger and the aggregator's database of the same time together again",
            )
        with self._database.transaction() as connection:
            connection.execute(sa.update(schema.run).where(schema.run.c.id == run.id).values(place=answer.place))
        log.info("window from %d: %d mints at %d of the log", run.window_start_s, len(leaves), answer.place)


def _digests(connection: sa.Connection, evidence_ids: Integers, proofs: Sequence[bytes]) -> Octets:
    """SHA-256 of the blocks with these ids (n, 32); of id −n it is `proofs[n − 1]`."""
    wanted, at = np.unique(evidence_ids, return_inverse=True)
    found = store.hashes(connection, wanted[wanted > 0].tolist())
    found |= {-number: proof for number, proof in enumerate(proofs, 1)}
    digests: Octets = numbers.octets((found[evidence_id] for evidence_id in wanted.tolist()), HASH_SIZE)[at]
    return digests
