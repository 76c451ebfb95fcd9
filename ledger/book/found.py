"""Founds a ledger: the genesis entry from the keys of those who run the commune."""

from collections.abc import Mapping, Sequence

from commonwatt.identity import SigningKey
from commonwatt.units import parse_credits
from ledger.book.entry import Entry
from ledger.book.genesis import Genesis, Quorum, UnitTerms
from ledger.book.kinds import Kind
from ledger.book.units import Limits, Unit

DEFAULT_QUORUMS: tuple[Quorum, ...] = (
    Quorum(Kind.ADMIT, ("steward",), 1),
    Quorum(Kind.STATUS, ("steward",), 1),
    Quorum(Kind.POLICY, ("steward", "townhall", "operator"), 2),
    Quorum(Kind.MINT_RUN, ("aggregator",), 1),
    Quorum(Kind.ROTATE, ("steward", "townhall", "operator"), 2),
    Quorum(Kind.TOP_UP, ("steward",), 1),
    Quorum(Kind.REDEEM, ("steward",), 1),
    Quorum(Kind.CREDIT_LIMIT, ("steward",), 1),
    Quorum(Kind.CHARGE, ("steward", "townhall", "operator"), 2),
    Quorum(Kind.REVERSE, ("steward", "townhall", "operator"), 2),
    Quorum(Kind.HOLD, ("steward",), 1),
    Quorum(Kind.RELEASE, ("steward",), 1),
    Quorum(Kind.CARRY_FORWARD, ("steward", "townhall", "operator"), 2),
)
"""The association admits, suspends, holds claims, sets limits and handles the euros; the aggregator mints.

The rules of the money, everyone's charges, lost keys, reversals and erasures need two of three.
"""


def genesis_body(
    *,
    commune: str,
    trial: bool,
    origin: str,
    association: bytes,
    roles: Mapping[str, Sequence[bytes]],
    unit_name: str = "credit",
    quorums: Sequence[Quorum] = DEFAULT_QUORUMS,
    units: Sequence[UnitTerms] = (),
) -> Genesis:
    """The constitution. `roles`: public keys by role name; FormatError if it breaks the specification.

    `quorums`: where a kind has none, nobody may sign it. `units`: those beside energy credits.
    """
    rows = tuple((name, tuple(keys)) for name, keys in roles.items())
    genesis = Genesis(commune, trial, unit_name, origin, association, rows, tuple(quorums), tuple(units))
    return Genesis.from_cbor(genesis.to_cbor())


def unit_terms(text: str) -> UnitTerms:
    """A unit as founders write it: `euro`, `hours`, `mutual=heart:100:200` (its name, soft and hard limit in units).

    ValueError for anything else.
    """
    word, _, terms = text.partition("=")
    name, *limits = terms.split(":")
    units = {unit.name.lower(): unit for unit in Unit if unit is not Unit.ENERGY}
    if word not in units or len(limits) not in (0, 2):
        raise ValueError(f"not a unit: {text!r} (write {', '.join(units)} or mutual=NAME:SOFT:HARD)")
    return UnitTerms(units[word], name or word, Limits(*map(parse_credits, limits)))


def genesis_entry(body: Genesis, *, entry_id: bytes, time_s: int, steward: SigningKey) -> bytes:
    """The signed first entry of the log; its SHA-256 (entry.sha256) is what everything else is bound to."""
    return Entry(entry_id, time_s, body).sign(steward)
