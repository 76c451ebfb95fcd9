"""Puts another policy into the ledger of a running commune, signed by those whom the constitution asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aggregator.commune import enacted
from aggregator.commune.directory import CommuneDirectory
from aggregator.policy import diff
from aggregator.policy.rules import Policy
from aggregator.policy.schedule import Enacted, Schedule
from commonwatt import files
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey, new_id
from ledger import door
from ledger.app import LOG
from ledger.book import body, entry
from ledger.door import Door
from ledger.log.published import PublishedLog
from ledger.sequencer import Refused


@dataclass(frozen=True, slots=True)
class Enactment:
    """Where the policy stands in the log, and from when it counts (civil seconds)."""

    place: int
    from_s: int


def enact(directory: Path, policy: Policy, keys: Sequence[SigningKey], *, time_s: int) -> Enactment:
    """Sign with the first key, approve with the others, publish, and write policy.toml.

    UserError if `policy diff` would call it a problem or the ledger refuses it; then nothing is changed. Repeated
    after a crash it finishes what was begun.
    """
    policy_toml = CommuneDirectory(directory).policy_toml
    log = PublishedLog(directory / LOG)
    with door.opened(directory) as ledger:
        before = _policies(log)
        if before[-1].policy.sha256 != policy.sha256 or policy_toml.read_bytes() == policy.text.encode():
            _submit(ledger, before[-1].policy, policy, keys, time_s)
        after = _policies(log)
        write_down(directory, policy.text)
    return Enactment(after[-1].place, Schedule.of(after, lambda _place: 0).rows[-1].from_s)


def write_down(directory: Path, text: str) -> None:
    """Have policy.toml say what the ledger says."""
    files.replace(CommuneDirectory(directory).policy_toml, text.encode())


def _policies(log: PublishedLog) -> tuple[Enacted, ...]:
    entries = [(place, data) for place, data, signed in enacted.entries_from(log, 0) if _is_policy(signed)]
    return enacted.known_of(0, entries).policies


def _is_policy(signed: entry.SignedEntry) -> bool:
    return isinstance(signed.entry.body, body.Policy)


def _submit(ledger: Door, before: Policy, policy: Policy, keys: Sequence[SigningKey], time_s: int) -> None:
    problem = diff.problem(before, policy)
    if problem is not None:
        raise UserError(problem, to_do=_("compare both with commonwatt policy diff"))
    genesis = ledger.state.genesis_sha256
    rules = entry.Entry(new_id(), time_s, body.Policy(policy.sha256, policy.rules.version, policy.text))
    approved = rules.with_approvals(*(rules.approve(key, genesis) for key in keys[1:]))
    (answer,) = ledger.submit([approved.sign(keys[0], genesis)])
    if isinstance(answer, Refused):
        raise UserError(
            _("the ledger refuses the policy: {why}").format(why=answer.refusal.label),
            to_do=_("sign with the keys that the constitution asks for"),
        )
