"""Reads the usual transfers of many entries at once, in columns: as logged such a transfer has one shape.

    d2 84 43 a10127  a1 04 48 kid  58 LL  86 01 07  50 id  time  84 50 from  50 to  amount  text  80  58 40 signature

The general parser decodes, encodes again and compares, one by one, and takes a third as long as verifying the
signature. What is read here is exactly what `entry.parse` accepts, with the same values; whatever has another shape
is left to it, which also says why: other kinds, units that are written out, spellings that are not deterministic.
tests/ledger/test_transfer_arrays.py holds the two to each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonwatt.identity import ID_SIZE
from ledger.book import columns
from ledger.book.columns import Integers, Octets, Truths

_HEAD = b"\xd2\x84\x43\xa1\x01\x27\xa1\x04\x48"
_KID_SIZE = 8
_PAYLOAD = b"\x86\x01\x07\x50"
_PARTIES = b"\x84\x50"
_AFTER_TEXT = b"\x80\x58\x40"
_END_SIZE = len(_AFTER_TEXT) + 64
_SIZE_MIN = len(_HEAD) + _KID_SIZE + 2 + len(_PAYLOAD) + ID_SIZE + 1 + len(_PARTIES) + 2 * ID_SIZE + 3 + _END_SIZE
_TEXT_SIZE_MAX = 256
_SIZE_MAX = _SIZE_MIN + 1 + 8 + 8 + 2 + _TEXT_SIZE_MAX
"""Integers of up to eight bytes instead of none, and heads of up to three bytes instead of two and one."""


@dataclass(frozen=True, slots=True)
class TransferArrays:
    """Transfers of energy credits, in the order of the log. `rows`: where each stands among the entries read."""

    rows: Integers
    ids: list[bytes]
    payers: list[bytes]
    payees: list[bytes]
    amount_mc: Integers
    time_s: Integers

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, start: int, end: int) -> "TransferArrays":
        """Those from `start` up to `end`."""
        cut = slice(start, end)
        parties = (self.ids[cut], self.payers[cut], self.payees[cut])
        return TransferArrays(self.rows[cut], *parties, self.amount_mc[cut], self.time_s[cut])


NONE = TransferArrays(np.zeros(0, dtype=np.int64), [], [], [], *np.zeros((2, 0), dtype=np.int64))


def parse(entries: Sequence[bytes]) -> TransferArrays:
    """The usual transfers among entries as logged."""
    sizes = np.fromiter(map(len, entries), dtype=np.int64, count=len(entries))
    rows = np.flatnonzero((sizes >= _SIZE_MIN) & (sizes <= _SIZE_MAX))
    if len(rows) == 0:
        return NONE
    buffer = np.frombuffer(b"".join(entries), dtype=np.uint8)
    # No row is so short that what follows looks past its end before the size of its text is compared.
    begins, ends = (np.cumsum(sizes) - sizes)[rows], np.cumsum(sizes)[rows]
    payload_at, is_good = _payload(buffer, begins, ends)
    id_at = payload_at + len(_PAYLOAD)
    time_s, time_size, is_time = columns.uints(buffer, id_at + ID_SIZE)
    parties_at = id_at + ID_SIZE + np.where(is_time, time_size, 1)
    payer_at = parties_at + len(_PARTIES)
    payee_at = payer_at + ID_SIZE + 1
    amount_mc, amount_size, is_amount = columns.uints(buffer, payee_at + ID_SIZE)
    is_good &= (
        columns.has(buffer, payload_at, _PAYLOAD)
        & is_time
        & columns.has(buffer, parties_at, _PARTIES)
        & (buffer[payee_at - 1] == _PARTIES[1])
        & is_amount
    )
    is_good &= _has_text(buffer, payee_at + ID_SIZE + np.where(is_amount, amount_size, 1), ends)
    ids, payers, payees = (
        columns.byte_strings(columns.gather(buffer, at[is_good], ID_SIZE)) for at in (id_at, payer_at, payee_at)
    )
    return TransferArrays(rows[is_good], ids, payers, payees, amount_mc[is_good], time_s[is_good])


def _payload(buffer: Octets, begins: Integers, ends: Integers) -> tuple[Integers, Truths]:
    """Where payloads begin, and which messages are spelled as ours up to there, with the size that they have."""
    at = begins + len(_HEAD) + _KID_SIZE
    short, long = buffer[at] == 0x58, buffer[at] == 0x59
    one = buffer[at + 1].astype(np.int64)
    told = np.where(short, one, (one << 8) + buffer[at + 2])
    is_shortest = (short & (told >= 24)) | (long & (told >= 2**8))
    payload_at = at + np.where(short, 2, 3)
    is_size = told == ends - payload_at - (_END_SIZE - 1)  # the last byte of the payload stands behind the text
    return payload_at, columns.has(buffer, begins, _HEAD) & is_shortest & is_size


def _has_text(buffer: Octets, at: Integers, ends: Integers) -> Truths:
    """Where a text of at most 256 bytes of UTF-8 stands, and then nothing but no approvals and the signature."""
    heads, one = buffer[at], buffer[at + 1].astype(np.int64)
    tiny, short, long = (heads >= 0x60) & (heads < 0x78), heads == 0x78, heads == 0x79
    sizes = np.where(tiny, heads.astype(np.int64) & 0x1F, np.where(short, one, (one << 8) + buffer[at + 2]))
    is_shortest = tiny | (short & (sizes >= 24)) | (long & (sizes == _TEXT_SIZE_MAX))
    text_at, text_end = at + np.select([tiny, short], [1, 2], 3), ends - _END_SIZE
    is_good: Truths = is_shortest & (text_end - text_at == sizes) & columns.has(buffer, ends - _END_SIZE, _AFTER_TEXT)
    for row in np.flatnonzero(is_good)[_has_high_bytes(buffer, text_at[is_good], text_end[is_good])].tolist():
        is_good[row] = _is_utf8(buffer[text_at[row] : text_end[row]].tobytes())
    return is_good


def _has_high_bytes(buffer: Octets, starts: Integers, ends: Integers) -> Truths:
    """Which texts are not plain ASCII."""
    if len(starts) == 0:
        return np.zeros(0, dtype=np.bool_)
    # Every second stretch lies between two texts; an empty one yields the byte behind it, and is not looked at.
    ored = np.bitwise_or.reduceat(buffer, np.stack([starts, ends], axis=1).ravel())[::2]
    found: Truths = (ored >= 0x80) & (starts < ends)
    return found


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
