"""Holds a tlog policy to what the log says of its witnesses: whoever was revoked there counts no longer. Pure."""

from collections.abc import Iterator

from commonwatt.registry import Status
from ledger.book.body import AdmitWitness
from ledger.book.state import State
from ledger.log.published import COSIGNED
from ledger.log.tree_check import Problem
from ledger.witness.policy import TlogPolicy


def withdrawn(policy: TlogPolicy, state: State) -> Iterator[Problem]:
    """The policy's witnesses that the log has suspended or revoked, or given another key.

    One that the log has never admitted is the policy's own affair.
    """
    known = [(row.admission, row.status) for row in state.admissions.by_id.values()]
    for item in policy.witnesses:
        told = [
            (admission.public_key, status)
            for admission, status in known
            if isinstance(admission, AdmitWitness) and admission.name == item.cosigner.name
        ]
        if told and (item.cosigner.public_key, Status.ACTIVE) not in told:
            status = told[-1][1]
            why = "has another key in the log" if status is Status.ACTIVE else f"is {status.name.lower()} in the log"
            yield Problem(COSIGNED, item.name, f"the policy counts on this witness, who {why}: change the policy")
