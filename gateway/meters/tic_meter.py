"""The Linky's registers, believed as the firmware believes them: whole frames, all indexes, nothing that jumps."""

from dataclasses import dataclass

from commonwatt.quantities import EXPORT, IMPORT
from gateway.meters.tic import Frame

INDEX_DIGITS = 9
POWER_MAX_W = 36_000
"""What a connection with a Linky carries at most: an index that grows faster is damaged."""
SLACK_S = 60
"""Frames are dated when they have come in, some seconds after the meter looked at its register."""
CONFIRM_S = 600
"""So long must readings follow each other after a jump before the meter is taken for another one."""
TARIFFS = (
    ("BASE",),
    ("HCHC", "HCHP"),
    ("EJPHN", "EJPHPM"),
    ("BBRHCJB", "BBRHPJB", "BBRHCJW", "BBRHPJW", "BBRHCJR", "BBRHPJR"),
)


def registers_wh(frame: Frame) -> tuple[tuple[int, int], ...] | None:
    """Import, and export where the frame tells it, as (quantity, Wh); None unless it tells them whole."""
    if "EAST" in frame.groups:
        wanted = [(IMPORT.number, ("EAST",))]
        if "EAIT" in frame.groups:
            wanted.append((EXPORT.number, ("EAIT",)))
        pairs = [(quantity, _sum_wh(frame, labels)) for quantity, labels in wanted]
        return tuple((quantity, wh) for quantity, wh in pairs if wh is not None) if _all(pairs) else None
    for labels in TARIFFS:
        total_wh = _sum_wh(frame, labels)
        if total_wh is not None:
            return ((IMPORT.number, total_wh),)
    return None


def _all(pairs: list[tuple[int, int | None]]) -> bool:
    return all(wh is not None for _, wh in pairs)


def _sum_wh(frame: Frame, labels: tuple[str, ...]) -> int | None:
    """The tariff's indexes are parts of one register: with one of them missing there is no register."""
    data = [frame.groups[label].data if label in frame.groups else "" for label in labels]
    if not all(len(text) == INDEX_DIGITS and text.isascii() and text.isdecimal() for text in data):
        return None
    return sum(int(text) for text in data)


@dataclass(slots=True)
class Trusted:
    """One register and whether to believe it: six bits of checksum let one damaged group in 64 pass.

    A reading that follows the last within what the connection carries is believed. The first one ever waits for a
    second that follows it; after a jump, up or down, only readings that agree for `CONFIRM_S` are believed.
    """

    register_wh: int | None = None
    seen_s: float = 0.0
    jumps: int = 0
    backwards: int = 0
    replaced: int = 0
    _suspect: tuple[int, float] | None = None
    _since_s: float = 0.0

    def take(self, wh: int, now_s: float) -> bool:
        """Whether the reading at `now_s` (protocol time) is believed."""
        if self.register_wh is not None:
            if _follows(self.register_wh, self.seen_s, wh, now_s):
                return self._believe(wh, now_s)
            self.backwards += wh < self.register_wh
            self.jumps += wh > self.register_wh
        if self._suspect is None or not _follows(*self._suspect, wh, now_s):
            self._since_s = now_s
            self._suspect = (wh, now_s)
            return False
        self._suspect = (wh, now_s)
        if self.register_wh is not None:
            if now_s - self._since_s < CONFIRM_S:
                return False
            self.replaced += wh < self.register_wh
        return self._believe(wh, now_s)

    def _believe(self, wh: int, now_s: float) -> bool:
        self.register_wh, self.seen_s, self._suspect = wh, now_s, None
        return True


def _follows(last_wh: int, last_s: float, wh: int, now_s: float) -> bool:
    growth_wh_max = int(POWER_MAX_W * (now_s - last_s + SLACK_S) / 3600) + 1
    return 0 <= wh - last_wh <= growth_wh_max
