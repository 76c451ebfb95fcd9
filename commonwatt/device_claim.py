"""The claim by which a device says which member set it up. docs/spec/command.cddl has `claim`.

    cw/<device>/claim  →  cw/<commune>/<gateway>/claim/<device>, retained, the same bytes

A claim proves that its sender has the device's key, and admits nobody.
"""

from dataclasses import dataclass
from typing import Any

from commonwatt import cbor, cose
from commonwatt.errors import FormatError
from commonwatt.identity import ID_SIZE, KEY_SIZE
from commonwatt.transport import HASH_SIZE

VERSION = 1
SIZE_MAX = 256
AAD = cose.external_aad("claim")


@dataclass(frozen=True, slots=True)
class DeviceClaim:
    """Who set a device up. `code_sha256`: hash of what its label says, which the commune knows too."""

    device: bytes
    public_key: bytes
    account: bytes
    code_sha256: bytes
    signed: bytes

    def described(self) -> dict[str, str]:
        """As a person who admits the device needs it."""
        return {
            "device": self.device.hex(),
            "public_key": self.public_key.hex(),
            "account": self.account.hex(),
            "code_sha256": self.code_sha256.hex(),
        }


def read_claim(signed: bytes, device: bytes) -> DeviceClaim:
    """Check a claim; FormatError "too-large", "malformed", "not-canonical", "wrong-device" or "bad-signature"."""
    message = cose.parse1(signed, size_max=SIZE_MAX)
    claim = _parse(cbor.decode(message.payload, size_max=SIZE_MAX), signed)
    if claim.device != device:
        raise FormatError("wrong-device", f"for {claim.device.hex()}, published by {device.hex()}")
    if not message.is_signed_by(claim.public_key, AAD):
        raise FormatError("bad-signature", "not signed by the key that it names")
    return claim


def _parse(value: Any, signed: bytes) -> DeviceClaim:
    try:
        version, *fields = value
        device, public_key, account, code_sha256 = fields
    except (TypeError, ValueError) as error:
        raise FormatError("malformed", "a claim is an array of five") from error
    sizes = [len(field) if type(field) is bytes else None for field in fields]
    if type(version) is not int or version != VERSION or sizes != [ID_SIZE, KEY_SIZE, ID_SIZE, HASH_SIZE]:
        raise FormatError("malformed", "not a claim of version 1")
    return DeviceClaim(device, public_key, account, code_sha256, signed)
