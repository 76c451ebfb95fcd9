"""The aggregator's database on both engines: turns, the lead, and words for what is wrong."""

import threading
import time

import pytest

from aggregator.sql import Database, count, counters
from commonwatt.errors import UserError


def test_one_leads_and_the_next_when_it_has_ended(postgres_url):
    """The lead belongs to a session: it passes on when that ends, whatever ended it."""
    with Database(postgres_url) as second:
        with Database(postgres_url) as first:
            assert first.may_lead()
            assert first.may_lead()
            assert not second.may_lead()
        ends_s = time.monotonic() + 60  # a server sees the end of a session a moment after it
        while not second.may_lead():
            assert time.monotonic() < ends_s


def test_writers_take_turns_on_postgres(postgres_url):
    """Whoever comes second waits for the first one's commit and then sees all of it."""
    seen: list[dict[str, int]] = []
    with Database(postgres_url) as first, Database(postgres_url) as second:

        def write() -> None:
            with second.transaction() as connection:
                seen.append(counters(connection))
                count(connection, {"blocks.accepted": 1})

        with first.transaction() as connection:
            count(connection, {"blocks.accepted": 41})
            thread = threading.Thread(target=write)
            thread.start()
        thread.join()
        assert seen == [{"blocks.accepted": 41}]
        with first.transaction() as connection:
            assert counters(connection) == {"blocks.accepted": 42}


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:secret@h/d"])
def test_another_engine_is_refused_without_showing_its_password(url):
    """The message says what to write instead."""
    with pytest.raises(UserError, match="postgresql://USER@HOST/DATABASE") as error:
        Database(url)
    assert "secret" not in str(error.value)
