"""Who lives in the demo beside its homes, and the identifiers that a run gives everybody."""

from dataclasses import dataclass

from commonwatt.demo.registers.homes import Village
from commonwatt.identity import new_id

BAKER = "baker"


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Random ids of one run, by the names of the village; accounts also by the baker's."""

    accounts: dict[str, bytes]
    sites: dict[str, bytes]
    devices: dict[str, bytes]
    gateways: dict[str, bytes]

    @classmethod
    def fresh(cls, village: Village) -> "Identifiers":
        """New ids for everybody."""
        return cls(
            accounts={name: new_id() for name in (*village.homes, BAKER)},
            sites={home: new_id() for home in village.homes},
            devices={name: new_id() for name in village.devices},
            gateways={name: new_id() for name in village.gateways},
        )
