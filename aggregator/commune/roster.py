"""The roster: who and what is to be admitted, as a person writes it. Names stay with us; the log gets commitments.

    [[members]]
    name = "Ana"
    wallet = "5f…"              # the public key of her wallet, 64 hex digits

    [[sites]]
    name = "Ana's house"
    member = "Ana"

    [[devices]]
    name = "Ana's meter"
    site = "Ana's house"
    public_key = "b2…"          # printed by the device at its first boot
    role = "main"               # main, production or submeter
    rated_power_w = 9000
    grade = "device"            # device: signs itself; gateway: read over a bus

    [[gateways]]
    name = "town hall's cellar"
    public_key = "e3…"

`id` (32 hex digits) is optional everywhere: without one a random id is drawn once and kept in private.db. What places
and people may say further is in attributes.py; docs/operating/places.md has a whole example.
"""

from collections import Counter
from typing import Literal

from pydantic import Field, model_validator

from aggregator.commune.attributes import (
    BuildingFacts,
    FeederFacts,
    MemberFacts,
    QuarterFacts,
    SiteFacts,
    TransformerFacts,
)
from commonwatt.settings import Settings
from ledger.book.body import RATED_POWER_W_MAX, DeviceRole, Grade

_ID = Field(default=None, pattern=r"^[0-9a-f]{32}$")
_KEY = Field(pattern=r"^[0-9a-f]{64}$")
_NAME = Field(min_length=1, max_length=80)

ROLES = {"main": DeviceRole.MAIN, "production": DeviceRole.PRODUCTION, "submeter": DeviceRole.SUB_METER}
GRADES = {"device": Grade.DEVICE, "gateway": Grade.GATEWAY}


class Merchant(Settings):
    """A merchant with the public key of a wallet."""

    name: str = _NAME
    id: str | None = _ID
    wallet: str = _KEY


class Member(MemberFacts):
    """A member with the public key of a wallet."""

    name: str = _NAME
    id: str | None = _ID
    wallet: str = _KEY


class Transformer(TransformerFacts):
    """A transformer of the grid."""

    name: str = _NAME


class Feeder(FeederFacts):
    """A line of the grid that leaves a transformer."""

    name: str = _NAME


class Quarter(QuarterFacts):
    """A part of the commune."""

    name: str = _NAME


class Building(BuildingFacts):
    """A house of one or many dwellings."""

    name: str = _NAME


class Site(SiteFacts):
    """A place with meters (a dwelling, a shop), and the member who earns for it."""

    name: str = _NAME
    id: str | None = _ID
    member: str


class Device(Settings):
    """A meter of a site."""

    name: str = _NAME
    id: str | None = _ID
    site: str
    public_key: str = _KEY
    role: Literal["main", "production", "submeter"]
    rated_power_w: int = Field(gt=0, le=RATED_POWER_W_MAX, strict=True)
    grade: Literal["device", "gateway"]


class Gateway(Settings):
    """Who may bring batches."""

    name: str | None = None
    id: str | None = _ID
    public_key: str = _KEY

    @model_validator(mode="after")
    def _has_a_name(self) -> "Gateway":
        if self.name is None and self.id is None:
            raise ValueError("a gateway has a name or an id")
        return self

    @property
    def known_as(self) -> str:
        """Its name, or its id where nobody named it."""
        return self.name or self.id or ""


class Roster(Settings):
    """A whole roster. Names are unique per table; holders and places that are named stand in this or an earlier
    roster."""

    transformers: list[Transformer] = Field(default_factory=list)
    feeders: list[Feeder] = Field(default_factory=list)
    quarters: list[Quarter] = Field(default_factory=list)
    buildings: list[Building] = Field(default_factory=list)
    members: list[Member] = Field(default_factory=list)
    merchants: list[Merchant] = Field(default_factory=list)
    sites: list[Site] = Field(default_factory=list)
    devices: list[Device] = Field(default_factory=list)
    gateways: list[Gateway] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Roster":
        tables = {
            "transformers": [row.name for row in self.transformers],
            "feeders": [row.name for row in self.feeders],
            "quarters": [row.name for row in self.quarters],
            "buildings": [row.name for row in self.buildings],
            "members": [row.name for row in self.members],
            "merchants": [row.name for row in self.merchants],
            "sites": [row.name for row in self.sites],
            "devices": [row.name for row in self.devices],
        }
        for table, names in tables.items():
            for name, times in Counter(names).items():
                if times > 1:
                    raise ValueError(f"{table}: {name!r} is there {times} times")
        return self
