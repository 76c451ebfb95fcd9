"""What the aggregator may say alone: that the association stands as it did, for somebody else's words."""

from dataclasses import replace
from pathlib import Path

import pytest

from commonwatt.registry import Status
from ledger import testing
from ledger.audit.verify import Mode, verify
from ledger.book.body import SetStatus
from ledger.book.kinds import Subject
from ledger.book.refusals import Refusal
from ledger.log.note import Signer
from ledger.log.published import PublishedLog
from ledger.sequencer import Placed, Refused

ASSOCIATION = testing.ident("association")
REMARK = SetStatus(Subject.ASSOCIATION, ASSOCIATION, Status.ACTIVE, "statement 0oRDoQEn")


def answers(directory: Path, *entries: bytes) -> list[Placed | Refused]:
    """What a village's ledger says to these; the log is published."""
    with testing.village(directory, "ana") as ledger:
        found = ledger.submit(entries)
        ledger.publish()
    return found


def refusals(found: list[Placed | Refused]) -> list[Refusal | None]:
    return [row.refusal if isinstance(row, Refused) else None for row in found]


@pytest.mark.parametrize(
    "entry",
    [
        testing.signed(replace(REMARK, status=Status.SUSPENDED), "aggregator"),
        testing.signed(SetStatus(Subject.MEMBER, testing.ident("ana"), Status.ACTIVE, "x"), "aggregator"),
        testing.signed(REMARK, "aggregator", "townhall"),
        testing.signed(REMARK, "operator"),
        testing.signed(REMARK, "auditor"),
        testing.signed(REMARK, "ana"),
        testing.signed(REMARK, "aggregator", genesis=bytes(32)),
    ],
    ids=["suspends", "about a member", "with an approval", "operator", "auditor", "a wallet", "another commune"],
)
def test_remark_when_it_is_none(tmp_path: Path, entry: bytes) -> None:
    """Nobody's standing is the aggregator's to change, and nobody else says things this way."""
    assert refusals(answers(tmp_path, entry)) == [Refusal.UNKNOWN_SIGNER]


def test_remark_when_the_association_is_suspended(tmp_path: Path) -> None:
    """It would make it active again, which is the steward's to do."""
    suspended = testing.status(Subject.ASSOCIATION, "association", Status.SUSPENDED)
    again = testing.status(Subject.ASSOCIATION, "association", Status.ACTIVE)
    remark = testing.signed(REMARK, "aggregator")
    later = testing.signed(replace(REMARK, reason="later"), "aggregator")
    found = refusals(answers(tmp_path, suspended, remark, again, later))
    assert found == [None, Refusal.QUORUM_NOT_REACHED, None, None]


def test_remark_when_a_stranger_verifies_the_log(tmp_path: Path) -> None:
    """The aggregator's and the steward's both pass, publicly and in full; nothing but the log has moved."""
    (said, by_steward) = answers(
        tmp_path, testing.signed(REMARK, "aggregator"), testing.signed(replace(REMARK, reason="x"), "steward")
    )
    assert isinstance(said, Placed)
    assert isinstance(by_steward, Placed)
    log, vkey = PublishedLog(tmp_path / "log"), Signer(testing.ORIGIN, testing.LOG_KEY).verifier
    for mode in Mode:
        report = verify(log, vkey, mode=mode)
        assert report.problems == []
