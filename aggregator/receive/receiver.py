"""Who brings batches: an MQTT connection, or JetStream. Both hand them to the gate (gate.py)."""

from typing import Protocol


class Receiver(Protocol):
    """Brings batches to the gate while its `with` lasts, and comes back by itself when the broker was away."""

    trouble: str | None
    """Why none come, in words; None while they may."""

    def __enter__(self) -> "Receiver": ...

    def __exit__(self, *_exception: object) -> None: ...
