"""Why a block is refused for good, and why a claim is held, in the order in which it is checked.

The numbers are part of the wire format (docs/spec/transport.cddl); names are what people see.
"""

from enum import IntEnum


class Refusal(IntEnum):
    """A block that will never be accepted; its sender may drop it. The first failing check is the answer."""

    TOO_LARGE = 1
    MALFORMED = 2
    NOT_CANONICAL = 3
    UNKNOWN_DEVICE = 4
    REVOKED_DEVICE = 5
    BAD_SIGNATURE = 6
    CONFLICT = 7

    @property
    def label(self) -> str:
        """The name in logs, metrics and tables: "too-large"."""
        return self.name.lower().replace("_", "-")


class Hold(IntEnum):
    """A claim that waits for a steward; the block itself was accepted (docs/spec/settlement.md)."""

    BACKWARDS = 1
    FUTURE = 2
    ABOVE_RATING = 3
    FROZEN = 4
    STUCK = 5
    COPIED = 6
    PLUGS_EXCEED = 7
    NIGHT = 8
    ABOVE_CLEAR_SKY = 9
    ABOVE_CONTRACT = 10
    EXPORT_EXCEEDS = 11
    TWIN = 12
    REPLACED = 13

    @property
    def label(self) -> str:
        """The name in logs, metrics and tables: "above-rating"."""
        return self.name.lower().replace("_", "-")
