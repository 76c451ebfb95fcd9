"""What the gateway keeps for its own meters: readings not yet in a block, and where each chain of blocks goes on.

All writes belong inside the spool's transaction: a reading, the block it ends in and the chain's next link become
durable together, so a SIGKILL at any instant leaves no reading twice and no two blocks with one number.
"""

import json

from commonwatt.block import FIRST_LINK
from gateway.database import Database
from gateway.meters.sampling import Chain, Reading


class ChainStore:
    """Pending readings and chains in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pending(self, device: bytes) -> list[Reading]:
        """The readings that wait for their block, in the order of time."""
        rows = self._database.execute(
            "SELECT time_s, registers FROM pending WHERE device = ? ORDER BY time_s", (device,)
        )
        return [Reading(device, time_s, _registers(text)) for time_s, text in rows]

    def keep(self, reading: Reading) -> None:
        """Store a reading."""
        self._database.execute(
            "INSERT INTO pending (device, time_s, registers) VALUES (?, ?, ?)",
            (reading.device, reading.time_s, json.dumps(reading.registers_wh)),
        )

    def forget(self, device: bytes) -> None:
        """Drop the pending readings: they are in a block now."""
        self._database.execute("DELETE FROM pending WHERE device = ?", (device,))

    def chain(self, device: bytes, public_key: bytes) -> Chain:
        """Where the chain under this key goes on; a new key starts a new one."""
        rows = self._database.execute(
            "SELECT seq, prev FROM chain WHERE device = ? AND public_key = ?", (device, public_key)
        )
        return Chain(*rows[0]) if rows else Chain(0, FIRST_LINK)

    def go_on(self, device: bytes, public_key: bytes, chain: Chain) -> None:
        """Store where it goes on after a block."""
        self._database.execute(
            "INSERT OR REPLACE INTO chain (device, public_key, seq, prev) VALUES (?, ?, ?, ?)",
            (device, public_key, chain.seq, chain.prev),
        )

    def last(self, device: bytes) -> Reading | None:
        """The last reading that went into a block: none of its step is taken again, and the next must follow it."""
        rows = self._database.execute("SELECT value FROM meta WHERE key = ?", (_last_key(device),))
        if not rows:
            return None
        time_s, registers = json.loads(rows[0][0])
        return Reading(device, time_s, _pairs(registers))

    def keep_last(self, reading: Reading) -> None:
        """Store that reading."""
        text = json.dumps([reading.time_s, reading.registers_wh])
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_last_key(reading.device), text))


def _last_key(device: bytes) -> str:
    return f"last_reading/{device.hex()}"


def _registers(text: str) -> tuple[tuple[int, int], ...]:
    return _pairs(json.loads(text))


def _pairs(registers: list[list[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((quantity, register_wh) for quantity, register_wh in registers)
