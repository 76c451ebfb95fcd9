"""What came of requests that are over, as far as it may be told: the same figures that the dashboards have."""

from collections.abc import Mapping, Sequence

from aggregator.commune.places import Places
from aggregator.commune.registry import Directory
from aggregator.privacy.memory import remembering
from aggregator.privacy.rule import Withheld
from aggregator.reading import NothingMeasuredError, reading
from aggregator.statements.requests import Request
from aggregator.telemetry import asked
from aggregator.telemetry.cells import Commune
from ledger.book.state import State
from web.association.office import Office

Fields = Mapping[str, int]
"""`sites`: how many were measured; `expected_wh`, `used_wh`, and `shifted_wh`, `reward_mc` where they may be told."""


def commune_of(office: Office, state: State, places: Places) -> Commune:
    """Whose energy is whose."""
    names = {
        row.id: row.name for table in ("feeders", "transformers", "quarters") for row in office.names().people(table)
    }
    return Commune.of(Directory.of(state, places), places, names, office.facts.origin)


def read(office: Office, commune: Commune, over: Sequence[Request]) -> dict[int, Fields]:
    """By the request's place; of those of whom anything is known."""
    found: dict[int, Fields] = {}

    def withheld(_reason: Withheld) -> None:
        """Nobody counts here: the page says that it is not told."""

    try:
        with reading(office.directory, office.database_url) as connection, remembering(office.known.path) as memory:
            for request in over:
                point = asked.came(connection, request, commune, withheld, asked.remembered(memory, request))
                if point is not None:
                    found[request.place] = {name: int(value) for name, value in point.fields.items()}
    except NothingMeasuredError:
        return {}
    return found
