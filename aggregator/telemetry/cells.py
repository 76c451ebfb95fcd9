"""The commune's cells as energy is told of them: who is in which, the largest first, and what they are rated for."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.commune.attributes import FeederFacts, TransformerFacts
from aggregator.commune.places import Places
from aggregator.commune.registry import Directory
from aggregator.telemetry.measurements import COMMUNE, LEVELS
from commonwatt.registry import Status
from ledger.book.kinds import DeviceRole

VOLTAGE_V, PHASES = 230, 3


@dataclass(frozen=True, slots=True)
class Cell:
    """One level's place. `key`: how journal and memory know it, whatever it is called later; `sites`: by number."""

    level: str
    place: str
    key: str
    sites: NDArray[np.int64]
    rating_w: int | None

    @property
    def tags(self) -> dict[str, str]:
        """Of its points."""
        return {"level": self.level, "place": self.place}


@dataclass(frozen=True, slots=True)
class Commune:
    """Meters that make energy of sites, in the order of their ids, and the sites by number. `is_expected`: by site,
    whether a main meter of it is in service."""

    mains: tuple[bytes, ...]
    site_of_main: NDArray[np.int64]
    generators: tuple[bytes, ...]
    site_of_generator: NDArray[np.int64]
    sites: tuple[bytes, ...]
    site_of_device: Mapping[bytes, int]
    is_expected: NDArray[np.bool_]
    cells: tuple[Cell, ...]

    @classmethod
    def of(cls, directory: Directory, places: Places, names: Mapping[bytes, str], slug: str) -> "Commune":
        """Of whom the ledger admitted and where the private store says they live."""
        meters = directory.meters
        numbers: dict[bytes, int] = {}
        site_of_device = {device: numbers.setdefault(row.site, len(numbers)) for device, row in meters.items()}
        mains = tuple(device for device, row in meters.items() if row.role is DeviceRole.MAIN)
        generators = tuple(device for device, row in meters.items() if row.role is DeviceRole.PRODUCTION)
        active = {record.device for record in directory.keys.records() if record.status is Status.ACTIVE}
        is_expected = np.zeros(len(numbers), dtype=bool)
        is_expected[[site_of_device[device] for device in mains if device in active]] = True
        return cls(
            mains,
            np.array([site_of_device[device] for device in mains], dtype=np.int64),
            generators,
            np.array([site_of_device[device] for device in generators], dtype=np.int64),
            tuple(numbers),
            site_of_device,
            is_expected,
            tuple(_cells(numbers, places, names, slug)),
        )

    def ids(self, sites: NDArray[np.int64]) -> frozenset[bytes]:
        """The ids of sites."""
        return frozenset(self.sites[site] for site in sites.tolist())


def _cells(numbers: Mapping[bytes, int], places: Places, names: Mapping[bytes, str], slug: str) -> Iterator[Cell]:
    """Large levels first, so that what is withheld is a small cell; inside a level by id, as it stays."""
    yield Cell(COMMUNE, slug, COMMUNE, np.arange(len(numbers)), None)
    ratings: dict[bytes, int | None] = {
        **{place: facts.rating_w for place, facts in places.transformers.items()},
        **{place: rating_w(facts) for place, facts in places.feeders.items()},
    }
    for level in ("transformer", "quarter", "feeder"):
        assert level in LEVELS
        members: dict[bytes, list[int]] = defaultdict(list)
        for site, number in numbers.items():
            located = places.sites.get(site)
            place = getattr(located, level) if located is not None else None
            if place is not None:
                members[place].append(number)
        for place, found in sorted(members.items()):
            name = names.get(place, place.hex()[:8])
            yield Cell(level, name, f"{level}:{place.hex()}", np.array(sorted(found)), ratings.get(place))


def rating_w(facts: FeederFacts | TransformerFacts) -> int | None:
    """What a feeder is rated for; of a current, three phases of 230 V."""
    current_a = getattr(facts, "rating_a", None)
    if facts.rating_w is None and current_a is not None:
        return PHASES * VOLTAGE_V * int(current_a)
    return facts.rating_w
