"""Whom we believe, taken from the ledger's state; and the signed snapshot that gateways receive (retained)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aggregator.commune.meters import Meters
from aggregator.commune.places import Places
from aggregator.intake.keys import Keys
from commonwatt import cose, topics
from commonwatt.identity import SigningKey
from commonwatt.registry import Snapshot, Status
from commonwatt.transport import REGISTRY
from ledger.book.state import State


@dataclass(frozen=True, slots=True)
class Directory:
    """The commune's devices and gateways as one state of the ledger has them: the log's first `log_size` entries.

    `keys`: of those who sign blocks. `gateways`: keys of active ones. Its columns are the ledger's own, so that it
    is made anew in 0.1 µs a device when somebody was admitted.
    """

    log_size: int
    keys: Keys
    meters: Meters
    gateways: Mapping[bytes, bytes]

    @classmethod
    def of(cls, state: State, places: Places | None = None) -> "Directory":
        """Read the state. `places`: what the commune knows of its sites; none: nothing."""
        subjects = state.admissions.by_id
        return cls(
            state.size,
            Keys.of(subjects),
            Meters.of(subjects, places.sites if places is not None else {}),
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
        self._signed: tuple[Directory, bytes] | None = None

    def step(self, link: Publishing, directory: Directory) -> None:
        """Publish if this connection or this directory is new; a failed attempt is repeated at the next step."""
        is_done = self._done is not None and self._done[0] == link.connects and self._done[1] is directory
        if is_done or not link.is_up:
            return
        connects = link.connects
        if self._signed is None or self._signed[0] is not directory:
            self._signed = directory, cose.sign1(directory.snapshot.encode(), self._key, self._aad)
        sent = [
            link.publish(topics.of_gateway(self._commune, gateway, topics.REGISTRY), self._signed[1], retain=True)
            for gateway in directory.gateways
        ]
        if link.is_up and all(sent):
            self._done = (connects, directory)
