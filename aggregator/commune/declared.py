"""What the private store says of sites that measurements can be held against."""

from collections.abc import Mapping
from pathlib import Path

from aggregator.commune.attributes import SiteFacts
from aggregator.commune.places import Places
from aggregator.plausibility.declared import Declared


def read(directory: Path) -> Mapping[bytes, Declared]:
    """Of every site of a commune that the store knows, by id."""
    return {site: of(place.facts) for site, place in Places.read(directory).sites.items()}


def of(facts: SiteFacts) -> Declared:
    """A site's declaration."""
    return Declared(
        installed_wp=facts.installed_wp,
        contracted_va=facts.contracted_power_va,
        latitude=facts.latitude,
        longitude=facts.longitude,
        tilt_deg=facts.tilt_deg,
        azimuth_deg=facts.azimuth_deg,
        storage_wh=facts.storage_wh,
    )
