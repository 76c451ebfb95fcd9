"""What the gateway believes from upstream: receipts, registries and requests, signed by this commune's aggregator."""

from dataclasses import dataclass

from commonwatt import asked, cose, transport
from commonwatt.asked import Asked, Requests
from commonwatt.errors import FormatError
from commonwatt.registry import SIZE_MAX, Snapshot
from commonwatt.transport import Receipt


@dataclass(frozen=True, slots=True)
class Aggregator:
    """Whose word counts: the aggregator's key, in the commune of this genesis."""

    public_key: bytes
    genesis: bytes

    def receipt(self, signed: bytes) -> Receipt:
        """Read a receipt; FormatError names what is wrong, "bad-signature" if another key or commune signed it."""
        return Receipt.parse(self._payload(signed, transport.RECEIPT, transport.RECEIPT_SIZE_MAX))

    def snapshot(self, signed: bytes) -> Snapshot:
        """Read a registry snapshot; FormatError as above."""
        return Snapshot.parse(self._payload(signed, transport.REGISTRY, SIZE_MAX))

    def requests(self, signed: bytes) -> Requests:
        """Read what all devices are asked for; FormatError as above. What is signed inside is not looked into."""
        return Requests.parse(self._payload(signed, asked.REQUESTS, asked.REQUESTS_SIZE_MAX))

    def asked(self, signed: bytes) -> Asked:
        """Read what one device is asked for; FormatError as above."""
        return Asked.parse(self._payload(signed, asked.ASKED, asked.ASKED_SIZE_MAX))

    def _payload(self, signed: bytes, kind: str, size_max: int) -> bytes:
        message = cose.parse1(signed, size_max=size_max)
        if not message.is_signed_by(self.public_key, cose.external_aad(kind, self.genesis)):
            raise FormatError("bad-signature", f"not a {kind} by this commune's aggregator")
        return message.payload
