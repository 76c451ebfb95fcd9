"""Why an entry is refused. The first failing check, in this order, is the answer."""

from enum import IntEnum


class Refusal(IntEnum):
    """An entry that has no place in this log. In the order of the checks; numbers are stable, people see labels."""

    TOO_LARGE = 1
    MALFORMED = 2
    NOT_CANONICAL = 3
    MISPLACED = 4  # genesis not first, something else first, or something between mint leaves and their run
    CONFLICT = 5  # the id names another entry already
    UNKNOWN_SIGNER = 6  # no role that may sign this kind has a key with this hint
    UNKNOWN_ACCOUNT = 7
    UNKNOWN_ENTRY = 32  # names a request, a hold or a payment that is closed, too old or was never there
    NOT_A_MERCHANT = 30  # only merchants take euros back
    BAD_SIGNATURE = 8  # also: signed for another commune or another purpose
    KEY_ROTATED = 26  # signed by a key that was replaced
    QUORUM_NOT_REACHED = 9
    UNKNOWN_SUBJECT = 10
    REVOKED = 11
    SUSPENDED = 12
    WEAK_KEY = 13  # small order, or not a canonical point
    DUPLICATE_KEY = 14  # the hint is taken
    NOT_POSSESSED = 39  # the new key has not approved its own rotation
    DUPLICATE_SUBJECT = 15  # the id is admitted already, or reserved
    LAST_KEY = 38  # without this key some quorum could never be met again
    WRONG_POLICY = 16  # the hash is not the text's, the version does not grow, or no such rule is in force
    UNKNOWN_UNIT = 27  # the constitution does not have this unit
    MIXED_UNITS = 28  # payer and payee are accounts of different units
    WRONG_UNIT = 29  # this is not done with accounts of this unit
    AMOUNT_ZERO = 17
    WRONG_AMOUNT = 36  # more than is left of what it undoes, or not the whole of what goes back only as a whole
    SAME_ACCOUNT = 18
    REQUEST_STATE = 33  # the request does not wait for this answer
    TOO_MANY_OPEN = 43  # this payee has too many open requests
    WRONG_PERIOD = 34  # not as long as the policy says, charged already, or not over yet
    WRONG_TOTAL = 35  # recomputed, the charge comes to another sum
    WRONG_BALANCE = 40  # a carry-forward states other balances than the book's
    NOT_REVOKED = 41  # an account is erased only after it was revoked
    NOT_CARRIED = 44  # an empty slot that no carry-forward names
    STILL_OPEN = 42  # requests or holds of an account that is to be erased
    CLAIM_HELD = 37  # this account and source are held for this time
    WINDOW_MISMATCH = 19  # leaves of one run are of different windows, or the run names another
    WINDOW_MINTED = 20  # this account and source were minted for this time already
    RUN_RANGE = 21
    RUN_ROOT = 22
    RUN_TOTAL = 23
    INSUFFICIENT_FUNDS = 24  # below zero, or below the credit limit; what is pending counts as gone
    RESERVE_EXCEEDED = 31  # more euro-backed units than euros in the reserve
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
