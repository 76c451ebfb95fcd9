"""What an entry says, by kind. Bytes: docs/spec/entry.cddl; the envelope around it is entry.py.

Each kind has `to_cbor()` and `from_cbor(value)` under an example in CBOR diagnostic notation. Parsers check the
form only; whether an entry may take effect is decided in rules.py.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from commonwatt.identity import ID_SIZE
from commonwatt.registry import Status
from ledger.book import fields
from ledger.book.fields import MEMO_BYTES_MAX as MEMO_BYTES_MAX
from ledger.book.fields import REASON_BYTES_MAX as REASON_BYTES_MAX
from ledger.book.fields import require

# Spelled "as" where who builds entries finds everything in one import.
from ledger.book.genesis import Genesis as Genesis
from ledger.book.genesis import Quorum as Quorum
from ledger.book.genesis import is_origin as is_origin
from ledger.book.kinds import ROLE_NAMES
from ledger.book.kinds import DeviceRole as DeviceRole
from ledger.book.kinds import Grade as Grade
from ledger.book.kinds import Kind as Kind
from ledger.book.kinds import Subject as Subject
from ledger.book.measures import CarryForward as CarryForward
from ledger.book.measures import Charge as Charge
from ledger.book.measures import CreditLimit as CreditLimit
from ledger.book.measures import Hold as Hold
from ledger.book.measures import Release as Release
from ledger.book.measures import Reverse as Reverse
from ledger.book.payments import PaymentAnswer as PaymentAnswer
from ledger.book.payments import PaymentRequest as PaymentRequest
from ledger.book.payments import Redeem as Redeem
from ledger.book.payments import TopUp as TopUp
from ledger.book.payments import Transfer as Transfer
from ledger.book.rotation import Guard as Guard
from ledger.book.rotation import Rotate as Rotate

WITNESS_NAME_BYTES_MAX = 128
POLICY_BYTES_MAX = 60_000
RATED_POWER_W_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class AdmitAccount:
    """A member, merchant or the association gets an account and its wallet key. `commitment` hides who it is.

    [1, h'0b5e…', h'8c2f…', h'77a0…']
    """

    subject: Subject
    id: bytes
    wallet: bytes
    commitment: bytes
    kind: ClassVar[Kind] = Kind.ADMIT

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [int(self.subject), self.id, self.wallet, self.commitment]

    @classmethod
    def from_cbor(cls, value: Any) -> "AdmitAccount":
        """Read a body."""
        subject, account, wallet, commitment = fields.array(value, 4, "a member's admission")
        return cls(
            Subject(subject),
            fields.identifier(account, "id"),
            fields.public_key(wallet, "wallet"),
            fields.digest(commitment, "commitment"),
        )


@dataclass(frozen=True, slots=True)
class AdmitSite:
    """A place with meters, held by a member's account.

    [3, h'51e0…', h'0b5e…', h'9d11…']
    """

    id: bytes
    member: bytes
    commitment: bytes
    subject: ClassVar[Subject] = Subject.SITE
    kind: ClassVar[Kind] = Kind.ADMIT

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [int(self.subject), self.id, self.member, self.commitment]

    @classmethod
    def from_cbor(cls, value: Any) -> "AdmitSite":
        """Read a body."""
        _, site, member, commitment = fields.array(value, 4, "a site's admission")
        return cls(
            fields.identifier(site, "id"),
            fields.identifier(member, "member"),
            fields.digest(commitment, "commitment"),
        )


@dataclass(frozen=True, slots=True)
class AdmitDevice:
    """A meter of a site. `rated_power_w`: no reading may grow faster than this.

    [4, h'de71…', h'51e0…', h'b2c4…', 1, 9000, 1]
    """

    id: bytes
    site: bytes
    public_key: bytes
    role: DeviceRole
    rated_power_w: int
    grade: Grade
    subject: ClassVar[Subject] = Subject.DEVICE
    kind: ClassVar[Kind] = Kind.ADMIT

    def to_cbor(self) -> list[Any]:
        """The body."""
        head = [int(self.subject), self.id, self.site, self.public_key]
        return [*head, int(self.role), self.rated_power_w, int(self.grade)]

    @classmethod
    def from_cbor(cls, value: Any) -> "AdmitDevice":
        """Read a body."""
        _, device, site, public_key, role, rated_power_w, grade = fields.array(value, 7, "a device's admission")
        return cls(
            fields.identifier(device, "id"),
            fields.identifier(site, "site"),
            fields.public_key(public_key, "public_key"),
            DeviceRole(fields.uint(role, "role", least=1, most=3)),
            fields.uint(rated_power_w, "rated_power_w", most=RATED_POWER_W_MAX),
            Grade(fields.uint(grade, "grade", least=1, most=2)),
        )


@dataclass(frozen=True, slots=True)
class AdmitGateway:
    """A gateway that may send batches.

    [5, h'6a7e…', h'e3d9…']
    """

    id: bytes
    public_key: bytes
    subject: ClassVar[Subject] = Subject.GATEWAY
    kind: ClassVar[Kind] = Kind.ADMIT

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [int(self.subject), self.id, self.public_key]

    @classmethod
    def from_cbor(cls, value: Any) -> "AdmitGateway":
        """Read a body."""
        _, gateway, public_key = fields.array(value, 3, "a gateway's admission")
        return cls(fields.identifier(gateway, "id"), fields.public_key(public_key, "public_key"))


@dataclass(frozen=True, slots=True)
class AdmitWitness:
    """Who cosigns checkpoints: the name and key of its C2SP vkey.

    [7, h'3e11…', "townhall.example/witness", h'9a70…']
    """

    id: bytes
    name: str
    public_key: bytes
    subject: ClassVar[Subject] = Subject.WITNESS
    kind: ClassVar[Kind] = Kind.ADMIT

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [int(self.subject), self.id, self.name, self.public_key]

    @classmethod
    def from_cbor(cls, value: Any) -> "AdmitWitness":
        """Read a body."""
        _, witness, name, public_key = fields.array(value, 4, "a witness's admission")
        require(type(name) is str and is_origin(name), "a witness's name is not that of a vkey")
        return cls(
            fields.identifier(witness, "id"),
            fields.text(name, "name", bytes_max=WITNESS_NAME_BYTES_MAX),
            fields.public_key(public_key, "public_key"),
        )


@dataclass(frozen=True, slots=True)
class AdmitRole:
    """A further key for a role. Those of the genesis entry are admitted by it; their ids: `role_key_id`.

    [8, h'77d2…', "townhall", h'4b9e…']
    """

    id: bytes
    role: str
    public_key: bytes
    subject: ClassVar[Subject] = Subject.ROLE
    kind: ClassVar[Kind] = Kind.ADMIT

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [int(self.subject), self.id, self.role, self.public_key]

    @classmethod
    def from_cbor(cls, value: Any) -> "AdmitRole":
        """Read a body."""
        _, ident, role, public_key = fields.array(value, 4, "a role key's admission")
        require(role in ROLE_NAMES, f"unknown role {role!r}")
        return cls(fields.identifier(ident, "id"), role, fields.public_key(public_key, "public_key"))


def role_key_id(public_key: bytes) -> bytes:
    """The id of a role key that the genesis entry lists: the first 16 bytes of its SHA-256."""
    return hashlib.sha256(public_key).digest()[:ID_SIZE]


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Someone or something is suspended, active again, or revoked for good.

    [4, h'de71…', 2, "stolen"]
    """

    subject: Subject
    id: bytes
    status: Status
    reason: str
    kind: ClassVar[Kind] = Kind.STATUS

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [int(self.subject), self.id, int(self.status), self.reason]

    @classmethod
    def from_cbor(cls, value: Any) -> "SetStatus":
        """Read a body."""
        subject, target, status, reason = fields.array(value, 4, "a status")
        return cls(
            Subject(fields.uint(subject, "subject", least=1, most=8)),
            fields.identifier(target, "id"),
            Status(fields.uint(status, "status", most=2)),
            fields.text(reason, "reason", bytes_max=REASON_BYTES_MAX),
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """A version of the rules that turn energy into credits: the TOML itself and its SHA-256.

    [h'c0ff…', 1, "name = \\"solar\\"\\n…"]
    """

    sha256: bytes
    policy_version: int
    text: str
    kind: ClassVar[Kind] = Kind.POLICY

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [self.sha256, self.policy_version, self.text]

    @classmethod
    def from_cbor(cls, value: Any) -> "Policy":
        """Read a body."""
        sha256, policy_version, text = fields.array(value, 3, "a policy")
        return cls(
            fields.digest(sha256, "sha256"),
            fields.uint(policy_version, "policy_version"),
            fields.text(text, "text", bytes_max=POLICY_BYTES_MAX),
        )


@dataclass(frozen=True, slots=True)
class MintRun:
    """The aggregator's signature over the mint leaves directly before it, at `first` to `first + count - 1`.

    `root` is the RFC 6962 root over those leaves; `total_mc` counts the association's shares too.

    [812, 14, h'90ab…', 48211, 48211, h'c0ff…', 1721001600, 1721005200]
    """

    first: int
    count: int
    root: bytes
    energy_wh: int
    total_mc: int
    policy_sha256: bytes
    window_start_s: int
    window_end_s: int
    kind: ClassVar[Kind] = Kind.MINT_RUN

    def to_cbor(self) -> list[Any]:
        """The body."""
        head = [self.first, self.count, self.root, self.energy_wh, self.total_mc]
        return [*head, self.policy_sha256, self.window_start_s, self.window_end_s]

    @classmethod
    def from_cbor(cls, value: Any) -> "MintRun":
        """Read a body."""
        first, count, root, energy_wh, total_mc, sha256, start_s, end_s = fields.array(value, 8, "a mint-run")
        return cls(
            fields.uint(first, "first"),
            fields.uint(count, "count"),
            fields.digest(root, "root"),
            fields.uint(energy_wh, "energy_wh"),
            fields.uint(total_mc, "total_mc"),
            fields.digest(sha256, "policy_sha256"),
            fields.uint(start_s, "window_start_s"),
            fields.uint(end_s, "window_end_s"),
        )


Admission = AdmitAccount | AdmitSite | AdmitDevice | AdmitGateway | AdmitWitness | AdmitRole
Measure = TopUp | CreditLimit | Charge | Reverse | Hold | Release | CarryForward
ByRoles = Admission | SetStatus | Policy | MintRun | Measure
ByWallet = Transfer | Guard | PaymentRequest | PaymentAnswer
Body = Genesis | ByRoles | ByWallet | Rotate | Redeem


def parse_body(kind: Any, value: Any) -> Body:
    """Read the body of a signed entry of this kind; FormatError "malformed"."""
    require(type(kind) is int and kind in _PARSERS, f"no signed entry has kind {kind!r}")
    return _PARSERS[kind](value)


def _parse_admission(value: Any) -> Admission:
    require(type(value) is list and len(value) > 0 and type(value[0]) is int, "an admission has no subject")
    require(value[0] in _ADMISSIONS, f"unknown subject {value[0]!r}")
    return _ADMISSIONS[value[0]](value)


_ADMISSIONS: dict[int, Callable[[Any], Admission]] = {
    Subject.MEMBER: AdmitAccount.from_cbor,
    Subject.MERCHANT: AdmitAccount.from_cbor,
    Subject.ASSOCIATION: AdmitAccount.from_cbor,
    Subject.SITE: AdmitSite.from_cbor,
    Subject.DEVICE: AdmitDevice.from_cbor,
    Subject.GATEWAY: AdmitGateway.from_cbor,
    Subject.WITNESS: AdmitWitness.from_cbor,
    Subject.ROLE: AdmitRole.from_cbor,
}

_PARSERS: dict[int, Callable[[Any], Body]] = {
    Kind.GENESIS: Genesis.from_cbor,
    Kind.ADMIT: _parse_admission,
    Kind.STATUS: SetStatus.from_cbor,
    Kind.POLICY: Policy.from_cbor,
    Kind.MINT_RUN: MintRun.from_cbor,
    Kind.TRANSFER: Transfer.from_cbor,
    Kind.ROTATE: Rotate.from_cbor,
    Kind.GUARD: Guard.from_cbor,
    Kind.PAYMENT_REQUEST: PaymentRequest.from_cbor,
    Kind.PAYMENT_ANSWER: PaymentAnswer.from_cbor,
    Kind.TOP_UP: TopUp.from_cbor,
    Kind.REDEEM: Redeem.from_cbor,
    Kind.CREDIT_LIMIT: CreditLimit.from_cbor,
    Kind.CHARGE: Charge.from_cbor,
    Kind.REVERSE: Reverse.from_cbor,
    Kind.HOLD: Hold.from_cbor,
    Kind.RELEASE: Release.from_cbor,
    Kind.CARRY_FORWARD: CarryForward.from_cbor,
}
