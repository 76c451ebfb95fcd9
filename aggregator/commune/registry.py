"""Whom we believe, taken from the ledger's state; and the signed snapshot that gateways receive (retained)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aggregator.commune.places import Located, Places
from aggregator.intake.checking import Keys
from aggregator.settling.interval import PERMILLE, Meter
from commonwatt import cose, topics
from commonwatt.identity import SigningKey
from commonwatt.registry import Snapshot, Status
from commonwatt.transport import REGISTRY
from ledger.book.state import State


@dataclass(frozen=True, slots=True)
class Directory:
    """The commune's devices and gateways as one state of the ledger has them.

    `keys`: of those who sign blocks. `gateways`: keys of active ones.
    """

    snapshot: Snapshot
    keys: Keys
    meters: Mapping[bytes, Meter]
    gateways: Mapping[bytes, bytes]

    @classmethod
    def of(cls, state: State, places: Places | None = None) -> "Directory":
        """Read the state. `places`: what the commune knows of its sites; none: nothing."""
        snapshot = state.admissions.snapshot(state.size)
        sites = places.sites if places is not None else {}
        return cls(
            snapshot,
            Keys.of(snapshot.devices.values()),
            {
                row.device: Meter(
                    *(row.device, row.role, row.site, row.account, row.rated_power_w, row.grade),
                    unsold_permille=_unsold_permille(sites.get(row.site)),
                    feeder=sites[row.site].feeder if row.site in sites else None,
                )
                for row in state.admissions.devices()
            },
            {
                gateway: public_key
                for gateway, (public_key, status) in state.admissions.gateways().items()
                if status is Status.ACTIVE
            },
        )


def _unsold_permille(site: Located | None) -> int:
    return PERMILLE - (site.facts.earns_nothing_permille if site is not None else 0)


class Publishing(Protocol):
    """The part of an MQTT connection that publishing needs."""

    connects: int

    @property
    def is_up(self) -> bool:
        """Whether a message would be sent."""
        ...

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Send a message; False when there is no connection."""
        ...


class RegistryPublisher:
    """Publishes the snapshot to every gateway at start, on change and on each new connection."""

    def __init__(self, *, commune: str, genesis: bytes, key: SigningKey) -> None:
        self._commune = commune
        self._aad = cose.external_aad(REGISTRY, genesis)
        self._key = key
        self._done: tuple[int, Directory] | None = None

    def step(self, link: Publishing, directory: Directory) -> None:
        """Publish if this connection or this directory is new; a failed attempt is repeated at the next step."""
        if self._done is not None and self._done[0] == link.connects and self._done[1] is directory:
            return
        connects = link.connects
        signed = cose.sign1(directory.snapshot.encode(), self._key, self._aad)
        sent = [
            link.publish(topics.of_gateway(self._commune, gateway, topics.REGISTRY), signed, retain=True)
            for gateway in directory.gateways
        ]
        if link.is_up and all(sent):
            self._done = (connects, directory)
