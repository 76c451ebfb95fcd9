"""Totals that never decrease, for those who take a smaller number for a reset: what each meter has counted here.

A register that runs backwards, leaps or is another meter's adds nothing: the total goes on from where it was, by what
the register grows from then on. `take` writes, so it runs inside a transaction: what was told is never undercut.
"""

import json
from dataclasses import dataclass, field

from gateway.database import Database
from gateway.meters.plausible import Limits, doubt
from gateway.meters.sampling import Reading

_KEY = "total/"


@dataclass(frozen=True, slots=True)
class Total:
    """The last reading of a meter, and the total of each quantity that followed from it, in Wh."""

    reading: Reading
    total_wh: dict[int, int] = field(default_factory=dict)

    def after(self, reading: Reading, limits: Limits, *, step_s: int) -> "Total":
        """The total once another reading was believed."""
        before_wh = dict(self.reading.registers_wh)
        counts_on = doubt(self.reading, reading, limits, step_s=step_s) is None
        grown_wh = {
            quantity: self.total_wh[quantity] + (wh - before_wh[quantity] if counts_on else 0)
            for quantity, wh in reading.registers_wh
            if quantity in self.total_wh
        }
        return Total(reading, dict(reading.registers_wh) | self.total_wh | grown_wh)

    @classmethod
    def first(cls, reading: Reading) -> "Total":
        """The registers themselves, when a meter is seen for the first time."""
        return cls(reading, dict(reading.registers_wh))


class Totals:
    """The totals of all meters, kept in the spool's database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        rows = database.execute("SELECT key, value FROM meta WHERE key >= ? AND key < ?", (_KEY, _KEY + "g"))
        totals = [_decoded(key.removeprefix(_KEY), value) for key, value in rows]
        self.by_device = {total.reading.device: total for total in totals}

    def take(self, reading: Reading, limits: Limits, *, step_s: int) -> None:
        """Go on by a believed reading; the same one again changes nothing."""
        last = self.by_device.get(reading.device)
        if last and last.reading == reading:
            return
        total = last.after(reading, limits, step_s=step_s) if last else Total.first(reading)
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_key(reading.device), _encoded(total)))
        self.by_device[reading.device] = total

    def forget(self, device: bytes) -> None:
        """A meter that is read no longer."""
        self._database.execute("DELETE FROM meta WHERE key = ?", (_key(device),))
        self.by_device.pop(device, None)


def _key(device: bytes) -> str:
    return _KEY + device.hex()


def _encoded(total: Total) -> str:
    return json.dumps([total.reading.time_s, total.reading.registers_wh, sorted(total.total_wh.items())])


def _decoded(device: str, text: str) -> Total:
    time_s, registers, totals = json.loads(text)
    reading = Reading(bytes.fromhex(device), time_s, tuple((quantity, wh) for quantity, wh in registers))
    return Total(reading, dict(totals))
