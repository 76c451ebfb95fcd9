"""Months of open data, in UTC as its files are."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Month:
    """A month of a year."""

    year: int
    month: int

    @classmethod
    def of(cls, time_s: int) -> "Month":
        """The month of an instant."""
        when = datetime.fromtimestamp(time_s, UTC)
        return cls(when.year, when.month)

    @classmethod
    def parse(cls, name: str) -> "Month | None":
        """ "2024-07"; None for what names no month."""
        try:
            when = datetime.strptime(name, "%Y-%m").replace(tzinfo=UTC)
        except ValueError:
            return None
        return cls(when.year, when.month) if when.strftime("%Y-%m") == name else None

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def next(self) -> "Month":
        """The one after it."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def start_s(self) -> int:
        """When it begins."""
        return int(datetime(self.year, self.month, 1, tzinfo=UTC).timestamp())

    def until(self, last: "Month") -> "list[Month]":
        """From this one to the last, both included."""
        found, month = [], self
        while month.start_s <= last.start_s:
            found.append(month)
            month = month.next
        return found
