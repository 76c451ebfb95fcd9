"""The tally as a file: tally.cbor, made anew from the log when it is not there, is damaged or is of another log.

It holds sums of everybody's accounts: readable by its owner only.
"""

import hashlib
import logging
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from commonwatt import cbor, files
from commonwatt.errors import FormatError
from ledger.book.payments import PaymentRequest
from ledger.book.state import State
from web.money.tally import DAY_WIDTH, WIDTH, Euros, Integers, Others, Tally

log = logging.getLogger(__name__)

FILE = "tally.cbor"
VERSION = 1
SIZE_MAX = 2**31
SAVE_EVERY = 100_000
"""After so many entries more it is written again: to see them once more takes seconds."""


class KeptTally(Tally):
    """A tally that begins with what its file has and writes it now and then."""

    def __init__(self, directory: Path, zone: ZoneInfo, genesis: bytes) -> None:
        super().__init__(zone)
        self._path, self._genesis = directory / FILE, genesis
        try:
            read(self, self._path.read_bytes(), genesis)
        except FileNotFoundError:
            pass
        except (OSError, FormatError, ValueError, TypeError, zlib.error) as error:
            log.warning("%s is made anew: %s", self._path, error)
            Tally.__init__(self, zone)
        self._saved = self.size

    def __call__(self, first: int, entries: Sequence[bytes], state: State) -> None:
        """See entries; the last of those that the file knows must be the one it knew."""
        last = self.size - 1
        if (
            first <= last < first + len(entries)
            and hashlib.sha256(entries[last - first]).digest() != self.last_sha256
        ):
            self._path.unlink(missing_ok=True)
            raise FormatError("malformed", f"{self._path} was made of another log; start the pages again")
        super().__call__(first, entries, state)
        if self.size >= self._saved + SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write the file; who cannot write it goes on without."""
        if self.size == self._saved:
            return
        try:
            files.replace(self._path, spell(self, self._genesis), mode=0o600)
            self._saved = self.size
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error)


def spell(tally: Tally, genesis: bytes) -> bytes:
    """The bytes of the file: a hash, then the rest, compressed."""
    value = [
        *(VERSION, genesis, tally.days_of.zone.key, tally.size, tally.last_sha256),
        *(tally.leaves, [[identifier, asked.to_cbor()] for identifier, asked in tally.requests.items()]),
        [[month, rows.tobytes()] for month, rows in tally.months.items()],
        [[day, row.tobytes()] for day, row in tally.days.items()],
        [[*origin, row.tobytes()] for origin, row in tally.origins.items()],
        [
            [row.place, row.entry_id, row.time_s, row.account, row.amount_mc, row.paid_cents, row.reference]
            for row in tally.euros
        ],
        [[row.place, row.time_s, row.kind, row.numbers.tobytes(), row.amounts_mc.tobytes()] for row in tally.others],
        *(tally.active_s.tobytes(), tally.known_mc.tobytes()),
    ]
    body = zlib.compress(cbor.encode(value), 1)
    return hashlib.sha256(body).digest() + body


def read(tally: Tally, data: bytes, genesis: bytes) -> None:
    """Fill an empty tally from the bytes of a file; FormatError and others if it is not whole, or not of this log."""
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        raise FormatError("malformed", "the file is damaged")
    value = cbor.decode(zlib.decompress(data[32:]), size_max=SIZE_MAX)
    if value[:3] != [VERSION, genesis, tally.days_of.zone.key]:
        raise FormatError("malformed", "the file is of another log, version or time zone")
    _fill(tally, *value[3:])


def _fill(
    tally: Tally,
    size: int,
    last_sha256: bytes,
    leaves: list[bytes],
    requests: list[Any],
    months: list[Any],
    days: list[Any],
    origins: list[Any],
    euros: list[Any],
    others: list[Any],
    active_s: bytes,
    known_mc: bytes,
) -> None:
    tally.size, tally.last_sha256, tally.leaves = size, last_sha256, leaves
    tally.requests = {identifier: PaymentRequest.from_cbor(body) for identifier, body in requests}
    tally.months = {month: _column(rows).reshape(-1, WIDTH) for month, rows in months}
    tally.days = {day: _column(row).reshape(DAY_WIDTH) for day, row in days}
    tally.origins = {(source, version): _column(row) for source, version, row in origins}
    tally.euros = [Euros(*row) for row in euros]
    tally.others = [
        Others(place, time_s, kind, _column(numbers), _column(amounts_mc))
        for place, time_s, kind, numbers, amounts_mc in others
    ]
    tally.active_s, tally.known_mc = _column(active_s), _column(known_mc)


def _column(data: bytes) -> Integers:
    return np.frombuffer(data, dtype=np.int64).copy()
