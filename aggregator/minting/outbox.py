"""Windows become mint-runs: prepared in the transaction that closes the window, handed to the ledger afterwards.

The prepared run is a durable outbox. Its id, nonces and salts are drawn once and stored, and the ledger answers a
run that it knows with its first place, so a crash between any two steps repeats nothing and loses nothing.
"""

import logging
import secrets
from collections.abc import Sequence
from typing import Any, Protocol

import sqlalchemy as sa

from aggregator import numbers, schema
from aggregator.earning import closing as earning
from aggregator.earning.earned import Further
from aggregator.minting import correcting, corrections, line_pages, run_pages, valuation_columns
from aggregator.minting.correcting import Proven
from aggregator.policy.rules import Policy
from aggregator.settling import claim_pages
from aggregator.settling.meters import Meters
from aggregator.sql import Database
from aggregator.statements.corrections import Correction
from commonwatt.errors import StorageError
from commonwatt.identity import SigningKey, new_id
from ledger.book.columns import Truths
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

    def are_held(self, leaves: MintArrays) -> Truths:
        """Which leaves a hold stops: a run that has one is refused as a whole."""
        ...

    def are_barred(self, leaves: MintArrays) -> Truths:
        """Which of these are stopped for good."""
        ...

    def are_stranded(self, leaves: MintArrays) -> Truths:
        """Which of these would be refused since a hold over a part of their time was released too late."""
        ...

    def publish(self) -> Checkpoint:
        """Publish what was placed."""
        ...


def prepare(
    connection: sa.Connection,
    end_s: int,
    policy: Policy,
    meters: Meters,
    further: Further | None,
    known: Sequence[Correction] = (),
    *,
    time_s: int,
) -> None:
    """Put the runs of the window that ends at `end_s` into the outbox; nothing if nothing was earned. `further`: what
    was earned beside production and matching; `known`: corrections of what was settled."""
    start_s = end_s - policy.rules.window_s
    claims = claim_pages.read(connection, start_s, end_s)
    claims = earning.revalue(connection, claims, policy.rules, meters, start_s)
    ready = Proven(claims, ())
    if further is not None:
        ready = Proven(claims.and_more(further.claims), further.proofs)
    ready = correcting.carry_out(connection, ready, known, meters, end_s)
    due, owed = corrections.apart(ready.claims)
    correcting.keep_owed(connection, owed, line_pages.digests(connection, owed.evidence_id, ready.proofs))
    window = valuation_columns.mints_of_window(
        due,
        lambda ids: line_pages.digests(connection, ids, ready.proofs),
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
    """Hands prepared runs to the ledger, oldest window first, and notes their places. `key`: the aggregator's.

    `held`: the runs of claims that a hold stops; each is tried again with every step, and nothing else waits for it.
    Claims that are stranded wait likewise, but are not among them: whoever watches the outbox is to see those.
    """

    def __init__(self, *, database: Database, ledger: Minting, key: SigningKey) -> None:
        self._database = database
        self._ledger = ledger
        self._key = key
        self.held: frozenset[bytes] = frozenset()

    def step(self) -> int:
        """Mint what waits and publish it; how many runs."""
        with self._database.transaction() as connection:
            waiting = sa.select(schema.run).where(schema.run.c.place.is_(None))
            runs = connection.execute(waiting.order_by(schema.run.c.window_start_s)).all()
        self.held = frozenset()
        minted = [run for run in runs if self._mint(run)]
        if minted:
            self._ledger.publish()
        return len(minted)

    def _mint(self, run: sa.Row[Any]) -> bool:
        """Whether there was something of it to mint."""
        with self._database.transaction() as connection:
            leaves = self._part_held(connection, run, run_pages.read(connection, run))
        if len(leaves) == 0:
            return False
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
        return True

    def _part_held(self, connection: sa.Connection, run: sa.Row[Any], leaves: MintArrays) -> MintArrays:
        """The leaves that may be minted now. What is held waits as a run of its own, what is refused for good ends.

        A run that the ledger has already is whole: what was minted is not held any more.
        """
        is_stranded = self._ledger.are_stranded(leaves)
        is_held = self._ledger.are_held(leaves) | is_stranded
        if not is_held.any():
            return leaves
        is_waiting = is_held & ~self._ledger.are_barred(leaves)
        free = leaves.kept(~is_held)
        for_people = not is_stranded.any()
        if is_waiting.all():
            self.held |= {run.id} if for_people else set()
            return free
        run_pages.delete(connection, run.id)
        if len(free):
            run_pages.write(connection, run.id, free)
        else:
            connection.execute(sa.delete(schema.run).where(schema.run.c.id == run.id))
        if is_waiting.any():
            held_id = new_id()
            connection.execute(sa.insert(schema.run), {**run._mapping, "id": held_id})
            run_pages.write(connection, held_id, leaves.kept(is_waiting))
            self.held |= {held_id} if for_people else set()
        counts = (int(is_waiting.sum()), int(is_held.sum() - is_waiting.sum()))
        if is_stranded.any():
            log.error("window from %d: a hold over a part of it was released after later mints", run.window_start_s)
        log.warning("window from %d: %d claims are held, %d are refused for good", run.window_start_s, *counts)
        return free
