"""DIR/inbox: signed entries that a command hands to the running aggregator, and its answers.

    0003e8…-0.entry        an entry as it is signed; a command wrote it
    0003e8…-0.answer       {"place": 812} or {"refused": "DUPLICATE_KEY"}; the aggregator wrote it for the command

Whoever can write here can do nothing that the signatures do not allow: the ledger judges each entry as it judges any.
An entry is removed after its answer is durable; carried out twice, it is answered with its first place.
"""

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from commonwatt import files
from commonwatt.clock import MonotonicClock, Protocolar
from commonwatt.errors import StorageError, UserError
from commonwatt.i18n import _
from commonwatt.identity import new_id
from ledger.book.refusals import Refusal
from ledger.sequencer import Placed, Refused, Sequencer

log = logging.getLogger(__name__)

FOLDER = "inbox"
ENTRY, ANSWER = ".entry", ".answer"
ENTRY_SIZE_MAX = 65_536
ENTRIES_MAX = 1_000
"""Carried out at once, so that a full inbox holds no receipt back for long."""
LOOK_EVERY_S = 1.0
WAIT_S = 30.0
"""How long a command waits for its answers: the aggregator looks every second."""


def submit(
    directory: Path, entries: Sequence[bytes], *, clock: Protocolar | None = None, wait_s: float = WAIT_S
) -> list[Placed | Refused]:
    """Lay entries into the inbox and wait for their answers; UserError if they do not come in time."""
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
        raise StorageError(f"cannot be written: {error.strerror}", where=folder, to_do="make room") from error


class Inbox:
    """The aggregator's side: looks about once a second."""

    def __init__(self, directory: Path, *, ledger: Sequencer, clock: Protocolar) -> None:
        self._folder = directory / FOLDER
        self._ledger = ledger
        self._clock = clock
        self._next_s = 0.0

    def step(self) -> bool:
        """Carry out what lies there, in the order of its names; whether the ledger has grown by it."""
        now_s = self._clock.monotonic_s()
        if now_s < self._next_s or not self._folder.is_dir():
            return False
        self._next_s = now_s + LOOK_EVERY_S
        waiting = sorted(self._folder.glob("*" + ENTRY))[:ENTRIES_MAX]
        if not waiting:
            return False
        answers = self._ledger.submit([_read(path) for path in waiting])
        self._ledger.publish()
        for path, answer in zip(waiting, answers, strict=True):
            self._answer(path, answer)
        return any(isinstance(answer, Placed) for answer in answers)

    def _answer(self, path: Path, answer: Placed | Refused) -> None:
        is_placed = isinstance(answer, Placed)
        said = {"place": answer.place} if isinstance(answer, Placed) else {"refused": answer.refusal.name}
        log.log(logging.INFO if is_placed else logging.WARNING, "inbox: %s is answered: %s", path.name, said)
        try:
            files.replace(path.with_suffix(ANSWER), json.dumps(said).encode(), mode=0o600)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot be written: {error.strerror}", where=path, to_do="make room") from error


def _read(path: Path) -> bytes:
    """What lies there; what is too large for an entry is cut, and refused as malformed."""
    with path.open("rb") as file:
        return file.read(ENTRY_SIZE_MAX)


def _await(folder: Path, name: str, clock: Protocolar, until_s: float) -> Placed | Refused:
    path = folder / (name + ANSWER)
    while not path.exists():
        if clock.monotonic_s() >= until_s:
            raise UserError(
                _("the aggregator has not answered yet"),
                where=path.with_suffix(ENTRY),
                to_do=_("it carries out what lies there when it runs; repeat the command to see what came of it"),
            )
        time.sleep(0.05)
    said = json.loads(path.read_bytes())
    path.unlink()
    if "place" in said:
        return Placed(int(said["place"]))
    return Refused(Refusal[said["refused"]])
