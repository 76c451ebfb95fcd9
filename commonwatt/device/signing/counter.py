"""The number of the last command, in a file beside the key that signed it: KEY.counter, a decimal and a newline.

A device obeys only numbers greater than all before, so one is used up before its command leaves us: a command that
was numbered and lost does no harm, a number given twice would. Two programs at once wait for each other.
"""

import fcntl
import os
from pathlib import Path

from commonwatt import files
from commonwatt.device.signing.command import COUNTER_MAX
from commonwatt.errors import StorageError, UserError

_DIGITS_MAX = 20


def path_beside(key_file: Path) -> Path:
    """Where the counter of a key lies."""
    return key_file.with_name(key_file.name + ".counter")


def next_number(path: Path, at_least: int = 1) -> int:
    """The next number, durable on return. UserError: the file is damaged; StorageError: it cannot be written."""
    try:
        handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError(str(error), where=path, to_do="make its folder writable") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        number = max(_read(path) + 1, at_least)
        if number > COUNTER_MAX:
            raise UserError(f"{number} is too large for a counter", where=path)
        _write(path, number)
        return number
    finally:
        os.close(handle)


def _read(path: Path) -> int:
    try:
        text = path.read_text().strip()
    except FileNotFoundError:
        return 0
    if not text.isascii() or not text.isdecimal() or len(text) > _DIGITS_MAX:
        raise UserError(
            "this is no counter", where=path, to_do="remove the file and begin with --counter above all used before"
        )
    return int(text)


def _write(path: Path, number: int) -> None:
    try:
        files.replace(path, f"{number}\n".encode())
    except OSError as error:
        raise StorageError(str(error), where=path, to_do="nothing was signed; make room and try again") from error
