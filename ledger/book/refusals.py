"""Why an entry is refused. The first failing check, in this order, is the answer."""

from enum import IntEnum


class Refusal(IntEnum):
    """An entry that has no place in this log. Numbers are stable; people see the label."""

    TOO_LARGE = 1
    MALFORMED = 2
    NOT_CANONICAL = 3
    MISPLACED = 4  # genesis not first, something else first, or something between mint leaves and their run
    CONFLICT = 5  # the id names another entry already
    UNKNOWN_SIGNER = 6  # no role that may sign this kind has a key with this hint
    UNKNOWN_ACCOUNT = 7
    BAD_SIGNATURE = 8  # also: signed for another commune or another purpose
    QUORUM_NOT_REACHED = 9
    UNKNOWN_SUBJECT = 10
    REVOKED = 11
    SUSPENDED = 12
    WEAK_KEY = 13  # small order, or not a canonical point
    DUPLICATE_KEY = 14  # the hint is taken
    DUPLICATE_SUBJECT = 15  # the id is admitted already, or reserved
    WRONG_POLICY = 16  # the hash is not the text's, the version does not grow, or no such policy is in the log
    AMOUNT_ZERO = 17
    SAME_ACCOUNT = 18
    WINDOW_MISMATCH = 19  # leaves of one run are of different windows, or the run names another
    WINDOW_MINTED = 20  # this account and source were minted for this time already
    RUN_RANGE = 21
    RUN_ROOT = 22
    RUN_TOTAL = 23
    INSUFFICIENT_FUNDS = 24
    OVERFLOW = 25  # a total would leave 63 bits

    @property
    def label(self) -> str:
        """The name in messages, metrics and vectors: "bad-signature"."""
        return self.name.lower().replace("_", "-")


REFUSAL_BY_REASON = {
    "too-large": Refusal.TOO_LARGE,
    "malformed": Refusal.MALFORMED,
    "not-canonical": Refusal.NOT_CANONICAL,
}
"""What a FormatError of an entry means to its sender."""
