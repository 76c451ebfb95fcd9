"""Every call to the operating system or SQLite fails once in what a ledger does beside publishing (faults.py).

Each time: a sentence that says where, or the answer all the same with a warning; nothing half done; and the action
repeated does what it would have done at first.
"""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from commonwatt.errors import CommonwattError, FormatError
from commonwatt.testing import ManualClock
from ledger import app, backup, inbox, saved, testing
from ledger.audit.mirror import mirror
from ledger.audit.verify import Mode, verify
from ledger.inbox import Inbox
from ledger.log import tiles
from ledger.log.note import Signer
from ledger.log.published import COSIGNED, PublishedLog
from ledger.saved import SavedState
from ledger.sequencer import Placed, Sequencer
from ledger.witness import policy as tlog_policy
from ledger.witness import progress
from ledger.witness.client import WitnessClient
from ledger.witness.cosignature import CosigningKey
from ledger.witness.decide import Remembered
from ledger.witness.http import Witness, serve
from ledger.witness.store import WitnessStore
from tests.ledger.faults import Faults
from tests.ledger.test_backup import describe

SIGNER = Signer(testing.ORIGIN, testing.LOG_KEY)


def reopen(directory: Path) -> Sequencer:
    return app.open_parts(directory, SIGNER)


def files(directory: Path) -> dict[str, bytes]:
    """Every file but what SQLite and half-prepared files leave."""
    paths = (path for path in directory.rglob("*") if path.is_file())
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in paths
        if ".db" not in path.name and ".new" not in path.name
    }


def whole(log: Path) -> None:
    """There is no log yet, or every file of it is good."""
    if (log / tiles.CHECKPOINT).exists():
        report = verify(log, SIGNER.verifier, mode=Mode.AUDIT, lenient=True)
        assert report.is_good, report.problems


class Action:
    """Something that a ledger does in `here`, a copy of `village`. `within`: where its calls are counted."""

    within = ("",)

    def __init__(self, witnesses: str) -> None:
        self.witnesses = witnesses
        """A policy whose witness answers."""

    def prepare(self, here: Path) -> None:
        """What stands there before."""

    def act(self, here: Path) -> object:
        """Do it; what it answers."""
        raise NotImplementedError

    def check(self, here: Path) -> None:
        """Nothing is half done, after a failure too."""

    def outcome(self, here: Path) -> object:
        """What stands there when it is done."""
        return None


class BackUp(Action):
    """A backup that goes on from an older one."""

    def prepare(self, here: Path) -> None:
        backup.back_up(here, here.parent / "kept")
        grow(here)

    def act(self, here: Path) -> object:
        return backup.back_up(here, here.parent / "kept").head

    def check(self, here: Path) -> None:
        whole(here.parent / "kept" / "log")

    def outcome(self, here: Path) -> object:
        return files(here.parent / "kept")


class Restore(Action):
    """A ledger on a new machine, in a store that it is told. That the copy is audited first counts with BackUp."""

    within = ("ledger/backup.py", "ledger/store/sql.py", "ledger/audit/mirror.py")

    def prepare(self, here: Path) -> None:
        backup.back_up(here, here.parent / "kept")

    def act(self, here: Path) -> object:
        url = f"sqlite:///{here.parent / 'new' / 'other.db'}"
        return backup.restore(here.parent / "kept", here.parent / "new", store=url)

    def check(self, here: Path) -> None:
        whole(here.parent / "new" / "log")

    def outcome(self, here: Path) -> object:
        with reopen(here.parent / "new") as ledger:
            told = [ledger.state.digest(), ledger.size]
        return told, {path for path in files(here.parent / "new") if path != "other.db"}


class Mirror(Action):
    """A mirror that goes on, of a log with a cosigned head."""

    def prepare(self, here: Path) -> None:
        mirror(PublishedLog(here / "log"), here.parent / "copy", SIGNER.verifier)
        grow(here)

    def act(self, here: Path) -> object:
        return mirror(PublishedLog(here / "log"), here.parent / "copy", SIGNER.verifier).head

    def check(self, here: Path) -> None:
        whole(here.parent / "copy")

    def outcome(self, here: Path) -> object:
        return files(here.parent / "copy")


class Remember(Action):
    """A witness that swaps what it cosigned last; asked again after a doubt, it looks first, as witnesses do."""

    def act(self, here: Path) -> object:
        with WitnessStore(here / "witness" / "witness.db") as store:
            new = Remembered(7, bytes(31) + b"7")
            last = store.last("origin")
            return last == new or store.swap("origin", last, new, b"signed")

    def check(self, here: Path) -> None:
        with WitnessStore(here / "witness" / "witness.db") as store:
            last = store.last("origin")
            assert (last.size, store.checkpoint("origin")) in ((0, None), (7, b"signed"))

    def outcome(self, here: Path) -> object:
        with WitnessStore(here / "witness" / "witness.db") as store:
            return store.last("origin"), store.checkpoint("origin")


class Cosign(Action):
    """A round of asking witnesses: the cosigned head, and how far each came."""

    def prepare(self, here: Path) -> None:
        (here / "log" / COSIGNED).unlink()

    def act(self, here: Path) -> object:
        policy = tlog_policy.parse(self.witnesses)
        client = WitnessClient(root=here / "log", log_key=SIGNER.verifier, policy=policy, now_s=lambda: 1.0)
        return client.ask_all()

    def check(self, here: Path) -> None:
        whole(here / "log")
        if (here / "log" / COSIGNED).exists():
            tlog_policy.open_witnessed(
                (here / "log" / COSIGNED).read_bytes(), SIGNER.verifier, tlog_policy.parse(self.witnesses)
            )

    def outcome(self, here: Path) -> object:
        return (here / "log" / COSIGNED).read_bytes(), progress.read(here / "log")


