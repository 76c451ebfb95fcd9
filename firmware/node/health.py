"""Counts starts and why they happened, and says when to stop trying: after five in a row that failed.

    start ── well() ────▶ it did what it is for: a power cut is no failure then; a crash, watchdog or brown-out is
      │      steady() ──▶ it did so for long: however it ends, it has not failed
      └──── ended before that: failed + 1;  failed = 5: safe mode: relay, network, updates and reports only

In safe mode the relay stays. Flash keeps the counts in a node.cell.Cell; a worn one costs counts, not safety.
"""

from node import cbor
from node.port import const

FAILED_MAX = const(5)
CAUSES = ("power", "watchdog", "brownout", "reset", "other")

_VERSION = const(3)
_CRASH_MAX = const(60)
_NOT = const(0)
_WELL = const(1)
_STEADY = const(2)


class Health:
    """One per boot. `cause` is the board's word for why it starts, one of CAUSES."""

    def __init__(self, cell, cause):
        self._cell = cell
        self.boots, self.failed, self._proof, self.by_cause, self.crashes, self.last_crash = _load(cell.value)
        if self._proof == _STEADY or (self._proof == _WELL and cause not in ("watchdog", "brownout")):
            self.failed = 0
        self.boots += 1
        self.failed += 1  # until it proves otherwise
        self._proof = _NOT
        self.by_cause[CAUSES.index(cause if cause in CAUSES else "other")] += 1
        self.unwritten = 0
        self._save()

    @property
    def is_safe_mode(self):
        """Whether the five starts before this one came to nothing."""
        return self.failed > FAILED_MAX

    def well(self):
        """The device does what it is for. Written once in a boot."""
        self._prove(_WELL)

    def steady(self):
        """It has done so for long. Written once in a boot."""
        self._prove(_STEADY)

    def crashed(self, error):
        """Our own mistake ends this start: keep what it was for whoever reads the next start's report."""
        self.crashes += 1
        self.last_crash = ("%s: %s" % (type(error).__name__, error)).encode()[:_CRASH_MAX]
        if self._proof == _WELL:
            self._proof = _NOT
        self._save()

    def state(self):
        """What the status says."""
        state = {
            "boots": self.boots,
            "boots_failed": 0 if self._proof else self.failed,
            "safe_mode": self.is_safe_mode,
        }
        for cause, count in zip(CAUSES, self.by_cause):  # noqa: B905
            state["boots_by_" + cause] = count
        state["crashes"] = self.crashes
        state["last_crash"] = _text(self.last_crash)
        state["boots_unwritten"] = self.unwritten
        return state

    def _prove(self, proof):
        if self._proof < proof:
            self._proof = proof
            self._save()

    def _save(self):
        record = [_VERSION, self.boots, self.failed, self._proof, self.by_cause, self.crashes, self.last_crash]
        try:
            self._cell.write(cbor.encode(record))
        except OSError:
            self.unwritten += 1


def _load(value):
    """(boots, failed, proof, counts by cause, crashes, the last one's words); zeros for what no cell holds."""
    try:
        version, boots, failed, proof, by_cause, crashes, last_crash = cbor.decode(value)
        if version == _VERSION and len(by_cause) == len(CAUSES):
            return boots, failed, proof, list(by_cause), crashes, last_crash
    except (TypeError, ValueError):
        pass
    return 0, 0, _NOT, [0] * len(CAUSES), 0, b""


def _text(data):
    """Words that were cut anywhere."""
    return "".join([chr(byte) if 32 <= byte < 127 else "?" for byte in data])
