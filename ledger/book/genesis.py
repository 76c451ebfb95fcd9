"""The genesis body: the constitution as bytes. docs/spec/entry.cddl; what follows from it is in constitution.py."""

from dataclasses import dataclass
from typing import Any, ClassVar

from commonwatt.topics import is_slug
from ledger.book import fields
from ledger.book.fields import require
from ledger.book.kinds import ISSUANCE, QUORUM_KINDS, ROLE_NAMES, Kind
from ledger.log import note

SCALE_MC = 1000
NAME_BYTES_MAX = 64
ORIGIN_BYTES_MAX = 128
ROLE_KEYS_MAX = 16


is_origin = note.is_name
"""Whether a text may name a log: its key is named like it."""


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
