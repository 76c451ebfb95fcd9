"""The genesis body: the constitution as bytes. docs/spec/entry.cddl; what follows from it is in constitution.py."""

from dataclasses import dataclass
from typing import Any, ClassVar

from commonwatt.topics import is_slug
from ledger.book import fields
from ledger.book.fields import require
from ledger.book.kinds import OPTIONAL_QUORUM_KINDS, QUORUM_KINDS, ROLE_NAMES, Kind
from ledger.book.units import LENDING_UNITS, NO_CREDIT, SYSTEM_HOLDERS, Limits, Unit
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
class UnitTerms:
    """A unit beside energy: its name, and how far below zero an account may go unless it has its own limit."""

    unit: Unit
    name: str
    limits: Limits = NO_CREDIT


@dataclass(frozen=True, slots=True)
class Genesis:
    """The constitution. `unit_name`: what a credit is called here; `origin`: the log's name in checkpoints.

    ["solville", true, ["credit", 1000], "solville.example/log", h'a1…',
     [["steward", [h'5f…']], …], [[2, ["steward"], 1], …], [[4, "hour", 1000, 8000, 12000]]]

    `units`: those beside energy; the bytes of a ledger that has none end before them.
    """

    commune: str
    trial: bool
    unit_name: str
    origin: str
    association: bytes
    roles: tuple[tuple[str, tuple[bytes, ...]], ...]
    quorums: tuple[Quorum, ...]
    units: tuple[UnitTerms, ...] = ()
    kind: ClassVar[Kind] = Kind.GENESIS

    def to_cbor(self) -> list[Any]:
        """The body."""
        roles = [[name, list(keys)] for name, keys in self.roles]
        quorums = [[int(quorum.kind), list(quorum.roles), quorum.k] for quorum in self.quorums]
        unit = [self.unit_name, SCALE_MC]
        units = [[int(row.unit), row.name, SCALE_MC, row.limits.soft_mc, row.limits.hard_mc] for row in self.units]
        head = [self.commune, self.trial, unit, self.origin, self.association, roles, quorums]
        return [*head, units] if units else head

    @classmethod
    def from_cbor(cls, value: Any) -> "Genesis":
        """Read a body."""
        rows = fields.items(value, "a genesis body", count_min=7, count_max=8)
        commune, trial, unit, origin, association, roles, quorums, *more = rows
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
            tuple(_quorum(row) for row in fields.items(quorums, "quorums", count_max=len(Kind))),
            tuple(_unit(row) for row in fields.items(more[0], "units", count_min=1, count_max=3)) if more else (),
        )
        genesis._check()
        return genesis

    def quorum(self, kind: Kind) -> Quorum | None:
        """Who signs entries of this kind; None: nobody may."""
        return next((row for row in self.quorums if row.kind is kind), None)

    def has_unit(self, unit: Unit) -> bool:
        """Whether this ledger keeps accounts in a unit."""
        return unit is Unit.ENERGY or any(row.unit is unit for row in self.units)

    def _check(self) -> None:
        require(is_origin(self.origin), "origin is empty or has a space, a plus or a control character")
        require(self.association not in SYSTEM_HOLDERS, "the association's id is one that the ledger itself uses")
        names = [name for name, _ in self.roles]
        require(len(set(names)) == len(names), "a role is listed twice")
        kinds = tuple(quorum.kind for quorum in self.quorums)
        require(kinds[: len(QUORUM_KINDS)] == QUORUM_KINDS, "not one quorum each for 2, 3, 4, 6")
        require(kinds == tuple(sorted(set(kinds))), "quorums are not in ascending order of their kinds")
        for quorum in self.quorums:
            require(set(quorum.roles) <= set(names), "a quorum names a role without keys")
            is_run = quorum.kind is Kind.MINT_RUN
            require(not is_run or "aggregator" in quorum.roles, "the aggregator cannot sign mint-runs")
        units = [row.unit for row in self.units]
        require(units == sorted(set(units)), "units are not in ascending order")


def _role(value: Any) -> tuple[str, tuple[bytes, ...]]:
    name, keys = fields.array(value, 2, "a role")
    require(name in ROLE_NAMES, f"unknown role {name!r}")
    rows = fields.items(keys, "a role's keys", count_min=1, count_max=ROLE_KEYS_MAX)
    return name, tuple(fields.public_key(key, "a role's key") for key in rows)


def _quorum(value: Any) -> Quorum:
    kind, roles, k = fields.array(value, 3, "a quorum")
    known = (*QUORUM_KINDS, *OPTIONAL_QUORUM_KINDS)
    require(type(kind) is int and kind in known, f"no quorum is kept for kind {kind!r}")
    names = fields.items(roles, "a quorum's roles", count_min=1, count_max=len(ROLE_NAMES))
    require(all(name in ROLE_NAMES for name in names) and len(set(names)) == len(names), "a quorum's roles")
    return Quorum(Kind(kind), tuple(names), fields.uint(k, "k", least=1, most=len(names)))


def _unit(value: Any) -> UnitTerms:
    number, name, scale_mc, soft_mc, hard_mc = fields.array(value, 5, "a unit")
    unit = Unit(fields.uint(number, "unit", least=Unit.EURO, most=Unit.HOURS))
    require(type(scale_mc) is int and scale_mc == SCALE_MC, "the scale of a unit is not 1000")
    limits = Limits(fields.uint(soft_mc, "soft_mc"), fields.uint(hard_mc, "hard_mc"))
    require(limits.soft_mc <= limits.hard_mc, "the soft limit lies beyond the hard one")
    require(unit in LENDING_UNITS or limits == NO_CREDIT, "no account goes below zero in this unit")
    return UnitTerms(unit, fields.text(name, "a unit's name", bytes_max=NAME_BYTES_MAX), limits)
