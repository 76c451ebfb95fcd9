"""Fakes that tests of every part share: clocks that move only when told. Short, real, and tested themselves."""

from dataclasses import dataclass


@dataclass
class ManualClock:
    """Both clocks in one hand: civil and protocol time stand still until `advance`."""

    civil_s: float = 1_721_001_600.0
    protocol_s: float = 0.0

    def now_s(self) -> float:
        """Civil time, Unix seconds."""
        return self.civil_s

    def monotonic_s(self) -> float:
        """Protocol time, seconds."""
        return self.protocol_s

    def advance(self, seconds: float) -> None:
        """Let both clocks go on."""
        self.civil_s += seconds
        self.protocol_s += seconds

    def wait(self, seconds: float) -> None:
        """Whoever waits lets both go on."""
        self.advance(seconds)
