"""Whom we believe, taken from the ledger's state; and the signed snapshot that gateways receive (retained)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from aggregator.commune.meters import MeterColumns
from aggregator.commune.places import Located, Places
from aggregator.intake.keys import Keys
from aggregator.settling.interval import PERMILLE, Meter
from commonwatt import cose, topics
from commonwatt.identity import SigningKey
from commonwatt.registry import DeviceRecord, Snapshot, Status
from commonwatt.transport import REGISTRY
from ledger.book.state import State


@dataclass(frozen=True, slots=True)
class Directory:
    """The commune's devices and gateways as one state of the ledger has them: the log's first `log_size` entries.

    `keys`: of those who sign blocks. `gateways`: keys of active ones.
    """

    log_size: int
    keys: Keys
    meters: Mapping[bytes, Meter]
    gateways: Mapping[bytes, bytes]

    @classmethod
    def of(cls, state: State, places: Places | None = None) -> "Directory":
        """Read the state. `places`: what the commune knows of its sites; none: nothing."""
        columns = MeterColumns()
        sites = places.sites if places is not None else {}
        keys = Keys.of(_records(state, sites, columns))
        return cls(
            state.size,
            keys,
            columns.of(keys),
            {
                gateway: public_key
                for gateway, (public_key, status) in state.admissions.gateways().items()
                if status is Status.ACTIVE
            },
        )

    @property
    def snapshot(self) -> Snapshot:
        """The registry that gateways receive; made anew when it is asked for."""
        return Snapshot.of(self.log_size, self.keys.records())


def _records(state: State, sites: Mapping[bytes, Located], columns: MeterColumns) -> Iterator[DeviceRecord]:
    """The devices of a state, ascending by id; on the way `columns` takes what settlement needs of each."""
    for row in state.admissions.devices():
        site = sites.get(row.site)
        columns.add(row, _unsold_permille(site), site.feeder if site is not None else None)
        yield DeviceRecord(row.device, row.public_key, row.status, row.rated_power_w)


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
