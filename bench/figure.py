"""One measured figure beside its limit."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """`ratio` is figure / limit; both are None where nothing bounds the figure."""

    name: str
    figure: float
    unit: str
    limit: float | None = None

    @property
    def ratio(self) -> float | None:
        """The share of the limit that was reached."""
        return self.figure / self.limit if self.limit else None

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            "name": self.name,
            "figure": round(self.figure, 3),
            "unit": self.unit,
            "limit": None if self.limit is None else round(self.limit, 3),
            "ratio": None if self.ratio is None else round(self.ratio, 4),
        }
