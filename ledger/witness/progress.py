"""How far each witness followed, for those who watch: one JSON file beside the log, written after every round.

    DIR/log.witnesses.json   {"townhall": {"entries": 812, "cosigned_s": 1721001600.5, "refused": {"unreachable": 3}}}

It decides nothing: what counts is `checkpoint.cosigned`. Counts begin anew with the process that asks.
"""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from commonwatt import status

UNREACHABLE, AHEAD = "unreachable", "ahead"
"""Reasons beside those of FormatError: nobody answers; the witness knows more than we hold, or another tree."""


@dataclass(slots=True)
class Followed:
    """One witness. `entries`: of the head that it cosigned last; `cosigned_s`: when, Unix seconds, 0: not since the
    start; `refused`: how often it did not cosign, by reason."""

    entries: int = 0
    cosigned_s: float = 0.0
    refused: dict[str, int] = field(default_factory=dict)

    def cosign(self, entries: int, now_s: float) -> None:
        """It cosigned."""
        self.entries, self.cosigned_s = entries, now_s

    def refuse(self, reason: str) -> None:
        """It did not."""
        self.refused[reason] = self.refused.get(reason, 0) + 1


Progress = dict[str, Followed]
"""By the witness's name in the policy."""

_PROGRESS = TypeAdapter(Progress)


def file_of(log: Path) -> Path:
    """Where the progress of a published log lies: beside it, as nothing but the log belongs inside."""
    return log.with_name(log.name + ".witnesses.json")


def write(log: Path, progress: Progress) -> None:
    """Replace the file. OSError."""
    status.write(file_of(log), _PROGRESS.dump_python(progress))


def read(log: Path) -> Progress:
    """What was written last; empty before the first round, and when the file is not one of ours."""
    try:
        return _PROGRESS.validate_json(file_of(log).read_bytes())
    except (OSError, ValidationError):
        return {}
