"""What an entry says, by kind. Bytes: docs/spec/entry.cddl; the envelope around it is entry.py.

Each kind has `to_cbor()` and `from_cbor(value)` under an example in CBOR diagnostic notation. Parsers check the
form only; whether an entry may take effect is decided in rules.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from commonwatt.registry import Status
from ledger.book import fields
from ledger.book.fields import require

# Spelled "as" where who builds entries finds everything in one import.
from ledger.book.genesis import Genesis as Genesis
from ledger.book.genesis import Quorum as Quorum
from ledger.book.genesis import is_origin as is_origin
from ledger.book.kinds import DeviceRole as DeviceRole
from ledger.book.kinds import Grade as Grade
from ledger.book.kinds import Kind as Kind
from ledger.book.kinds import Subject as Subject

MEMO_BYTES_MAX = 256
REASON_BYTES_MAX = 256
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
            Subject(fields.uint(subject, "subject", least=1, most=6)),
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


@dataclass(frozen=True, slots=True)
class Transfer:
    """A payment, signed by the wallet of `payer` ("from" in the specification).

    [h'0b5e…', h'ba4e…', 1000, "two baguettes"]
    """

    payer: bytes
    payee: bytes
    amount_mc: int
    memo: str
    kind: ClassVar[Kind] = Kind.TRANSFER

    def to_cbor(self) -> list[Any]:
        """The body."""
        return [self.payer, self.payee, self.amount_mc, self.memo]

    @classmethod
    def from_cbor(cls, value: Any) -> "Transfer":
        """Read a body."""
        payer, payee, amount_mc, memo = fields.array(value, 4, "a transfer")
        return cls(
            fields.identifier(payer, "from"),
            fields.identifier(payee, "to"),
            fields.uint(amount_mc, "amount_mc"),
            fields.text(memo, "memo", bytes_max=MEMO_BYTES_MAX),
        )


Admission = AdmitAccount | AdmitSite | AdmitDevice | AdmitGateway
Body = Genesis | Admission | SetStatus | Policy | MintRun | Transfer


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
}

_PARSERS: dict[int, Callable[[Any], Body]] = {
    Kind.GENESIS: Genesis.from_cbor,
    Kind.ADMIT: _parse_admission,
    Kind.STATUS: SetStatus.from_cbor,
    Kind.POLICY: Policy.from_cbor,
    Kind.MINT_RUN: MintRun.from_cbor,
    Kind.TRANSFER: Transfer.from_cbor,
}
