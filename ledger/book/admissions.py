"""Who and what is admitted: a view of the log that the aggregator reads its registry from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from commonwatt.identity import is_valid_public_key, key_hint
from commonwatt.registry import DeviceRecord, Snapshot, Status
from ledger.book.body import (
    Admission,
    AdmitAccount,
    AdmitDevice,
    AdmitGateway,
    AdmitRole,
    AdmitSite,
    Guard,
    Rotate,
    SetStatus,
    role_key_id,
)
from ledger.book.genesis import Genesis
from ledger.book.kinds import DeviceRole, Grade, Subject
from ledger.book.refusals import Refusal
from ledger.book.subjects import Admitted as Admitted
from ledger.book.subjects import Subjects
from ledger.book.subjects import key_of as key_of
from ledger.book.units import SYSTEM_HOLDERS


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
    """Everything admitted, by id; ids are unique across subjects, key hints across all keys there ever were.

    An admission holds the key of today; `rotated` has the hints of those before it. `guards`: by account.
    """

    def __init__(self) -> None:
        self.by_id = Subjects()
        self.rotated: set[bytes] = set()
        self.guards: dict[bytes, Guard] = {}

    def found(self, genesis: Genesis) -> None:
        """Admit the role keys that a genesis entry lists."""
        for role, public_keys in genesis.roles:
            for public_key in public_keys:
                self.admit(AdmitRole(role_key_id(public_key), role, public_key))

    def account(self, account: bytes) -> tuple[AdmitAccount, Status] | None:
        """A member's, merchant's or association's admission and standing."""
        row = self.by_id.get(account)
        if row is None or not isinstance(row.admission, AdmitAccount):
            return None
        return row.admission, row.status

    def devices(self) -> Iterator[DeviceAccount]:
        """Every device, ascending by id."""
        subjects = self.by_id
        accounts, sites = subjects.accounts.rows["id"], subjects.sites.rows
        for row in subjects.devices.rows[subjects.devices.order]:
            device, public_key, site, rated_power_w, role, grade, status = row.item()
            at, _commitment, member, standing = sites[site].item()
            yield DeviceAccount(
                device=device,
                site=at,
                account=accounts[member].tobytes(),
                public_key=public_key,
                role=DeviceRole(role),
                rated_power_w=rated_power_w,
                grade=Grade(grade),
                status=Status(max(status, standing)),
            )

    def gateways(self) -> dict[bytes, tuple[bytes, Status]]:
        """Public key and standing of every gateway, by id."""
        return {
            row.admission.id: (row.admission.public_key, row.status)
            for row in self.by_id.others()
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
        refusal = self.check_new_key(public_key) if public_key is not None else None
        if refusal is not None:
            return refusal
        is_reserved = (admission.id == association) != (admission.subject is Subject.ASSOCIATION)
        if admission.id in self.by_id or admission.id in SYSTEM_HOLDERS or is_reserved:
            return Refusal.DUPLICATE_SUBJECT
        return None

    def check_new_key(self, public_key: bytes) -> Refusal | None:
        """Whether a key may be anybody's from now on."""
        if not is_valid_public_key(public_key):
            return Refusal.WEAK_KEY
        return Refusal.DUPLICATE_KEY if key_hint(public_key) in self.by_id.hints else None

    def admit(self, admission: Admission) -> None:
        """Make an admission that `check_admission` allowed."""
        self.by_id.add(admission)

    def check_status(self, change: SetStatus) -> Refusal | None:
        """Whether this change of standing may be made: what is revoked stays revoked."""
        row = self.by_id.get(change.id)
        if row is None or row.admission.subject is not change.subject:
            return Refusal.UNKNOWN_SUBJECT
        return Refusal.REVOKED if row.status is Status.REVOKED else None

    def set_status(self, change: SetStatus) -> None:
        """Make a change that `check_status` allowed."""
        self.by_id.set_status(change.id, change.status)

    def check_rotation(self, change: Rotate) -> Admitted | Refusal:
        """Who gets another key, if there is such a subject with a key and it was not revoked."""
        row = self.by_id.get(change.id)
        if row is None or row.admission.subject is not change.subject or key_of(row.admission) is None:
            return Refusal.UNKNOWN_SUBJECT
        return Refusal.REVOKED if row.status is Status.REVOKED else row

    def rotate(self, change: Rotate) -> None:
        """Give a subject the new key; the old one's hint stays taken."""
        old_key = key_of(self.by_id[change.id].admission)
        assert old_key is not None
        self.by_id.set_key(change.id, change.public_key)
        self.rotated.add(key_hint(old_key))

    def guard(self, guard: Guard) -> None:
        """Replace who may recover an account's wallet."""
        self.guards.pop(guard.account, None)
        if guard.public_keys:
            self.guards[guard.account] = guard

    def rows(self) -> list[Any]:
        """Everything, ascending by id, for the digest of a state."""
        subjects = [[row.admission.to_cbor(), int(row.status)] for _, row in sorted(self.by_id.items())]
        return [subjects, sorted(self.rotated), [row.to_cbor() for _, row in sorted(self.guards.items())]]

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
