"""Lets one call to the operating system or to SQLite fail that this thread makes from our code, whatever the path.

The interpreter tells a profile function of every C function before it is called and after it has returned
(sys.setprofile); an exception that this function raises takes the place of the answer. So nothing is replaced, and no
call is missed that a module makes beside the objects which it is given.
"""

import errno
import io
import os
import posix
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

HERE = Path(__file__).parents[2]
OURS = tuple(str(HERE / part) + "/" for part in ("ledger", "commonwatt"))
NETWORK = "ledger/fetch.py"
"""What it reads are sockets."""

LINES = 3
"""Calls are told apart by so many lines."""

READS = {"stat", "listdir", "scandir", "read", "readall", "fetchone"}
OPENS = {"open", "connect"}
WRITES = {"write", "flush", "fsync", "mkdir"}
CHANGES = {"replace", "rename", "unlink", "execute"}
"""These fail before they are done, and in another run after: renamed and not synced, committed and not told."""


class Call(NamedTuple):
    """A call, and the last lines of our code that led to it, the innermost first."""

    name: str
    path: tuple[str, ...]


class Faults:
    """For `with`: notes the calls, and lets the one numbered `fails_at` fail, when it `is_done` or before.

    `within`: only those that these files make themselves or by way of one other; "": all.
    """

    def __init__(self, fails_at: int = -1, *, is_done: bool = False, within: tuple[str, ...] = ("",)) -> None:
        self.calls: list[Call] = []
        self.has_failed = False
        self._returned: set[int] = set()
        self._fails_at = fails_at
        self._event = "c_return" if is_done else "c_call"
        self._within = within

    def __enter__(self) -> "Faults":
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def failing(self) -> Iterator[tuple[int, Call, bool]]:
        """Which to let fail, of the calls noted: the first and the last from each place, and whether it is done."""
        ends: dict[Call, set[int]] = {}
        for number, call in enumerate(self.calls):
            seen = ends.setdefault(call, {number})
            ends[call] = {min(seen), number}
        for call, numbers in ends.items():
            for number in sorted(numbers):
                yield number, call, False
                if number in self._returned and call.name in CHANGES:
                    yield number, call, True

    def _called(self, frame: FrameType, event: str, function: Any) -> None:
        if event not in ("c_call", "c_return") or not _is_call(function):
            return
        path = tuple(_ours(frame))
        if (
            not path
            or path[0].startswith(NETWORK)
            or not any(part in line for part in self._within for line in path[:2])
        ):
            return
        if event == "c_call":
            self.calls.append(Call(function.__name__, path[:LINES]))
        else:
            self._returned.add(len(self.calls) - 1)
        if event == self._event and len(self.calls) - 1 == self._fails_at and not self.has_failed:
            self.has_failed = True
            raise _failure(function)


def _is_call(function: Any) -> bool:
    if function is io.open or function is sqlite3.connect:
        return True
    name, of = function.__name__, function.__self__
    is_one = of is posix or isinstance(of, io.IOBase | sqlite3.Connection | sqlite3.Cursor)
    return is_one and not isinstance(of, io.BytesIO | io.StringIO) and name in READS | OPENS | WRITES | CHANGES


def _ours(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        if frame.f_code.co_filename.startswith(OURS):
            yield f"{os.path.relpath(frame.f_code.co_filename, HERE)}:{frame.f_lineno}"
        frame = frame.f_back


def _failure(function: Any) -> Exception:
    of = function.__self__
    if function is sqlite3.connect or isinstance(of, sqlite3.Connection | sqlite3.Cursor):
        return sqlite3.OperationalError("disk I/O error")
    error = errno.EIO if function.__name__ in READS | {"open", "fsync"} else errno.ENOSPC
    return OSError(error, os.strerror(error))