class SwapHead(Action):
    """A ledger that commits one payment and publishes; only the head's calls fail."""

    within = ("ledger/head.py",)

    def act(self, here: Path) -> object:
        with reopen(here) as ledger:
            answers = ledger.submit([testing.pay("ana", "ben", 1, "the one")])
            ledger.publish()
        return [answer.place for answer in answers if isinstance(answer, Placed)]

    def check(self, here: Path) -> None:
        whole(here / "log")

    def outcome(self, here: Path) -> object:
        with WitnessStore(here / "head.db") as store:
            return store.last(testing.ORIGIN), files(here / "log")


class SaveState(Action):
    """The state is saved, and read at the next start; a start without it reads everything."""

    within = ("ledger/saved.py",)

    def act(self, here: Path) -> object:
        file = SavedState(here / saved.FILE, testing.LOG_KEY)
        with reopen(here) as ledger:
            file.save(saved.Saved(ledger.state, ledger._tree, ledger._signed))
            digest = ledger.state.digest()
        with reopen(here) as ledger:
            assert ledger.state.digest() == digest
        file.forget()
        return digest

    def outcome(self, here: Path) -> object:
        return (here / saved.FILE).exists()


class Turns(ManualClock):
    """Whoever waits on this clock lets the side that has the ledger have its turn."""

    def __init__(self, box: Inbox) -> None:
        super().__init__()
        self._box = box

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        self._box.step()


class LayIntoInbox(Action):
    """A command lays two entries into the inbox, the other side carries them out."""

    within = ("ledger/inbox.py",)

    def act(self, here: Path) -> object:
        entries = [testing.pay("ana", "ben", 1, "by the inbox"), b"rubbish"]
        with reopen(here) as ledger:
            clock = Turns(Inbox(here, ledger=ledger, clock=ManualClock()))
            clock._box = Inbox(here, ledger=ledger, clock=clock)
            return inbox.submit(here, entries, clock=clock)

    def check(self, here: Path) -> None:
        whole(here / "log")
        left = {path.suffix for path in (here / inbox.FOLDER).glob("*")}
        assert inbox.ENTRY not in left, "what failed would be carried out later"

    def outcome(self, here: Path) -> object:
        with reopen(here) as ledger:
            return ledger.size, ledger.state.digest()


def grow(here: Path) -> None:
    with reopen(here) as ledger:
        ledger.submit([testing.pay("ana", "ben", 1, f"grown {number}") for number in range(3)])
        ledger.publish()


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commune; nobody has its ledger open."""
    here = tmp_path_factory.mktemp("village") / "commune"
    with testing.village(here, "ana", "ben") as ledger:
        testing.mint(ledger, [testing.earned("ana", 10_000, 1000)])
        ledger.submit([testing.pay("ana", "ben", 1, str(number)) for number in range(5)])
        ledger.publish()
    describe(here)
    (here / "witnesses.policy").write_text("quorum none\n")
    (here / "log" / COSIGNED).write_bytes((here / "log" / "checkpoint").read_bytes())
    return here


@pytest.fixture(scope="module")
def witnesses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The policy of one witness on a real socket, whose clock stands still."""
    key = CosigningKey("w.example/w", testing.key("witness"))
    with WitnessStore(tmp_path_factory.mktemp("witness") / "witness.db") as store:
        judge = Witness(key=key, logs=[SIGNER.verifier], store=store, clock=ManualClock())
        server = serve("127.0.0.1", 0, judge)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"witness w {key.cosigner} http://127.0.0.1:{server.server_address[1]}\nquorum w\n"
        server.shutdown()
        thread.join()
        server.server_close()


ACTIONS = (BackUp, Restore, Mirror, Remember, Cosign, SwapHead, SaveState, LayIntoInbox)


@pytest.mark.parametrize("of", ACTIONS, ids=lambda of: of.__name__)
def test_call_when_it_fails_once(
    tmp_path: Path, village: Path, witnesses: str, of: type[Action], caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever call fails: it is told, nothing is half done, and the action repeated is as if it never had."""
    action, begun = of(witnesses), tmp_path / "begun"
    shutil.copytree(village, begun / "commune")
    action.prepare(begun / "commune")
    reference = Path(shutil.copytree(begun, tmp_path / "reference")) / "commune"
    action.act(reference)  # whatever is read but once is read now
    shutil.rmtree(reference.parent)
    shutil.copytree(begun, reference.parent)
    with Faults(within=action.within) as counted:
        answer = action.act(reference)
    expected = action.outcome(reference)
    shutil.rmtree(reference.parent)
    failing = list(counted.failing())
    assert len(failing) > 5
    for number, call, is_done in failing:
        what = f"{call.name} {'done' if is_done else 'not done'}: {' < '.join(call.path)}"
        shutil.copytree(begun, reference.parent)
        told = attempt(action, reference, Faults(number, is_done=is_done, within=action.within), what)
        action.check(reference)
        if told:
            assert str(tmp_path) in told, what
        else:  # done without
            assert call.name != "fsync" or caplog.records, what
        if told or caplog.records:
            assert action.act(reference) == answer, what
        assert action.outcome(reference) == expected, what
        caplog.clear()
        shutil.rmtree(reference.parent)


def attempt(action: Action, here: Path, faults: Faults, what: str) -> str:
    """The sentence in which a person is told of the failure; "" if the action was carried out all the same."""
    told: Exception | None = None
    with faults:
        try:
            action.act(here)
        except Exception as error:  # noqa: BLE001 - which it is, is the question
            told = error
    assert faults.has_failed, what
    assert told is None or (isinstance(told, CommonwattError) and not isinstance(told, FormatError)), (what, told)
    return str(told or "")
