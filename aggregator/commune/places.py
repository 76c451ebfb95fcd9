"""The commune's places and people as its private store knows them now: what other rooms ask.

Dwellings (sites) lie in buildings, buildings in quarters; they hang on feeders, feeders on transformers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aggregator.commune.attributes import (
    BuildingFacts,
    FeederFacts,
    MemberFacts,
    SiteFacts,
    TransformerFacts,
)
from aggregator.commune.directory import CommuneDirectory
from aggregator.private.store import PrivateStore
from commonwatt import settings

Facts = TypeVar("Facts", bound=settings.Settings)


@dataclass(frozen=True, slots=True)
class Located:
    """A site with everything above it, as ids; None where nobody said it. `facts`: the rest."""

    site: bytes
    building: bytes | None
    quarter: bytes | None
    feeder: bytes | None
    transformer: bytes | None
    facts: SiteFacts


@dataclass(frozen=True, slots=True)
class Places:
    """Everything by id. A site that the private store does not know is in none of them."""

    sites: Mapping[bytes, Located]
    feeders: Mapping[bytes, FeederFacts]
    transformers: Mapping[bytes, TransformerFacts]
    members: Mapping[bytes, MemberFacts]

    @classmethod
    def of(cls, store: PrivateStore) -> "Places":
        """Read the store; UserError if it holds what no version of ours wrote."""
        buildings = _facts(store, "buildings", BuildingFacts)
        feeders = _facts(store, "feeders", FeederFacts)
        sites = {
            site: _locate(site, facts, buildings, feeders)
            for site, facts in _facts(store, "sites", SiteFacts).items()
        }
        members = _facts(store, "members", MemberFacts)
        return cls(sites, feeders, _facts(store, "transformers", TransformerFacts), members)

    @classmethod
    def read(cls, directory: Path) -> "Places":
        """Those of a commune's directory; empty if nobody was ever enrolled."""
        return cls.of(PrivateStore(CommuneDirectory(directory).private_db))


def _locate(
    site: bytes, facts: SiteFacts, buildings: Mapping[bytes, BuildingFacts], feeders: Mapping[bytes, FeederFacts]
) -> Located:
    building = _id(facts.building)
    house = buildings.get(building, BuildingFacts()) if building is not None else BuildingFacts()
    feeder = _id(facts.feeder or house.feeder)
    line = feeders.get(feeder, FeederFacts()) if feeder is not None else FeederFacts()
    return Located(site, building, _id(facts.quarter or house.quarter), feeder, _id(line.transformer), facts)


def _facts(store: PrivateStore, table: str, model: type[Facts]) -> dict[bytes, Facts]:
    return {
        row.id: settings.validate(model, store.attributes(row.id), where=f"{table}.{row.name}")
        for row in store.people(table)
    }


def _id(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
