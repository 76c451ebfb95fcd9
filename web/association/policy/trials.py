"""Rules that somebody proposes, replayed over what was measured: off the request, one at a time, kept in web.db."""

import json
import logging
import threading
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aggregator.policy import history
from aggregator.policy.replay import Outcome, replay
from aggregator.policy.rules import Policy
from commonwatt.errors import CommonwattError, UserError
from web.association.office import Office
from web.identity.logins import Login
from web.store.schema import policy_trial

log = logging.getLogger(__name__)

LAST_S = 90 * 86_400
"""How far a replay looks back."""
KEPT = 30
"""Trials that are remembered; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the proposed rules would have paid. `changes_mc`: by account, the winners first, without names; `sources`:
    number, now, proposed; the rest: now and proposed, `energy_wh` settled in that time."""

    start_s: int
    end_s: int
    changes_mc: tuple[int, ...]
    sources: tuple[tuple[int, int, int], ...]
    total_mc: tuple[int, int]
    association_mc: tuple[int, int]
    energy_wh: int

    @classmethod
    def of(cls, outcome: Outcome, past: history.History) -> "Replayed":
        """Without names: nobody is to see what a neighbour would win."""
        numbers = sorted(outcome.by_source_before_mc.keys() | outcome.by_source_after_mc.keys())
        both = [(n, outcome.by_source_before_mc.get(n, 0), outcome.by_source_after_mc.get(n, 0)) for n in numbers]
        claims = past.measured[0].claims
        counts = claims.energies_wh[claims.closings_s > past.start_s]
        return cls(
            *(past.start_s, past.end_s, tuple(outcome.change_mc(account) for account in outcome.accounts)),
            sources=tuple(both),
            total_mc=(outcome.total_before_mc, outcome.total_after_mc),
            association_mc=(outcome.association_before_mc, outcome.association_after_mc),
            energy_wh=int(counts.sum()),
        )

    def spell(self) -> str:
        """As web.db keeps it."""
        return json.dumps({name: getattr(self, name) for name in self.__dataclass_fields__})

    @classmethod
    def read(cls, text: str) -> "Replayed":
        """What `spell` wrote."""
        told: dict[str, Any] = json.loads(text)
        return cls(
            *(told["start_s"], told["end_s"], tuple(told["changes_mc"])),
            sources=tuple((n, before, after) for n, before, after in told["sources"]),
            total_mc=(told["total_mc"][0], told["total_mc"][1]),
            association_mc=(told["association_mc"][0], told["association_mc"][1]),
            energy_wh=told["energy_wh"],
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """`step`: of the replay, 0 while it waits for its turn, None when it is done or has failed; `problem`: why it has
    failed."""

    policy: Policy
    tried_s: int
    replayed: Replayed | None
    step: int | None
    problem: str


STEPS = 3
"""Reading what was measured, valuing it by both rules, comparing."""


class Trials:
    """Those of one commune, for many threads."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._lock = threading.Lock()
        self._steps: dict[bytes, int] = {}
        self._problems: dict[bytes, str] = {}
        self._alone = threading.Lock()

    def begin(self, policy: Policy, by: Login, *, now_s: int) -> None:
        """Remember proposed rules."""
        row = {"sha256": policy.sha256, "text": policy.text, "tried_by": by.id, "tried_s": now_s}
        with self._office.store.transaction() as connection:
            connection.execute(sa.delete(policy_trial).where(policy_trial.c.sha256 == policy.sha256))
            connection.execute(sa.insert(policy_trial).values(row))
            newest = sa.select(policy_trial.c.sha256).order_by(policy_trial.c.tried_s.desc()).limit(KEPT)
            connection.execute(sa.delete(policy_trial).where(policy_trial.c.sha256.not_in(newest)))
        with self._lock:
            self._problems.pop(policy.sha256, None)

    def find(self, sha256: bytes) -> Trial | None:
        """A trial as far as it is; replayed if it was not yet, or against other rules than those in force."""
        with self._office.store.transaction() as connection:
            this = sa.select(policy_trial).where(policy_trial.c.sha256 == sha256)
            row = connection.execute(this).one_or_none()
        if row is None:
            return None
        policy = Policy.parse(row.text, where="web.db")
        before = self._office.policy()
        is_done = row.outcome is not None and row.before == before.sha256
        with self._lock:
            problem = self._problems.get(sha256, "")
            if not is_done and not problem and sha256 not in self._steps:
                self._steps[sha256] = 0
                threading.Thread(target=self._replay, args=(before, policy), name="replay", daemon=True).start()
            step = self._steps.get(sha256)
        return Trial(policy, row.tried_s, Replayed.read(row.outcome) if is_done else None, step, problem)

    def _replay(self, before: Policy, after: Policy) -> None:
        try:
            with self._alone:  # a replay takes a core and much memory: one at a time
                self._compare(before, after)
        except CommonwattError as error:
            self._failed(after, error.what if isinstance(error, UserError) else str(error))
        except Exception as error:  # the page says so; nothing else stands still
            log.exception("a replay failed")
            self._failed(after, type(error).__name__)
        finally:
            with self._lock:
                self._steps.pop(after.sha256, None)

    def _compare(self, before: Policy, after: Policy) -> None:
        self._at(after, 1)
        rules = (before.rules, after.rules)
        past = history.read(self._office.directory, LAST_S, rules, database_url=self._office.database_url)
        self._at(after, 2)
        outcome = replay((past.measured[0], before.rules), (past.measured[1], after.rules))
        self._at(after, 3)
        values = {"outcome": Replayed.of(outcome, past).spell(), "before": before.sha256}
        this = policy_trial.c.sha256 == after.sha256
        with self._office.store.transaction() as connection:
            connection.execute(sa.update(policy_trial).where(this).values(values))

    def _at(self, policy: Policy, step: int) -> None:
        with self._lock:
            self._steps[policy.sha256] = step

    def _failed(self, policy: Policy, why: str) -> None:
        with self._lock:
            self._problems[policy.sha256] = why
