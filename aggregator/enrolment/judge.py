"""Whether a claim may become an admission. Pure; the first check that fails is the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from commonwatt.device_claim import DeviceClaim
from commonwatt.registry import Status
from ledger.book.admissions import Admissions
from ledger.book.kinds import Subject


class Unfit(Enum):
    """Why a claim cannot be confirmed, in the order in which it is checked."""

    REJECTED = "rejected"
    UNKNOWN_LABEL = "unknown-label"
    OTHER_KEY = "other-key"
    WRONG_CODE = "wrong-code"
    EXPIRED = "expired"
    UNKNOWN_MEMBER = "unknown-member"
    ADMITTED_BEFORE = "admitted-before"


@dataclass(frozen=True, slots=True)
class Label:
    """What a commune knows of a device that it gave away: the line that `commonwatt device enrol` printed.

    `expires_s`: civil seconds; later a claim is too late, because a label that was lost should not open anything for
    ever. The rest is what the device will be admitted with.
    """

    device: bytes
    public_key: bytes
    code_sha256: bytes
    expires_s: int
    role: str
    rated_power_w: int
    grade: str


@dataclass(frozen=True, slots=True)
class Received:
    """The newest claim of a device. `received_s`: civil; `is_rejected`: the steward said no to these very bytes."""

    claim: DeviceClaim
    gateway: bytes
    received_s: int
    is_rejected: bool


def check(received: Received, labels: Mapping[bytes, Label], admissions: Admissions) -> Unfit | None:
    """Why this claim cannot be confirmed, or None."""
    claim = received.claim
    label = labels.get(claim.device)
    if received.is_rejected:
        return Unfit.REJECTED
    if label is None:
        return Unfit.UNKNOWN_LABEL
    if label.public_key != claim.public_key:
        return Unfit.OTHER_KEY
    if label.code_sha256 != claim.code_sha256:
        return Unfit.WRONG_CODE
    if received.received_s > label.expires_s:
        return Unfit.EXPIRED
    account = admissions.account(claim.account)
    if account is None or account[0].subject is not Subject.MEMBER or account[1] is Status.REVOKED:
        return Unfit.UNKNOWN_MEMBER
    return Unfit.ADMITTED_BEFORE if claim.device in admissions.by_id else None
