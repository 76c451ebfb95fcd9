"""Claims of devices, passed on: by which member a device was set up. docs/spec/command.cddl has `claim`.

    cw/<device>/claim  →  cw/<commune>/<gateway>/claim/<device>, retained, the same bytes

The gateway keeps the newest claim of each device and publishes all of them, retained, on every connection: whoever
admits devices may come later. A claim proves that its sender has the device's key, and admits nobody.
"""

from collections import Counter

from commonwatt import topics
from commonwatt.device_claim import DeviceClaim, read_claim
from commonwatt.errors import FormatError
from commonwatt.mqtt import Message
from commonwatt.registry import DeviceRecord
from gateway.database import Database
from gateway.upstream.uplink import Publisher

CLAIMS_MAX = 5_000
"""Devices whose claim is kept; a broker account may publish its own device's only, so so no flood."""


class ClaimDesk:
    """Claims as the devices last made them. `receive` writes, so it runs inside a transaction; `pass_on` after it."""

    def __init__(self, *, database: Database, commune: str, gateway: bytes) -> None:
        self.refused: Counter[str] = Counter()
        self._database = database
        self._commune, self._gateway = commune, gateway
        rows = database.execute("SELECT device, signed FROM claim ORDER BY device")
        self.claims = {bytes(device): read_claim(signed, device) for device, signed in rows}
        self._to_tell: set[bytes] = set()
        self._connection = 0

    def receive(self, message: Message, devices: dict[bytes, DeviceRecord], now_s: int) -> None:
        """Take a claim; one that cannot be believed, or of an admitted device under another key, is counted."""
        device = topics.sender(message.topic)
        try:
            if device is None:
                raise FormatError("wrong-device", f"{message.topic} names no device")
            self._keep(read_claim(message.payload, device), devices.get(device), now_s)
        except FormatError as error:
            self.refused[error.reason] += 1

    def pass_on(self, link: Publisher, connection: int) -> None:
        """Publish what is new, and everything on another connection (`connection` counts them)."""
        if link.is_up and connection != self._connection:
            self._connection = connection
            self._to_tell = set(self.claims)
        for device in sorted(self._to_tell):
            channel = f"{topics.CLAIM}/{device.hex()}"
            topic = topics.of_gateway(self._commune, self._gateway, channel)
            if not link.publish(topic, self.claims[device].signed, retain=True):
                return
            self._to_tell.discard(device)

    def _keep(self, claim: DeviceClaim, admitted: DeviceRecord | None, now_s: int) -> None:
        known = self.claims.get(claim.device)
        if known == claim:
            return
        if admitted is not None and admitted.public_key != claim.public_key:
            raise FormatError("other-key", "the device was admitted with another key")
        if known is None and len(self.claims) >= CLAIMS_MAX:
            raise FormatError("no-room", f"{CLAIMS_MAX} claims are kept already")
        self._database.execute("INSERT OR REPLACE INTO claim VALUES (?, ?, ?)", (claim.device, claim.signed, now_s))
        self.claims[claim.device] = claim
        self._to_tell.add(claim.device)
