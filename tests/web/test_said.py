"""What the pages know of statements, gathered while the log is followed."""

import pytest

from aggregator.statements import values
from ledger import testing
from ledger.book.kinds import Subject
from ledger.book.replay import replay
from tests.aggregator.test_signers import COUNTS, WAITS, entries
from web.book.said import Said

FIRST = (
    testing.GENESIS,
    testing.member("association", Subject.ASSOCIATION),
    *(testing.member(name) for name in ("ana", "ben")),
    testing.site("ana's", "ana"),
)


@pytest.mark.parametrize(("story", "counts"), [*((s, True) for s in COUNTS), *((s, False) for s in WAITS)])
def test_statements_when_keys_change(story: str, counts: bool) -> None:
    """What was confirmed is not offered for confirmation again when somebody has another key; nothing else counts."""
    log, said = [*FIRST, *entries(story)], Said()
    said(0, log)
    stated = said.stated(replay(log))
    assert len(values.confirmed(stated)) == counts
    assert (values.waiting(stated) == ()) is counts


@pytest.mark.parametrize("story", COUNTS)
def test_statements_when_the_log_grows(story: str) -> None:
    """Looked at after every entry, they are those that are found at the end."""
    log, said = [*FIRST, *entries(story)], Said()
    said(0, log[: len(FIRST)])
    for end in range(len(FIRST), len(log)):
        said.stated(replay(log[:end]))
        said(end, log[end : end + 1])
    at_once = Said()
    at_once(0, log)
    assert said.stated(replay(log)) == at_once.stated(replay(log))
    assert said.stated(replay(log))
