"""What a steward says of a device in the log: reviews of held spans, and where its registers wrap. Pure.

Each is an entry about the device, signed as any entry about its standing is, which stays as it was:

    [4, h'de71…', 1, "release 1721001600: the new meter starts at 0"]
    [4, h'de71…', 1, "release 1721001600 as 1250 Wh: read from the old meter's display"]
    [4, h'de71…', 1, "registers wrap at 100000000 Wh: eight digits"]

The ledger's own holds stop what an account earns in a whole window before it is minted; the spans that wait here were
part of no window (docs/decisions/0014-reviews-of-held-spans.md).
"""

import re
from dataclasses import dataclass

from ledger.book.body import SetStatus
from ledger.book.kinds import Subject

RELEASE, REJECT = "release", "reject"
_NUMBER = "0|[1-9][0-9]{0,15}"
_TEXT = re.compile(
    rf"(?P<verdict>release|reject) (?P<start_s>{_NUMBER})(?: as (?P<energy_wh>{_NUMBER}) Wh)?: (?P<reason>.*\S.*)",
    re.DOTALL,
)
_WRAPS = re.compile(r"registers wrap at (?P<wh>[1-9][0-9]{0,15}) Wh: (?P<reason>.*\S.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Review:
    """What was decided of the span of `device` that begins at `start_s`. `place`: of the entry in the log.
    `energy_wh`: what a released span counts with, if not with what was held."""

    place: int
    device: bytes
    start_s: int
    is_granted: bool
    reason: str
    energy_wh: int | None = None


@dataclass(frozen=True, slots=True)
class Wraps:
    """The registers of `device` begin at 0 again when they reach `at_wh`."""

    place: int
    device: bytes
    at_wh: int


def text_of(start_s: int, *, is_granted: bool, reason: str, energy_wh: int | None = None) -> str:
    """The reason of the entry that reviews a span."""
    corrected = "" if energy_wh is None else f" as {energy_wh} Wh"
    return f"{RELEASE if is_granted else REJECT} {start_s}{corrected}: {reason}"


def text_of_wraps(at_wh: int, reason: str) -> str:
    """The reason of the entry that says where registers wrap."""
    return f"registers wrap at {at_wh} Wh: {reason}"


def read(place: int, status: SetStatus) -> Review | None:
    """The review that an entry about a device is, or None."""
    match = _TEXT.fullmatch(status.reason)
    if status.subject is not Subject.DEVICE or match is None:
        return None
    is_granted, energy_wh = match["verdict"] == RELEASE, match["energy_wh"]
    if energy_wh is not None and not is_granted:
        return None
    reviewed_wh = None if energy_wh is None else int(energy_wh)
    return Review(place, status.id, int(match["start_s"]), is_granted, match["reason"], reviewed_wh)


def read_wraps(place: int, status: SetStatus) -> Wraps | None:
    """What an entry about a device says of its registers, or None."""
    match = _WRAPS.fullmatch(status.reason)
    if status.subject is not Subject.DEVICE or match is None:
        return None
    return Wraps(place, status.id, int(match["wh"]))
