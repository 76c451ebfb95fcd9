"""DIR/inbox: signed entries that a command hands to whoever has the ledger open, and its answers.

    0003e8…-000000.entry    an entry as it is signed; a command wrote it, and may take it back
    0003e8…-000000.taken    it is being carried out
    0003e8…-000000.answer   {"place": 812} or {"refused": "DUPLICATE_KEY"}, for the command, which removes it

Whoever can write here can do nothing that the signatures do not allow: the ledger judges each entry as it judges any.
What was taken is removed after its answer is durable; carried out twice, it is answered with its first place.
"""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from commonwatt import files
from commonwatt.clock import MonotonicClock, Passing, Protocolar
from commonwatt.errors import StorageError, UserError
from commonwatt.i18n import _
from commonwatt.identity import new_id
from ledger.book.refusals import Refusal
from ledger.sequencer import Placed, Refused, Sequencer

log = logging.getLogger(__name__)

FOLDER = "inbox"
ENTRY, TAKEN, ANSWER = ".entry", ".taken", ".answer"
ENTRY_SIZE_MAX = 65_536
ENTRIES_MAX = 1_000
"""Carried out at once, so that a full inbox holds nobody else back for long."""
LOOK_EVERY_S = 1.0
WAIT_S = 30.0
"""How long a command waits for its answers: whoever has the ledger looks every second."""
LOOK_FOR_ANSWER_S = 0.05


def submit(
    directory: Path, entries: Sequence[bytes], *, clock: Passing | None = None, wait_s: float = WAIT_S
) -> list[Placed | Refused]:
    """Lay entries into the inbox and wait for their answers.

    UserError if they do not come in time. Then, and when the wait is broken off, what nobody has taken is taken back:
    a command that failed can be repeated.
    """
    clock = clock or MonotonicClock()
    folder = directory / FOLDER
    until_s = clock.monotonic_s() + wait_s
    stem = f"{time.time_ns():020d}-{new_id().hex()[:8]}"
    names = [f"{stem}-{number:06d}" for number in range(len(entries))]
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for name, signed in zip(names, entries, strict=True):
            files.replace(folder / (name + ENTRY), signed, mode=0o600)
        return [_await(folder, name, clock, until_s) for name in names]
    except OSError as error:
        raise StorageError(
            f"the inbox fails: {error.strerror}", where=folder, to_do="make room, then repeat the command"
        ) from error
    finally:
        for name in names:
            with suppress(OSError):
                (folder / (name + ENTRY)).unlink()


class Inbox:
    """The side of whoever has the ledger: looks about once a second."""

    def __init__(self, directory: Path, *, ledger: Sequencer, clock: Protocolar) -> None:
        self._folder = directory / FOLDER
        self._ledger = ledger
        self._clock = clock
        self._next_s = 0.0

    def step(self) -> bool:
        """Carry out what lies there, in the order of its names; whether the ledger has grown by it. StorageError."""
        try:
            return self._step()
        except OSError as error:
            raise StorageError(
                f"the inbox fails: {error.strerror}",
                where=error.filename or self._folder,
                to_do="make room or mend the disk and start again; what was taken is carried out then, once",
            ) from error

    def _step(self) -> bool:
        now_s = self._clock.monotonic_s()
        if now_s < self._next_s or not self._folder.is_dir():
            return False
        self._next_s = now_s + LOOK_EVERY_S
        taken = list(self._take())
        if not taken:
            return False
        answers = self._ledger.submit([_read(path) for path in taken])
        self._ledger.publish()
        for path, answer in zip(taken, answers, strict=True):
            self._answer(path, answer)
        return any(isinstance(answer, Placed) for answer in answers)

    def _take(self) -> Iterator[Path]:
        """What was taken before we ended, and what waits: from now on nobody takes it back."""
        waiting = sorted(path for path in self._folder.iterdir() if path.suffix in (ENTRY, TAKEN))
        for path in waiting[:ENTRIES_MAX]:
            taken = path.with_suffix(TAKEN)
            try:
                path.rename(taken)
            except FileNotFoundError:
                continue  # taken back
            yield taken

    def _answer(self, path: Path, answer: Placed | Refused) -> None:
        said = json.dumps(_said(answer))
        log.log(logging.INFO if isinstance(answer, Placed) else logging.WARNING, "inbox: %s: %s", path.stem, said)
        files.replace(path.with_suffix(ANSWER), said.encode(), mode=0o600)
        path.unlink(missing_ok=True)


def _said(answer: Placed | Refused) -> dict[str, object]:
    if isinstance(answer, Refused):
        return {"refused": answer.refusal.name}
    return {"place": answer.place, "warned": [account.hex() for account in answer.warned]}


def _read(path: Path) -> bytes:
    """What lies there; what is too large for an entry is cut, and refused as malformed."""
    with path.open("rb") as file:
        return file.read(ENTRY_SIZE_MAX)


def _await(folder: Path, name: str, clock: Passing, until_s: float) -> Placed | Refused:
    path = folder / (name + ANSWER)
    while not path.exists():
        if clock.monotonic_s() >= until_s:
            raise _unanswered(path)
        clock.wait(LOOK_FOR_ANSWER_S)
    said = json.loads(path.read_bytes())
    path.unlink()
    if "place" in said:
        return Placed(int(said["place"]), warned=tuple(bytes.fromhex(account) for account in said["warned"]))
    return Refused(Refusal[said["refused"]])


def _unanswered(path: Path) -> UserError:
    taken = path.with_suffix(TAKEN)
    if taken.exists():
        return UserError(
            _("it is being carried out and not answered yet"),
            where=taken,
            to_do=_("look into the log before you repeat the command; it is carried out when the aggregator runs"),
        )
    return UserError(
        _("the ledger is in use, and nobody has carried it out: it is taken back"),
        where=path.parent,
        to_do=_("see whether the aggregator runs, or let another command end, and repeat this one"),
    )
