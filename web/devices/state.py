"""How a member's devices are, read from the evidence, the held spans and the claims that arrived."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from aggregator import schema
from aggregator.commune import called, devices
from aggregator.commune.devices import DeviceRow
from aggregator.commune.directory import CommuneDirectory
from aggregator.enrolment import judge
from aggregator.enrolment.judge import Label, Received, Unfit
from aggregator.enrolment.store import enrolling
from aggregator.private.store import PrivateStore
from aggregator.reading import NothingMeasuredError, reading
from commonwatt import device_label
from commonwatt.refusal import Hold
from ledger.book.admissions import Admissions, DeviceAccount

DECIDED_MAX = 5
"""Reviews that are told of a device, the newest."""
SILENT_S = 6 * 3600
"""So long without a reading is worth a word: blocks are a quarter of an hour, and outages short."""


@dataclass(frozen=True, slots=True)
class HeldSpan:
    """A span that waits, or was decided. `is_released`: None while it waits."""

    start_s: int
    end_s: int
    reason: Hold
    energy_wh: int
    is_released: bool | None


@dataclass(frozen=True, slots=True)
class Own:
    """One of a member's devices. `name`: what they call it; `held`: what waits, then what was decided last."""

    row: DeviceRow
    account: DeviceAccount
    name: str
    held: tuple[HeldSpan, ...]

    @property
    def waiting(self) -> list[HeldSpan]:
        """Spans that no steward has looked at."""
        return [span for span in self.held if span.is_released is None]

    def is_silent(self, now_s: int) -> bool:
        """Whether nothing was heard of it for a while."""
        return self.row.status == "active" and now_s - self.row.latest_s > SILENT_S


@dataclass(frozen=True, slots=True)
class Added:
    """How far a device is that somebody adds. `label`: what the commune knows of it; `is_code`: whether its claim
    code is right; `claim`: what it said of itself; `is_mine`: whether it named this account."""

    device: bytes
    label: Label | None
    is_code: bool
    claim: Received | None
    is_mine: bool
    unfit: Unfit | None
    row: DeviceRow | None

    @property
    def is_admitted(self) -> bool:
        """Whether it is in the log."""
        return self.row is not None


def of(
    directory: Path, accounts: Sequence[DeviceAccount], names: PrivateStore, *, database_url: str = ""
) -> list[Own]:
    """Devices of one member, by name."""
    if not accounts:
        return []
    held = _held(directory, [row.device for row in accounts], database_url)
    rows = devices.of(directory, accounts, names, database_url=database_url)
    own = [
        Own(row, account, called.name_of(names, row.device), held.get(row.device, ()))
        for row, account in zip(rows, accounts, strict=True)
    ]
    return sorted(own, key=lambda each: (each.row.status == "revoked", each.name.casefold()))


def claims_of(directory: Path, account: bytes, admissions: Admissions) -> list[tuple[Received, Unfit | None]]:
    """The claims of devices that a member set up and that are not admitted yet."""
    with enrolling(CommuneDirectory(directory).private_db) as enrolment:
        labels, claims = enrolment.labels(), enrolment.claims()
    found = [(claim, judge.check(claim, labels, admissions)) for claim in claims if claim.claim.account == account]
    return [(claim, unfit) for claim, unfit in found if unfit is not Unfit.ADMITTED_BEFORE]


def added(
    directory: Path,
    device: bytes,
    code: str,
    account: bytes,
    admissions: Admissions,
    own: Sequence[Own],
) -> Added:
    """How far a device with a label is, for the member with an account."""
    with enrolling(CommuneDirectory(directory).private_db) as enrolment:
        label = enrolment.labels().get(device)
        claim = next((row for row in enrolment.claims() if row.claim.device == device), None)
    known = {} if label is None else {device: label}
    is_code = label is not None and label.code_sha256.hex() == device_label.claim_hash(device, code)
    return Added(
        device,
        label,
        is_code,
        claim,
        claim is not None and claim.claim.account == account,
        None if claim is None else judge.check(claim, known, admissions),
        next((row.row for row in own if row.row.device == device), None),
    )


def _held(directory: Path, wanted: Sequence[bytes], database_url: str) -> dict[bytes, tuple[HeldSpan, ...]]:
    held = schema.held.c
    found: dict[bytes, list[HeldSpan]] = {}
    decided: dict[bytes, list[HeldSpan]] = {}
    columns = (
        held.device,
        held.start_s,
        held.end_s,
        held.reason,
        held.energy_wh,
        held.review_place,
        held.is_released,
    )
    query = sa.select(*columns).where(held.device.in_(wanted)).order_by(held.start_s.desc())
    try:
        with reading(directory, database_url) as connection:
            rows = connection.execute(query).all()
    except NothingMeasuredError:
        return {}
    for device, start_s, end_s, reason, energy_wh, place, is_released in rows:
        span = HeldSpan(start_s, end_s, Hold(reason), energy_wh, None if place is None else bool(is_released))
        (found if place is None else decided).setdefault(device, []).append(span)
    return {device: (*found.get(device, ()), *decided.get(device, ())[:DECIDED_MAX]) for device in {*found, *decided}}
