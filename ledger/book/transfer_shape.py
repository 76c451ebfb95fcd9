"""Reads the usual transfer at one glance: as logged it has one shape, which a pattern knows byte by byte.

    d2 84 43 a10127  a1 04 48 kid  58 LL  86 01 07  50 id  time  84 50 from  50 to  amount  text  80  58 40 signature

A general parser decodes, encodes again and compares, and takes a third as long as verifying the signature. What
matches here is exactly what `entry.parse` accepts, with the same values; whatever does not match is left to it, which
also says why. A transfer in a unit that is written out does not match either. tests/ledger/test_plain_transfers.py
holds the two to each other.
"""

import re
from dataclasses import dataclass

# An unsigned integer below 2**63 in its shortest form (RFC 8949 §4.2.1).
_UINT = rb"([\x00-\x17]|\x18[\x18-\xff]|\x19[\x01-\xff].|\x1a(?!\0\0).{4}|\x1b(?!\0\0\0\0)[\x00-\x7f].{7})"
_SHAPE = re.compile(
    rb"\xd2\x84\x43\xa1\x01\x27\xa1\x04\x48.{8}(?:\x58([\x18-\xff])|\x59([\x01-\xff].))"
    rb"\x86\x01\x07\x50(.{16})"
    + _UINT
    + rb"\x84\x50(.{16})\x50(.{16})"
    + _UINT
    # The text may have 256 bytes at most.
    + rb"(?:([\x60-\x77])|\x78([\x18-\xff])|\x79(\x01\x00))",
    re.DOTALL,
)
_PAYLOAD_AT = 17
"""Where the payload's head stands, behind tag, headers and key hint."""

_AFTER_TEXT = b"\x80\x58\x40"
_SIGNATURE_SIZE = 64
_AFTER_TEXT_SIZE = len(_AFTER_TEXT) + _SIGNATURE_SIZE


@dataclass(slots=True)
class PlainTransfer:
    """A transfer of energy credits. `proven_by`: the key whose signature it has, once another process verified it."""

    id: bytes
    payer: bytes
    payee: bytes
    amount_mc: int
    proven_by: bytes | None = None


def read(data: bytes) -> PlainTransfer | None:
    """An entry as logged, if it is a deterministically spelled transfer of energy credits; None otherwise."""
    found = _SHAPE.match(data)
    if found is None:
        return None
    short, long, entry_id, _time_s, payer, payee, amount, tiny_text, short_text, long_text = found.groups()
    text_at, text_end = found.end(), len(data) - _AFTER_TEXT_SIZE
    text_size = tiny_text[0] & 0x1F if tiny_text else int.from_bytes(short_text or long_text, "big")
    payload_size = len(data) - _PAYLOAD_AT - _SIGNATURE_SIZE - 2 - (2 if short else 3)
    if (
        text_end - text_at != text_size
        or int.from_bytes(short or long, "big") != payload_size
        or data[text_end : text_end + len(_AFTER_TEXT)] != _AFTER_TEXT
    ):
        return None
    text = data[text_at:text_end]
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return None
    amount_mc = amount[0] if len(amount) == 1 else int.from_bytes(amount[1:], "big")
    return PlainTransfer(entry_id, payer, payee, amount_mc)
