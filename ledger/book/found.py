"""Founds a ledger: the genesis entry from the keys of those who run the commune."""

from collections.abc import Mapping, Sequence

from commonwatt.identity import SigningKey
from ledger.book.entry import Entry
from ledger.book.genesis import Genesis, Quorum
from ledger.book.kinds import QUORUM_KINDS, Kind

DEFAULT_QUORUMS: tuple[Quorum, ...] = (
    Quorum(Kind.ADMIT, ("steward",), 1),
    Quorum(Kind.STATUS, ("steward",), 1),
    Quorum(Kind.POLICY, ("steward", "townhall", "operator"), 2),
    Quorum(Kind.MINT_RUN, ("aggregator",), 1),
)
"""The association admits and suspends; the rules of the money need two of three; the aggregator mints."""


def genesis_body(
    *,
    commune: str,
    trial: bool,
    origin: str,
    association: bytes,
    roles: Mapping[str, Sequence[bytes]],
    unit_name: str = "credit",
    quorums: Sequence[Quorum] = DEFAULT_QUORUMS,
) -> Genesis:
    """The constitution. `roles`: public keys by role name; FormatError if it breaks the specification."""
    assert tuple(quorum.kind for quorum in quorums) == QUORUM_KINDS
    rows = tuple((name, tuple(keys)) for name, keys in roles.items())
    genesis = Genesis(commune, trial, unit_name, origin, association, rows, tuple(quorums))
    return Genesis.from_cbor(genesis.to_cbor())


def genesis_entry(body: Genesis, *, entry_id: bytes, time_s: int, steward: SigningKey) -> bytes:
    """The signed first entry of the log; its SHA-256 (entry.sha256) is what everything else is bound to."""
    return Entry(entry_id, time_s, body).sign(steward)
