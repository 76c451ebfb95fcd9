"""Counts starts and why they happened, and says when to stop trying: after five that failed.

    boot ── well() within the boot ──▶ failed = 0
      └──── another boot ────────────▶ failed + 1;  failed = 5: safe mode: network and updates only

In safe mode the relay stays. Flash keeps the counts in a node.cell.Cell; a worn one costs counts, not safety.
"""

from node import cbor
from node.port import const

FAILED_MAX = const(5)
CAUSES = ("power", "watchdog", "brownout", "reset", "other")


class Health:
    """One per boot. `cause` is the board's word for why it starts, one of CAUSES."""

    def __init__(self, cell, cause):
        self._cell = cell
        self.boots, self.failed, self.by_cause = _load(cell.value)
        self.boots += 1
        self.failed += 1  # until it proves otherwise
        self.by_cause[CAUSES.index(cause if cause in CAUSES else "other")] += 1
        self.unwritten = 0
        self._save()

    @property
    def is_safe_mode(self):
        """Whether the five starts before this one came to nothing."""
        return self.failed > FAILED_MAX

    def well(self):
        """The device does what it is for: it read its meter and reached its gateway. Written once in a boot."""
        if self.failed:
            self.failed = 0
            self._save()

    def state(self):
        """What the status says."""
        state = {"boots": self.boots, "boots_failed": self.failed, "safe_mode": self.is_safe_mode}
        for cause, count in zip(CAUSES, self.by_cause):  # noqa: B905
            state["boots_by_" + cause] = count
        return state

    def _save(self):
        try:
            self._cell.write(cbor.encode([1, self.boots, self.failed, self.by_cause]))
        except OSError:
            self.unwritten += 1


def _load(value):
    """(boots, failed, counts by cause); zeros for what no cell holds."""
    try:
        version, boots, failed, by_cause = cbor.decode(value)
        if version == 1 and len(by_cause) == len(CAUSES):
            return boots, failed, list(by_cause)
    except (TypeError, ValueError):
        pass
    return 0, 0, [0] * len(CAUSES)
