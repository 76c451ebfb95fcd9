"""Entries that commands lay into the inbox of whoever has the ledger: answered, or taken back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from commonwatt.errors import UserError
from commonwatt.identity import save_key
from commonwatt.registry import Status
from commonwatt.testing import ManualClock
from ledger import door, inbox, testing
from ledger.book.kinds import Subject
from ledger.book.refusals import Refusal
from ledger.door import InboxDoor, LedgerDoor
from ledger.inbox import FOLDER, Inbox
from ledger.sequencer import Placed, Refused, Sequencer


class Turns(ManualClock):
    """Whoever waits on this clock lets the other side have its turn."""

    def __init__(self, directory: Path, ledger: Sequencer) -> None:
        super().__init__()
        self._box = Inbox(directory, ledger=ledger, clock=self)

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        self._box.step()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Sequencer]:
    """An open village."""
    with testing.village(tmp_path, "ana", "ben") as ledger:
        ledger.publish()
        yield ledger


def suspend(name: str) -> bytes:
    return testing.status(Subject.MEMBER, name, Status.SUSPENDED)


def names(directory: Path) -> list[str]:
    return sorted(path.suffix for path in (directory / FOLDER).iterdir())


def test_entries_when_the_ledger_is_in_use(tmp_path: Path, ledger: Sequencer) -> None:
    """Each is answered as the ledger answers, in order; nothing stays in the inbox, and it is published."""
    through = InboxDoor(tmp_path, clock=Turns(tmp_path, ledger))
    size = ledger.size
    entries = [suspend("ana"), b"rubbish", suspend("nobody")]
    assert through.submit(entries) == [
        Placed(size),
        Refused(Refusal.MALFORMED),
        Refused(Refusal.UNKNOWN_SUBJECT),
    ]
    assert through.state.size == size + 1
    assert names(tmp_path) == []
    assert through.submit([entries[0]]) == [Placed(size)]
    assert through.submit([]) == []


def test_entries_when_nobody_looks(tmp_path: Path, ledger: Sequencer) -> None:
    """After half a minute of the clock they are taken back, so that the command can be repeated."""
    clock = ManualClock()
    size = ledger.size
    with pytest.raises(UserError, match="taken back"):
        InboxDoor(tmp_path, clock=clock).submit([suspend("ana"), suspend("ben")])
    assert inbox.WAIT_S <= clock.monotonic_s() < inbox.WAIT_S + 1
    assert names(tmp_path) == []
    assert not Inbox(tmp_path, ledger=ledger, clock=clock).step()
    assert ledger.size == size


def test_entries_when_they_were_taken_and_not_answered(tmp_path: Path, ledger: Sequencer) -> None:
    """Whoever has the ledger ended in the middle: the command says so, the next one answers with the one place."""

    class Dying(ManualClock):
        def wait(self, seconds: float) -> None:
            super().wait(seconds)
            for path in (tmp_path / FOLDER).glob("*.entry"):
                assert isinstance(ledger.submit([path.read_bytes()])[0], Placed)
                path.rename(path.with_suffix(".taken"))

    size = ledger.size
    with pytest.raises(UserError, match="not answered yet"):
        InboxDoor(tmp_path, clock=Dying()).submit([suspend("ana")])
    assert names(tmp_path) == [".taken"]
    assert Inbox(tmp_path, ledger=ledger, clock=ManualClock()).step()
    assert names(tmp_path) == [".answer"]
    assert ledger.size == size + 1


def test_a_full_inbox(tmp_path: Path, ledger: Sequencer) -> None:
    """So many are carried out in one turn, and one more in the next, a second later."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    for number in range(inbox.ENTRIES_MAX + 1):
        (folder / f"{number:06d}.entry").write_bytes(b"rubbish")
    clock = ManualClock()
    box = Inbox(tmp_path, ledger=ledger, clock=clock)
    box.step()
    box.step()
    assert names(tmp_path).count(".answer") == inbox.ENTRIES_MAX
    clock.advance(inbox.LOOK_EVERY_S)
    box.step()
    assert names(tmp_path).count(".answer") == inbox.ENTRIES_MAX + 1


def test_the_door_when_nobody_has_the_ledger_and_when_somebody_has(tmp_path: Path) -> None:
    """It is opened, and what was entered is published at once; the next one finds it in use."""
    testing.village(tmp_path, "ana").close()
    save_key(tmp_path / "keys" / "log.key", testing.LOG_KEY)
    facts = {
        "name": "testville",
        "origin": testing.ORIGIN,
        "genesis_sha256": testing.GENESIS_SHA256.hex(),
        "log_vkey": (tmp_path / "log.vkey").read_text().strip(),
        "association": testing.ident("association").hex(),
    }
    lines = [f'{name} = "{value}"' for name, value in facts.items()]
    (tmp_path / "commune.toml").write_text("\n".join([*lines, "trial = true"]))
    with door.opened(tmp_path) as ledger:
        assert isinstance(ledger, LedgerDoor)
        (answer,) = ledger.submit([suspend("ana")])
        assert isinstance(answer, Placed)
        with door.opened(tmp_path) as second:
            assert isinstance(second, InboxDoor)
            assert second.state.size == answer.place + 1
