"""The policy: the versioned rules that turn energy into credits, one TOML file that a council can vote on.

    version = 1
    name = "Local sun"
    grace_s = 21600
    window_s = 86400
    share_permille = 100

    [production]
    rate_mc_per_kwh = 800

    [matched]
    rate_mc_per_kwh = 200

The keys are those of docs/spec/settlement.md, "Policy"; `name` is for people.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.settings import Settings, validate
from commonwatt.units import INTERVAL_S, MC_PER_CREDIT
from ledger.book.charges import Terms, read_terms

DAY_S = 86_400
GRACE_S_MAX = 30 * DAY_S
SHARE_PERMILLE_MAX = 500
VERSION_MAX = 2**32 - 1
NAME_MAX = 80

DIRECTORY = Path(__file__).parents[1] / "policies"
DEFAULT_FILE = DIRECTORY / "default.toml"


class Source(Settings):
    """What one source of claims earns."""

    rate_mc_per_kwh: int = Field(ge=0, le=MC_PER_CREDIT, strict=True)
    """Milli-credits for a kilowatt-hour, the association's share included."""


class Rules(Settings):
    """The content of a policy file. For each kWh of local production at most one credit is made."""

    version: int = Field(ge=1, le=VERSION_MAX, strict=True)
    """Grows with every change; the ledger refuses a version that does not."""
    name: str = Field(min_length=1, max_length=NAME_MAX)
    """What the council calls it."""
    grace_s: int = Field(ge=0, le=GRACE_S_MAX, strict=True)
    """How long after its end an interval waits for late blocks: longer than a gateway's usual outage."""
    window_s: int = Field(ge=INTERVAL_S, le=DAY_S, strict=True)
    """How much time one mint covers: longer windows mean fewer entries and tell less about a household."""
    share_permille: int = Field(ge=0, le=SHARE_PERMILLE_MAX, strict=True)
    """Thousandths of every mint that go to the association; the rest goes to the member."""
    production: Source
    """Local renewable production, paid to whoever feeds it in or uses it behind the meter."""
    matched: Source
    """Consumption covered by the neighbours' production in the same interval."""
    charge: tuple[dict[str, int | str], ...] = ()
    """Levy, demurrage and expiry, carried out by entries of the ledger (ledger/book/charges.py)."""

    @property
    def charges(self) -> tuple[Terms, ...]:
        """`charge` as the ledger reads it."""
        return read_terms(list(self.charge))

    @field_validator("window_s")
    @classmethod
    def _tiles_the_day(cls, window_s: int) -> int:
        if window_s % INTERVAL_S or DAY_S % window_s:
            raise ValueError(f"a window is a multiple of {INTERVAL_S} s and divides a day")
        return window_s

    @field_validator("charge")
    @classmethod
    def _well_said(cls, charge: tuple[dict[str, int | str], ...]) -> tuple[dict[str, int | str], ...]:
        read_terms(list(charge))
        return charge

    @model_validator(mode="after")
    def _within_par(self) -> "Rules":
        total = self.production.rate_mc_per_kwh + self.matched.rate_mc_per_kwh
        if total > MC_PER_CREDIT:
            raise ValueError(
                f"production.rate_mc_per_kwh + matched.rate_mc_per_kwh is {total}; "
                f"a kilowatt-hour backs at most {MC_PER_CREDIT} milli-credits"
            )
        return self


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules with the text they were read from; `sha256` over that text names them in every mint-run."""

    rules: Rules
    text: str

    @property
    def sha256(self) -> bytes:
        """32 bytes over the file as written."""
        return hashlib.sha256(self.text.encode()).digest()

    @classmethod
    def parse(cls, text: str, *, where: object) -> "Policy":
        """Read a policy; UserError names the file and place of every mistake."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UserError(
                _("is not TOML: {error}").format(error=error), where=where, to_do=_("mend that line")
            ) from error
        return cls(validate(Rules, table, where=where), text)

    @classmethod
    def load(cls, path: Path) -> "Policy":
        """Read a policy file."""
        try:
            text = path.read_bytes().decode()
        except OSError as error:
            raise UserError(_("cannot be read: {error}").format(error=error.strerror), where=path) from error
        except UnicodeDecodeError as error:
            raise UserError(f"is not UTF-8: {error}", where=path) from error
        return cls.parse(text, where=path)
