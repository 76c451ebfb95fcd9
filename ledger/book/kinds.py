"""The numbers and names of the format: kinds of entry, subjects, roles. docs/spec/entry.cddl."""

from enum import IntEnum

ISSUANCE = bytes(16)
"""The account that every credit comes from; the only one that may go below zero."""


class Kind(IntEnum):
    """The kinds of entry; numbers are part of the format."""

    GENESIS = 1
    ADMIT = 2
    STATUS = 3
    POLICY = 4
    MINT = 5
    MINT_RUN = 6
    TRANSFER = 7

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


class DeviceRole(IntEnum):
    """What a meter measures: the site at the grid, a generator, or one appliance behind the main meter."""

    MAIN = 1
    PRODUCTION = 2
    SUB_METER = 3


class Grade(IntEnum):
    """Who signs a reading: the meter reader itself, or the gateway that read it over a bus."""

    DEVICE = 1
    GATEWAY = 2


ROLE_NAMES = ("steward", "townhall", "operator", "auditor", "aggregator")
QUORUM_KINDS = (Kind.ADMIT, Kind.STATUS, Kind.POLICY, Kind.MINT_RUN)
"""Kinds that roles sign; the constitution has one quorum for each."""
