"""A device's chain of blocks, checked over the bytes as signed. Pure.

Every block names its place (`seq`) and the block before it (`prev`). Blocks may arrive in any order, twice, or with
others missing; what can never be is two histories, and whoever signed them is frozen for review.
"""

from dataclasses import dataclass
from enum import Enum

from commonwatt.block import FIRST_LINK, LINK_SIZE, Block


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
    block: Block, sha256: bytes, *, same: Link | None, before: Link | None, after: Link | None
) -> tuple[Verdict, int]:
    """The verdict on a block, and for a conflict the seq of the block that it contradicts.

    `same`, `before`, `after`: what we hold under its seq and its neighbours'. The first block of a chain that does
    not begin with zeros contradicts itself.
    """
    if same is not None:
        return (Verdict.DUPLICATE if same.sha256 == sha256 else Verdict.CONFLICT), block.seq
    if block.seq == 0 and block.prev != FIRST_LINK:
        return Verdict.CONFLICT, block.seq
    if before is not None and block.prev != before.sha256[:LINK_SIZE]:
        return Verdict.CONFLICT, block.seq - 1
    if after is not None and after.prev != sha256[:LINK_SIZE]:
        return Verdict.CONFLICT, block.seq + 1
    return Verdict.NEW, block.seq
