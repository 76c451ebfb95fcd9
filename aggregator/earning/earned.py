"""What accounts earn beside production and matching, worked out when a window ends. Pure records.

One row becomes one line of a mint; `proof` stands where a line of energy has the hash of its block.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aggregator.settling.claim_pages import Claims
from ledger.book.kinds import Grade


@dataclass(frozen=True, slots=True)
class Earned:
    """What one account earned. `thing`: the device, or the first 16 bytes of `proof` for what no device measured.

    `kind`: of a declared value, else empty; `amount_mc`: set for declared values, of which `energy_wh` is 0; energy
    is valued by the policy (worth.py). `proof`: SHA-256 of the block, or of the statement.
    """

    account: bytes
    source: int
    thing: bytes
    start_s: int
    end_s: int
    revision: int
    energy_wh: int
    proof: bytes
    grade: Grade = Grade.DEVICE
    kind: str = ""
    amount_mc: int = 0


@dataclass(frozen=True, slots=True)
class Further:
    """Claims of a window beside production and matching, their amounts final. One with the evidence id −n stands by
    `proofs[n − 1]`."""

    claims: Claims
    proofs: Sequence[bytes]
