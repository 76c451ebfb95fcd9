"""What may be known of people and places beyond their names: each optional, each with the reason why it is asked for.

These models read rosters and the private store alike. A place is named by its name in a roster and by its id, in
hexadecimal, in the store, so that it can be renamed.
"""

from datetime import date
from typing import Any, Literal

from pydantic import Field, model_validator

from commonwatt.settings import Settings

Purpose = Literal["statistics", "comparison", "own-dashboard"]
PURPOSES: tuple[Purpose, ...] = ("statistics", "comparison")
"""What a member agrees to, each by itself: to be counted in statistics of places, and to stand (without a name)
beside homes that want to compare themselves. Settlement is no purpose: it is what a member joined for."""
OWN_DASHBOARD: Purpose = "own-dashboard"
"""To have the home's own energy in a bucket that the member keeps; agreed to by its name alone, never by
`consent_until`."""

MemberKind = Literal["owner", "tenant", "landlord", "building-operator", "energy-supplier"]
Heating = Literal["electric", "heat-pump", "other"]
ProductionSale = Literal["none", "purchase-obligation", "guarantees-of-origin"]

PLACES = {"building": "buildings", "quarter": "quarters", "feeder": "feeders", "transformer": "transformers"}
"""Fields that name a place, and the table it stands in."""

_PLACE = Field(default=None, min_length=1, max_length=80)
_RATING = Field(default=None, gt=0, le=10**9, strict=True)


class MemberFacts(Settings):
    """What is known of a member."""

    kind: MemberKind | None = None
    """Who decides about roof and meter is not who lives below it: figures and letters go to the right one."""
    consent_until: date | None = None
    """The last day of the consent to every purpose that `consent` does not name."""
    consent: dict[Purpose, date] = Field(default_factory=dict)
    """The last day of the consent to one purpose; a purpose without a day is not agreed to."""

    @property
    def consents(self) -> dict[Purpose, date]:
        """The last day by purpose, of those agreed to."""
        everywhere = {} if self.consent_until is None else dict.fromkeys(PURPOSES, self.consent_until)
        return {**everywhere, **self.consent}


class TransformerFacts(Settings):
    """What is known of a transformer."""

    rating_w: int | None = _RATING
    """What it can carry for long: the grid operator's limit for all its feeders together."""


class FeederFacts(Settings):
    """What is known of a feeder."""

    transformer: str | None = _PLACE
    """The transformer it leaves; loads and feed-in add up there."""
    rating_w: int | None = _RATING
    """What its cable carries for long: beyond it the operator announces peaks."""
    rating_a: int | None = _RATING
    """The same as a current per phase, where the data sheet says it so."""


class QuarterFacts(Settings):
    """What is known of a quarter."""


class BuildingFacts(Settings):
    """What is known of a building."""

    quarter: str | None = _PLACE
    """Its part of the commune, for statistics that residents recognise."""
    feeder: str | None = _PLACE
    """The feeder its dwellings hang on, unless a dwelling says otherwise."""


class SiteFacts(Settings):
    """What is known of a site."""

    building: str | None = _PLACE
    """The house a dwelling is in; its quarter and feeder are the dwelling's."""
    quarter: str | None = _PLACE
    """For a house of its own that has no building."""
    feeder: str | None = _PLACE
    """For a house of its own, or a dwelling on another feeder than its building."""
    installed_wp: int | None = _RATING
    """Peak power of the solar modules: no production is believed beyond what the sky gives to it."""
    contracted_power_va: int | None = _RATING
    """What the meter lets through: no consumption is believed far beyond it."""
    latitude: float | None = Field(default=None, ge=-90, le=90)
    """Where the sun is seen from, degrees north; kept to two decimals, a kilometre: the sun asks for no more."""
    longitude: float | None = Field(default=None, ge=-180, le=180)
    """Degrees east, to two decimals."""
    tilt_deg: int | None = Field(default=None, ge=0, le=90, strict=True)
    """Of the modules: 0 lies flat, 90 hangs on a wall."""
    azimuth_deg: int | None = Field(default=None, ge=0, lt=360, strict=True)
    """Where the modules look: 0 north, 90 east, 180 south, 270 west."""
    storage_wh: int | None = Field(default=None, ge=0, le=10**9, strict=True)
    """What its batteries hold; 0 says that there are none, and then no more is fed in than is made."""
    heating: Heating | None = None
    """What heats it: homes compare themselves with homes that are heated alike."""
    sells_production: ProductionSale | None = None
    """Production that is paid for elsewhere earns nothing here: a kilowatt-hour has one owner."""
    sold_permille: int | None = Field(default=None, ge=1, le=1000, strict=True)
    """How much of the production is sold so; all of it unless said."""

    @model_validator(mode="after")
    def _fits_together(self) -> "SiteFacts":
        if self.sold_permille is not None and self.sells_production in (None, "none"):
            raise ValueError("sold_permille without sells_production")
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude go together")
        return self

    @property
    def earns_nothing_permille(self) -> int:
        """How much of the production is sold elsewhere."""
        return 0 if self.sells_production in (None, "none") else self.sold_permille or 1000


def as_attributes(facts: Settings, model: type[Settings]) -> dict[str, Any]:
    """What a row says of `model`'s fields, as the private store keeps it: only what was said."""
    said = facts.model_dump(mode="json", include=set(model.model_fields), exclude_none=True, exclude_defaults=True)
    return {key: round(value, 2) if isinstance(value, float) else value for key, value in said.items()}
