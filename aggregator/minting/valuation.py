"""What claims are worth, and how those of a window become mints. Pure; randomness is handed in."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from aggregator.policy.rules import Rules
from aggregator.settling.interval import Claim
from commonwatt.units import WH_PER_KWH
from ledger.book.mint import Line, Mint, lines_root

PERMILLE = 1000
NONCE_SIZE = 16
SALT_SIZE = 16


@dataclass(frozen=True, slots=True)
class Valued:
    """A claim of a window as it is minted. `amount_mc`: before the association's share. `block_sha256`: of the
    signed block that gave the span's later reading."""

    account: bytes
    source: int
    device: bytes
    start_s: int
    end_s: int
    revision: int
    energy_wh: int
    amount_mc: int
    block_sha256: bytes


@dataclass(frozen=True, slots=True)
class MintWithLines:
    """A leaf of the ledger and the lines that its root commits to; the lines stay with us."""

    mint: Mint
    lines: tuple[Line, ...]


def amount_mc(claim: Claim, rules: Rules) -> int:
    """Energy times the source's own rate, rounded down so that the sum never exceeds the rate. What else the policy
    says (times, grades, caps) counts when the window is minted: earning/worth.py."""
    return claim.energy_wh * rules.sources[claim.source].rate_mc_per_kwh // WH_PER_KWH


def mints_of_window(
    claims: Iterable[Valued],
    *,
    start_s: int,
    end_s: int,
    share_permille_of: Callable[[int], int],
    random: Callable[[int], bytes],
) -> list[MintWithLines]:
    """One mint per account and source, in this order; none where nothing was earned. `random(n)`: n fresh bytes.
    `share_permille_of(source)`: the association's."""
    groups: dict[tuple[bytes, int], list[Valued]] = {}
    for claim in sorted(claims, key=lambda claim: (claim.account, claim.source, claim.start_s, claim.device)):
        groups.setdefault((claim.account, claim.source), []).append(claim)
    mints = [
        _mint(group, (start_s, end_s), share_permille_of(source), random)
        for (_account, source), group in groups.items()
        if _gross_mc(group) > 0
    ]
    _assert_sums(mints)
    return mints


def _assert_sums(mints: Sequence[MintWithLines]) -> None:
    """Our own mistake to catch before it is signed: the lines sum to their mint."""
    for item in mints:
        gross_mc = item.mint.amount_mc + item.mint.association_mc
        assert gross_mc == sum(line.amount_mc for line in item.lines)
        assert item.mint.energy_wh == sum(line.energy_wh for line in item.lines)


def _gross_mc(claims: Iterable[Valued]) -> int:
    return sum(claim.amount_mc for claim in claims)


def _mint(
    claims: Sequence[Valued], window: tuple[int, int], share_permille: int, random: Callable[[int], bytes]
) -> MintWithLines:
    lines = tuple(_line(claim, random(SALT_SIZE)) for claim in claims)
    gross_mc = _gross_mc(claims)
    association_mc = gross_mc * share_permille // PERMILLE
    mint = Mint(
        nonce=random(NONCE_SIZE),
        account=claims[0].account,
        source=claims[0].source,
        window_start_s=window[0],
        window_end_s=window[1],
        energy_wh=sum(claim.energy_wh for claim in claims),
        amount_mc=gross_mc - association_mc,
        association_mc=association_mc,
        lines=len(lines),
        lines_root=lines_root(lines),
    )
    return MintWithLines(mint, lines)


def _line(claim: Valued, salt: bytes) -> Line:
    return Line(
        *(salt, claim.device, claim.start_s, claim.end_s, claim.revision),
        *(claim.energy_wh, claim.amount_mc, claim.block_sha256),
    )
