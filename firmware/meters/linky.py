"""Linky by its TIC terminals, mode historique or standard: the meter's own registers, taken from whole frames.

Import is EAST, or the sum of the tariff's indexes in historique (all of them or none); export is EAIT, which only a
producer's meter in mode standard sends.
"""

from buses import tic
from node.port import const, ticks_diff, ticks_ms

import meters
from meters.trust import Trusted

_POLL_MS = const(100)
_READ_MAX = const(1024)
_STALE_MS = const(60000)
_LISTEN_MS = const(15000)  # a frame in historique lasts at most 3 s; then the other mode is tried
_POWER_MAX_W = const(36000)
_WH_DIGITS = const(9)
_IMPORT = const(1)
_EXPORT = const(2)

_MODES = {"historique": (1200, tic.HISTORIQUE), "standard": (9600, tic.STANDARD)}
_TARIFFS = (
    ("BASE",),
    ("HCHC", "HCHP"),
    ("EJPHN", "EJPHPM"),
    ("BBRHCJB", "BBRHPJB", "BBRHCJW", "BBRHPJW", "BBRHCJR", "BBRHPJR"),
)


@meters.driver("linky")
def make(config, _clock, hardware):
    """The meter of {"type": "linky", "mode": "auto", "historique" or "standard"}."""
    return Linky(config, hardware, ticks_ms)


def registers(frame):
    """{quantity: wh} that one frame tells, empty if it does not tell them whole."""
    if "EAST" in frame:
        found = {_IMPORT: _index(frame, "EAST")}
        if "EAIT" in frame:
            found[_EXPORT] = _index(frame, "EAIT")
        return {} if None in found.values() else found
    for labels in _TARIFFS:
        indexes = [_index(frame, label) for label in labels]
        if None not in indexes:
            return {_IMPORT: sum(indexes)}
    return {}


class Linky:
    """Tells import, and export once a frame without a fault has shown whether the meter has it."""

    def __init__(self, config, hardware, ticks=ticks_ms):
        mode = config.get("mode", "auto")
        self._modes = ["standard", "historique"] if mode == "auto" else [mode]
        self._hardware = hardware
        self._ticks = ticks
        self._quantities = None
        self._trusted = {_IMPORT: Trusted(_POWER_MAX_W), _EXPORT: Trusted(_POWER_MAX_W)}
        self._tries = 0
        self._incomplete = 0
        self.values = {}
        self._listen()

    def poll(self):
        """Take what came; where no group comes in time, listen in the other mode."""
        waiting = min(self._uart.any(), _READ_MAX)
        for frame in self._reader.feed((self._uart.read(waiting) if waiting else None) or b""):
            self._take(frame)
        is_silent = self._reader.good == 0 and len(self._modes) > 1
        if is_silent and ticks_diff(self._ticks(), self._since_ms) > _LISTEN_MS:
            self._listen()
        return _POLL_MS

    def read(self):
        """[(1, wh)] or [(1, wh), (2, wh)], believed within the last minute; else OSError."""
        if self._quantities is None:
            raise OSError("no frame without a fault yet")
        now_ms = self._ticks()
        for quantity in self._quantities:
            if self._trusted[quantity].is_stale(now_ms, _STALE_MS):
                raise OSError("no believable index")
        return [(quantity, self._trusted[quantity].wh) for quantity in self._quantities]

    def state(self):
        """The mode, counts of groups and frames, and apparent power and current as the meter shows them."""
        reader = self._reader
        state = {
            "tic_mode": self._mode,
            "tic_groups_good": reader.good,
            "tic_groups_bad": reader.bad,
            "tic_frames": reader.frames,
            "tic_frames_broken": reader.broken,
            "tic_frames_incomplete": self._incomplete,
        }
        for name in ("jumps", "backwards", "replaced"):
            state["register_" + name] = sum(getattr(trusted, name) for trusted in self._trusted.values())
        state.update(self.values)
        return state

    def _listen(self):
        self._mode = self._modes[self._tries % len(self._modes)]
        self._tries += 1
        baud, separator = _MODES[self._mode]
        self._uart = self._hardware.uart(baud, 7, 0, 1)
        self._reader = tic.Reader(separator)
        self._since_ms = self._ticks()

    def _take(self, frame):
        found = registers(frame)
        if not found or self._lacks(found):
            # Three-phase meters in historique send short frames after an overload: those tell no index either.
            self._incomplete += 1
            return
        if self._quantities is None and frame[""] == 0:
            self._quantities = sorted(found)
        now_ms = self._ticks()
        for quantity, wh in found.items():
            self._trusted[quantity].take(wh, now_ms)
        for label, name in (("PAPP", "power_va"), ("SINSTS", "power_va"), ("SINSTI", "export_va")):
            if label in frame and _is_digits(frame[label][1]):
                self.values[name] = int(frame[label][1])

    def _lacks(self, found):
        return self._quantities is not None and sorted(found) != self._quantities


def _index(frame, label):
    """The nine digits of an index in Wh, None if they are not there or not nine."""
    data = frame.get(label, ("", ""))[1]
    return int(data) if len(data) == _WH_DIGITS and _is_digits(data) else None


def _is_digits(text):
    return bool(text) and all("0" <= letter <= "9" for letter in text)
