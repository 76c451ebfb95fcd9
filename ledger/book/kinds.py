"""The numbers and names of the format: kinds of entry, subjects, roles. docs/spec/entry.cddl."""

from enum import IntEnum

# Spelled "as" where who reads entries finds everything in one import.
from ledger.book.units import ISSUANCE as ISSUANCE
from ledger.book.units import Unit as Unit


class Kind(IntEnum):
    """The kinds of entry; numbers are part of the format."""

    GENESIS = 1
    ADMIT = 2
    STATUS = 3
    POLICY = 4
    MINT = 5
    MINT_RUN = 6
    TRANSFER = 7
    ROTATE = 8
    GUARD = 9
    PAYMENT_REQUEST = 10
    PAYMENT_ANSWER = 11
    TOP_UP = 12
    REDEEM = 13
    CREDIT_LIMIT = 14
    CHARGE = 15
    REVERSE = 16
    HOLD = 17
    RELEASE = 18
    CARRY_FORWARD = 19

    @property
    def label(self) -> str:
        """The name in external_aad and in what people see: "mint-run"."""
        return self.name.lower().replace("_", "-")


class Subject(IntEnum):
    """What an admission or a status is about."""

    MEMBER = 1
    MERCHANT = 2
    SITE = 3
    DEVICE = 4
    GATEWAY = 5
    ASSOCIATION = 6
    WITNESS = 7
    ROLE = 8


class DeviceRole(IntEnum):
    """What a meter measures: the site at the grid, a generator, or one appliance behind the main meter."""

    MAIN = 1
    PRODUCTION = 2
    SUB_METER = 3


class Grade(IntEnum):
    """Who stands for a claim: the meter reader that signed it, the gateway that read it over a bus, or a person whom
    a second one confirmed. Devices have one of the first two."""

    DEVICE = 1
    GATEWAY = 2
    DECLARED = 3


ROLE_NAMES = ("steward", "townhall", "operator", "auditor", "aggregator")
QUORUM_KINDS = (Kind.ADMIT, Kind.STATUS, Kind.POLICY, Kind.MINT_RUN)
"""Kinds that roles sign in every ledger; the constitution has one quorum for each."""

OPTIONAL_QUORUM_KINDS = (
    Kind.ROTATE,
    Kind.TOP_UP,
    Kind.REDEEM,
    Kind.CREDIT_LIMIT,
    Kind.CHARGE,
    Kind.REVERSE,
    Kind.HOLD,
    Kind.RELEASE,
    Kind.CARRY_FORWARD,
)
"""Kinds that roles sign, or approve, where the constitution has a quorum for them; where it has none nobody may."""

WALLET_KINDS = (Kind.TRANSFER, Kind.GUARD, Kind.PAYMENT_REQUEST, Kind.PAYMENT_ANSWER)
"""Kinds that a wallet signs alone. A redemption is signed by a wallet and approved by roles; a rotation by the old
key, or by those who may recover it."""
