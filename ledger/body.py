"""What an entry says, by kind. Bytes: docs/spec/entry.cddl; the envelope around it is entry.py.

Each kind has `to_cbor()` and `from_cbor(value)` under an example in CBOR diagnostic notation. Parsers check the
form only; whether an entry may take effect is decided in rules.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

from commonwatt.registry import Status
from commonwatt.topics import is_slug
from ledger import fields
from ledger.fields import require

ISSUANCE = bytes(16)
"""The account that every credit comes from; the only one that may go below zero."""

SCALE_MC = 1000
MEMO_BYTES_MAX = 256
REASON_BYTES_MAX = 256
NAME_BYTES_MAX = 64
ORIGIN_BYTES_MAX = 128
POLICY_BYTES_MAX = 60_000
ROLE_KEYS_MAX = 16
RATED_POWER_W_MAX = 2**32 - 1


class Kind(IntEnum):
    """The kinds of entry; numbers are part of the format."""

    GENESIS = 1
    ADMIT = 2
    STATUS = 3
    POLICY = 4
    MINT = 5
    MINT_RUN = 6
    TRANSFER = 7

    @property
    def label(self) -> str:
        """The name in external_aad and in what people see: "mint-run"."""
        return self.name.lower().replace("_", "-")


class Subject(IntEnum):
    """What an admission or a status is about."""

    MEMBER = 1
    MERCHANT = 2
    SITE = 3
    DEVICE = 4
    GATEWAY = 5
    ASSOCIATION = 6


class DeviceRole(IntEnum):
    """What a meter measures: the site at the grid, a generator, or one appliance behind the main meter."""

    MAIN = 1
    PRODUCTION = 2
    SUB_METER = 3


class Grade(IntEnum):
    """Who signs a reading: the meter reader itself, or the gateway that read it over a bus."""

    DEVICE = 1
    GATEWAY = 2


ROLE_NAMES = ("steward", "townhall", "operator", "auditor", "aggregator")
QUORUM_KINDS = (Kind.ADMIT, Kind.STATUS, Kind.POLICY, Kind.MINT_RUN)
"""Kinds that roles sign; the constitution has one quorum for each."""


@dataclass(frozen=True, slots=True)
class Quorum:
    """`k` of these roles must sign entries of this kind. Two keys of one role count once."""

    kind: Kind
    roles: tuple[str, ...]
    k: int


@dataclass(frozen=True, slots=True)
class Genesis:
    """The constitution. `unit_name`: what a credit is called here; `origin`: the log's name in checkpoints.

    ["solville", true, ["credit", 1000], "solville.example/log", h'a1…',
     [["steward", [h'5f…']], …], [[2, ["steward"], 1], …]]
    """

    commune: str
    trial: bool
    unit_name: str
    origin: str
    association: bytes
    roles: tuple[tuple[str, tuple[bytes, ...]], ...]
    quorums: tuple[Quorum, ...]
    kind: ClassVar[Kind] = Kind.GENESIS

    def to_cbor(self) -> list[Any]:
        """The body."""
        roles = [[name, list(keys)] for name, keys in self.roles]
        quorums = [[int(quorum.kind), list(quorum.roles), quorum.k] for quorum in self.quorums]
        unit = [self.unit_name, SCALE_MC]
        return [self.commune, self.trial, unit, self.origin, self.association, roles, quorums]

    @classmethod
    def from_cbor(cls, value: Any) -> "Genesis":
        """Read a body."""
        commune, trial, unit, origin, association, roles, quorums = fields.array(value, 7, "a genesis body")
        unit_name, scale_mc = fields.array(unit, 2, "unit")
        require(type(commune) is str and is_slug(commune), "commune is not a slug")
        require(type(scale_mc) is int and scale_mc == SCALE_MC, "the scale of the unit is not 1000")
        genesis = cls(
            commune,
            fields.boolean(trial, "trial"),
            fields.text(unit_name, "unit name", bytes_max=NAME_BYTES_MAX),
            fields.text(origin, "origin", bytes_max=ORIGIN_BYTES_MAX),
            fields.identifier(association, "association"),
            tuple(_role(row) for row in fields.items(roles, "roles", count_max=len(ROLE_NAMES))),
            tuple(_quorum(row) for row in fields.items(quorums, "quorums", count_max=len(QUORUM_KINDS))),
        )
        genesis._check()
        return genesis

    def _check(self) -> None:
        require(is_origin(self.origin), "origin is empty or has a space, a plus or a control character")
        require(self.association != ISSUANCE, "the association is not the issuance account")
        names = [name for name, _ in self.roles]
        require(len(set(names)) == len(names), "a role is listed twice")
        require(tuple(quorum.kind for quorum in self.quorums) == QUORUM_KINDS, "not one quorum each for 2, 3, 4, 6")
        for quorum in self.quorums:
            require(set(quorum.roles) <= set(names), "a quorum names a role without keys")
        require("aggregator" in self.quorums[-1].roles, "the aggregator cannot sign mint-runs")


def is_origin(text: str) -> bool:
    """Whether a text may name a log: C2SP's rule for key names (no space, no plus), and no control character."""
    return bool(text) and "+" not in text and not any(c.isspace() or ord(c) < 0x20 or c == "\x7f" for c in text)


def _role(value: Any) -> tuple[str, tuple[bytes, ...]]:
    name, keys = fields.array(value, 2, "a role")
    require(name in ROLE_NAMES, f"unknown role {name!r}")
    rows = fields.items(keys, "a role's keys", count_min=1, count_max=ROLE_KEYS_MAX)
    return name, tuple(fields.public_key(key, "a role's key") for key in rows)


def _quorum(value: Any) -> Quorum:
    kind, roles, k = fields.array(value, 3, "a quorum")
    require(type(kind) is int and kind in QUORUM_KINDS, f"no quorum is kept for kind {kind!r}")
    names = fields.items(roles, "a quorum's roles", count_min=1, count_max=len(ROLE_NAMES))
    require(all(name in ROLE_NAMES for name in names) and len(set(names)) == len(names), "a quorum's roles")
    return Quorum(Kind(kind), tuple(names), fields.uint(k, "k", least=1, most=len(names)))


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
