"""A steward's review of a held span: how the log says it, and how it is read again. Pure.

A review is an entry about the device, signed as any entry about its standing is, which stays as it was:

    [4, h'de71…', 1, "release 1721001600: the new meter starts at 0"]

The ledger's own holds stop what an account earns in a whole window before it is minted; the spans that wait here were
part of no window (docs/decisions/0014-reviews-of-held-spans.md).
"""

import re
from dataclasses import dataclass

from ledger.book.body import SetStatus
from ledger.book.kinds import Subject

RELEASE, REJECT = "release", "reject"
_TEXT = re.compile(r"(?P<verdict>release|reject) (?P<start_s>0|[1-9][0-9]{0,15}): (?P<reason>.*\S.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Review:
    """What was decided of the span of `device` that begins at `start_s`. `place`: of the entry in the log."""

    place: int
    device: bytes
    start_s: int
    is_granted: bool
    reason: str


def text_of(start_s: int, *, is_granted: bool, reason: str) -> str:
    """The reason of the entry."""
    return f"{RELEASE if is_granted else REJECT} {start_s}: {reason}"


def read(place: int, status: SetStatus) -> Review | None:
    """The review that an entry about a device is, or None."""
    match = _TEXT.fullmatch(status.reason)
    if status.subject is not Subject.DEVICE or match is None:
        return None
    return Review(place, status.id, int(match["start_s"]), match["verdict"] == RELEASE, match["reason"])
