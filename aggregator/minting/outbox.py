"""Windows become mint-runs: prepared in the transaction that closes the window, handed to the ledger afterwards.

The prepared run is a durable outbox. Its id, nonces and salts are drawn once and stored, and the ledger answers a
run that it knows with its first place, so a crash between any two steps repeats nothing and loses nothing.
"""

import logging
import secrets
from collections.abc import Mapping
from typing import Any, Protocol

import sqlalchemy as sa

from aggregator import schema
from aggregator.earning import closing as earning
from aggregator.evidence import store
from aggregator.minting import valuation
from aggregator.minting.valuation import MintWithLines, Valued
from aggregator.policy.rules import Policy
from aggregator.settling.interval import Meter
from aggregator.sql import Database
from commonwatt.errors import StorageError
from commonwatt.identity import SigningKey, new_id
from ledger.book import mint as mints
from ledger.book.mint import Mint
from ledger.log.checkpoint import Checkpoint
from ledger.sequencer import Placed, Refused

log = logging.getLogger(__name__)


class Minting(Protocol):
    """The part of the ledger's sequencer that mints."""

    def mint(
        self,
        run_id: bytes,
        leaves: list[Mint],
        *,
        policy_sha256: bytes,
        window_start_s: int,
        window_end_s: int,
        time_s: int,
        key: SigningKey,
    ) -> Placed | Refused:
        """Place a run, all or nothing; asked again, answer the first place."""
        ...

    def publish(self) -> Checkpoint:
        """Publish what was placed."""
        ...


def prepare(
    connection: sa.Connection, end_s: int, policy: Policy, meters: Mapping[bytes, Meter], *, time_s: int
) -> None:
    """Put the run of the window that ends at `end_s` into the outbox; nothing if nothing was earned."""
    start_s = end_s - policy.rules.window_s
    items = valuation.mints_of_window(
        earning.revalue(connection, _claims(connection, start_s, end_s), policy.rules, meters, start_s),
        start_s=start_s,
        end_s=end_s,
        share_permille_of=policy.rules.share_permille_of,
        random=secrets.token_bytes,
    )
    if not items:
        return
    run_id = new_id()
    row = {
        "id": run_id,
        "window_start_s": start_s,
        "window_end_s": end_s,
        "policy_sha256": policy.sha256,
        "time_s": time_s,
    }
    connection.execute(sa.insert(schema.run), row)
    leaves = [
        {"run_id": run_id, "position": position, "leaf": item.mint.encode()} for position, item in enumerate(items)
    ]
    connection.execute(sa.insert(schema.run_mint), leaves)
    connection.execute(sa.insert(schema.mint_line), [row for item in items for row in _line_rows(item)])


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
            query = sa.select(schema.run_mint.c.leaf).where(schema.run_mint.c.run_id == run.id)
            leaves = [
                mints.parse(leaf) for leaf in connection.execute(query.order_by(schema.run_mint.c.position)).scalars()
            ]
        answer = self._ledger.mint(
            run.id,
            leaves,
            policy_sha256=run.policy_sha256,
            window_start_s=run.window_start_s,
            window_end_s=run.window_end_s,
            time_s=run.time_s,
            key=self._key,
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


def _claims(connection: sa.Connection, start_s: int, end_s: int) -> list[Valued]:
    """The claims settled while the window's intervals closed."""
    claim = schema.claim.c
    query = sa.select(schema.claim).where(claim.closing_s > start_s, claim.closing_s <= end_s)
    rows = connection.execute(query).all()
    hashes = store.hashes(connection, {row.evidence_id for row in rows})
    return [
        Valued(
            *(row.account, row.source, row.device, row.start_s, row.end_s),
            *(row.revision, row.energy_wh, row.amount_mc, hashes[row.evidence_id]),
        )
        for row in rows
    ]


def _line_rows(item: MintWithLines) -> list[dict[str, Any]]:
    key = {
        "window_start_s": item.mint.window_start_s,
        "account": item.mint.account,
        "source": item.mint.source,
    }
    return [
        {
            **key,
            "position": position,
            "salt": line.salt,
            "device": line.device,
            "start_s": line.start_s,
            "end_s": line.end_s,
            "revision": line.revision,
            "energy_wh": line.energy_wh,
            "amount_mc": line.amount_mc,
            "block_sha256": line.block_sha256,
        }
        for position, line in enumerate(item.lines)
    ]
