"""What the judge found: differences by name, and the figures that people want to see."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it should be: where, what was expected, what was found instead."""

    where: str
    expected: object
    found: object

    def __str__(self) -> str:
        return f"{self.where}: expected {_text(self.expected)}, found {_text(self.found)}"


@dataclass(frozen=True, slots=True)
class Findings:
    """The differences so far, in the order in which they were met."""

    differences: list[Difference] = field(default_factory=list)

    def expect(self, where: str, expected: object, found: object) -> bool:
        """Note a difference unless both are equal; answers whether they are."""
        if expected != found:
            self.differences.append(Difference(where, expected, found))
        return expected == found

    def compare(self, where: str, expected: Mapping[str, object], found: Mapping[str, object]) -> None:
        """Note what is missing, what is too much, and what differs, by key."""
        for key in sorted(expected.keys() | found.keys()):
            self.expect(f"{where} {key}", expected.get(key, "none"), found.get(key, "none"))


@dataclass(frozen=True, slots=True)
class EnergyLine:
    """One register over the whole run, in Wh: what registers.csv says and what the signed readings say."""

    device: str
    quantity: int
    registers_wh: int
    evidence_wh: int


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """One account at the end, in mc: what the judge computes and what replaying the log gives."""

    account: bytes
    expected_mc: int
    log_mc: int


@dataclass(frozen=True, slots=True)
class SourceLine:
    """What was earned by one source, the association's share in it: mints, Wh and mc."""

    source: int
    mints: int
    energy_wh: int
    amount_mc: int


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """The verdict: the books balance exactly when there are no differences. `claims`: the judge's own, by name."""

    differences: tuple[Difference, ...]
    energies: tuple[EnergyLine, ...] = ()
    balances: tuple[BalanceLine, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[SourceLine, ...] = ()

    @property
    def balanced(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
