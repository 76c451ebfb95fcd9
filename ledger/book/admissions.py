"""Who and what is admitted: a view of the log that the aggregator reads its registry from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from commonwatt.identity import is_valid_public_key, key_hint
from commonwatt.registry import DeviceRecord, Snapshot, Status
from ledger.book.body import Admission, AdmitAccount, AdmitDevice, AdmitGateway, AdmitSite, SetStatus
from ledger.book.kinds import ISSUANCE, DeviceRole, Grade, Subject
from ledger.book.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Admitted:
    """An admission and where its subject stands now."""

    admission: Admission
    status: Status = Status.ACTIVE


@dataclass(frozen=True, slots=True)
class DeviceAccount:
    """A device as settlement needs it.

    `account`: of the member who holds its site. `status`: the worse of the device's and its site's.
    """

    device: bytes
    site: bytes
    account: bytes
    public_key: bytes
    role: DeviceRole
    rated_power_w: int
    grade: Grade
    status: Status


class Admissions:
    """Everything admitted, by id; ids are unique across subjects, key hints across all keys of the ledger."""

    def __init__(self) -> None:
        self.by_id: dict[bytes, Admitted] = {}
        self.hints: set[bytes] = set()

    def account(self, account: bytes) -> tuple[AdmitAccount, Status] | None:
        """A member's, merchant's or association's admission and standing."""
        row = self.by_id.get(account)
        if row is None or not isinstance(row.admission, AdmitAccount):
            return None
        return row.admission, row.status

    def devices(self) -> Iterator[DeviceAccount]:
        """Every device, ascending by id."""
        for device in sorted(self.by_id):
            row = self.by_id[device]
            admission = row.admission
            if not isinstance(admission, AdmitDevice):
                continue
            site = self.by_id[admission.site]
            assert isinstance(site.admission, AdmitSite)
            yield DeviceAccount(
                device=device,
                site=admission.site,
                account=site.admission.member,
                public_key=admission.public_key,
                role=admission.role,
                rated_power_w=admission.rated_power_w,
                grade=admission.grade,
                status=max(row.status, site.status),
            )

    def gateways(self) -> dict[bytes, tuple[bytes, Status]]:
        """Public key and standing of every gateway, by id."""
        return {
            gateway: (row.admission.public_key, row.status)
            for gateway, row in self.by_id.items()
            if isinstance(row.admission, AdmitGateway)
        }

    def snapshot(self, log_size: int) -> Snapshot:
        """The registry that gateways receive."""
        records = (DeviceRecord(d.device, d.public_key, d.status, d.rated_power_w) for d in self.devices())
        return Snapshot.of(log_size, records)

    def check_admission(self, admission: Admission, association: bytes) -> Refusal | None:
        """Whether this admission may be made."""
        refusal = self._check_holder(admission)
        if refusal is not None:
            return refusal
        public_key = key_of(admission)
        if public_key is not None and not is_valid_public_key(public_key):
            return Refusal.WEAK_KEY
        if public_key is not None and key_hint(public_key) in self.hints:
            return Refusal.DUPLICATE_KEY
        is_reserved = (admission.id == association) != (admission.subject is Subject.ASSOCIATION)
        if admission.id in self.by_id or admission.id == ISSUANCE or is_reserved:
            return Refusal.DUPLICATE_SUBJECT
        return None

    def admit(self, admission: Admission) -> None:
        """Make an admission that `check_admission` allowed."""
        self.by_id[admission.id] = Admitted(admission)
        public_key = key_of(admission)
        if public_key is not None:
            self.hints.add(key_hint(public_key))

    def check_status(self, change: SetStatus) -> Refusal | None:
        """Whether this change of standing may be made: what is revoked stays revoked."""
        row = self.by_id.get(change.id)
        if row is None or row.admission.subject is not change.subject:
            return Refusal.UNKNOWN_SUBJECT
        return Refusal.REVOKED if row.status is Status.REVOKED else None

    def set_status(self, change: SetStatus) -> None:
        """Make a change that `check_status` allowed."""
        self.by_id[change.id] = replace(self.by_id[change.id], status=change.status)

    def rows(self) -> list[list[Any]]:
        """Everything, ascending by id, for the digest of a state."""
        return [[row.admission.to_cbor(), int(row.status)] for _, row in sorted(self.by_id.items())]

    def _check_holder(self, admission: Admission) -> Refusal | None:
        """A site needs a member, a device a site; neither may be revoked."""
        wanted: type[Admission]
        if isinstance(admission, AdmitSite):
            holder, wanted = self.by_id.get(admission.member), AdmitAccount
        elif isinstance(admission, AdmitDevice):
            holder, wanted = self.by_id.get(admission.site), AdmitSite
        else:
            return None
        if holder is None or not isinstance(holder.admission, wanted):
            return Refusal.UNKNOWN_SUBJECT
        return Refusal.REVOKED if holder.status is Status.REVOKED else None


def key_of(admission: Admission) -> bytes | None:
    """The public key that an admission brings, if any."""
    if isinstance(admission, AdmitAccount):
        return admission.wallet
    if isinstance(admission, AdmitSite):
        return None
    return admission.public_key
