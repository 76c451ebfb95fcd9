"""A device's chain of blocks, checked over the bytes as signed. Pure.

Every block names its place (`seq`) and the block before it (`prev`). Blocks may arrive in any order, twice, or with
others missing; what can never be is two histories, and whoever signed them is frozen for review.
"""

from dataclasses import dataclass
from enum import Enum

from commonwatt.block import FIRST_LINK, LINK_SIZE


class Verdict(Enum):
    """What a block is to the chain that we hold."""

    NEW = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Link:
    """A block that we hold: SHA-256 of its bytes, and the link to the one before it."""

    sha256: bytes
    prev: bytes


def judge(
    seq: int, prev: bytes, sha256: bytes, *, same: Link | None, before: bytes | None, after: Link | None
) -> tuple[Verdict, int]:
    """The verdict on a block, and for a conflict the seq of the block that it contradicts.

    `same`, `after`: what we hold under its seq and the next; `before`: the link of the one before it. The first
    block of a chain that does not begin with zeros contradicts itself.
    """
    if same is not None:
        return (Verdict.DUPLICATE if same.sha256 == sha256 else Verdict.CONFLICT), seq
    if seq == 0 and prev != FIRST_LINK:
        return Verdict.CONFLICT, seq
    if before is not None and prev != before:
        return Verdict.CONFLICT, seq - 1
    if after is not None and after.prev != sha256[:LINK_SIZE]:
        return Verdict.CONFLICT, seq + 1
    return Verdict.NEW, seq
