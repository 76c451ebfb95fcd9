"""How far the witnesses follow: read from what `commonwatt ledger cosign` leaves beside and in the published log."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from commonwatt.errors import FormatError, UserError
from ledger.app import LOG, load_commune, load_witnesses
from ledger.log import note
from ledger.log.published import COSIGNED
from ledger.witness import policy as tlog_policy
from ledger.witness import progress
from ledger.witness.policy import TlogPolicy

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Witnesses:
    """`names`: of the policy. `cosigned_entries`, `cosigned_age_s`: of the newest head with a quorum, 0 and None
    before the first. By witness: `entries` it cosigned last and `ages_s` since it did (wall); (name, reason) →
    `refused` rounds."""

    names: tuple[str, ...]
    cosigned_entries: int
    cosigned_age_s: float | None
    entries: Mapping[str, int]
    ages_s: Mapping[str, float]
    refused: Mapping[tuple[str, str], int]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.names)


def look(directory: Path, *, wall_s: float) -> Witnesses | None:
    """How things stand in a commune's directory; None where no policy asks for witnesses."""
    try:
        policy = load_witnesses(directory)
    except UserError as error:
        log.warning("%s", error)
        return None
    if policy is None or not policy.witnesses:
        return None
    entries, age_s = _cosigned(directory, policy, wall_s)
    followed = progress.read(directory / LOG)
    seen = {name: row for name, row in followed.items() if row.cosigned_s}
    return Witnesses(
        names=tuple(witness.name for witness in policy.witnesses),
        cosigned_entries=entries,
        cosigned_age_s=age_s,
        entries={name: row.entries for name, row in seen.items()},
        ages_s={name: max(0.0, wall_s - row.cosigned_s) for name, row in seen.items()},
        refused={(name, reason): n for name, row in followed.items() for reason, n in row.refused.items()},
    )


def _cosigned(directory: Path, policy: TlogPolicy, wall_s: float) -> tuple[int, float | None]:
    """Entries of the cosigned head and how old the file is. One that the quorum did not sign is none."""
    file = directory / LOG / COSIGNED
    try:
        key = note.parse_vkey(load_commune(directory).log_vkey)
        witnessed = tlog_policy.open_witnessed(file.read_bytes(), key, policy)
        return witnessed.checkpoint.size, max(0.0, wall_s - file.stat().st_mtime)
    except FileNotFoundError:
        return 0, None
    except (OSError, FormatError) as error:
        log.warning("%s: %s", file, error)
        return 0, None
