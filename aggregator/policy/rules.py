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

Each source may say more: when another rate counts, limits, grades of trust, a share of its own (terms.py). The
keys are those of docs/spec/settlement.md, "Policy"; `name` is for people.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from aggregator.policy import mistakes
from aggregator.policy.terms import QUARTERS, SHARE_PERMILLE_MAX, Band, Declared, Savings, Shifting, Source
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.settings import Settings
from commonwatt.units import INTERVAL_S, MC_PER_CREDIT
from ledger.book import mint
from ledger.book.charges import Terms, read_terms

DAY_S = 86_400
GRACE_S_MAX = 30 * DAY_S
VERSION_MAX = 2**32 - 1
KEEP_DAYS_MIN = 60
NAME_MAX = 80

DIRECTORY = Path(__file__).parents[1] / "policies"
DEFAULT_FILE = DIRECTORY / "default.toml"


class Keeping(Settings):
    """What is kept of the blocks that devices signed."""

    keep_days: int | None = Field(default=None, ge=KEEP_DAYS_MIN, strict=True)
    """After so many days only a block's hash, device and times are kept; none: blocks are kept for good. Reviews and
    baselines look back, so not less than two months."""


class Euro(Settings):
    """What becomes of credits that were bought with euros."""

    redeem_fee_permille: int = Field(default=0, ge=0, le=200, strict=True)
    """Thousandths that stay with the association when a shop gives euro credits back: it pays for the bank, and makes
    paying a neighbour the better choice."""


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
    savings: Savings | None = None
    """Use that a home saved against its baseline, as far as it is sure."""
    shifting: Shifting | None = None
    """Use moved away from peaks, or into a surplus, that the operator announced."""
    heat: Source | None = None
    """Renewable heat, by heat meters that were admitted as production meters."""
    declared: dict[Annotated[str, Field(pattern=r"^[a-z][a-z-]{0,15}$")], Declared] = Field(default_factory=dict)
    """Values that a person declares and a second one confirms, by kind: time, goods, products, food, biodiversity."""
    timezone: str = "Europe/Paris"
    """Whose clock the hours, days and months of the rules are read from."""
    evidence: Keeping = Keeping()
    """How long what devices signed is kept: a household's habits can be read from it."""
    money: Band = Band()
    """What the money in circulation is to be like; dashboards warn when it is not."""
    euro: Euro = Euro()
    """The terms of reconversion; the merchant and the association both sign what is paid."""
    charge: tuple[dict[str, int | str], ...] = ()
    """Levy, demurrage and expiry, carried out by entries of the ledger (ledger/book/charges.py)."""

    @property
    def charges(self) -> tuple[Terms, ...]:
        """`charge` as the ledger reads it."""
        return read_terms(list(self.charge))

    @cached_property
    def zone(self) -> ZoneInfo:
        """`timezone` as clocks know it."""
        return ZoneInfo(self.timezone)

    @cached_property
    def sources(self) -> dict[int, Source]:
        """The sources measured in energy by their number in the ledger, those that this policy pays for."""
        sources = {
            mint.SOURCE_PRODUCTION: self.production,
            mint.SOURCE_MATCHED: self.matched,
            mint.SOURCE_SAVINGS: self.savings,
            mint.SOURCE_SHIFTING: self.shifting,
            mint.SOURCE_HEAT: self.heat,
        }
        return {number: source for number, source in sources.items() if source is not None}

    @cached_property
    def is_plain(self) -> bool:
        """Whether energy times rate is all that production and matched consumption earn."""
        return self.production.is_plain and self.matched.is_plain

    def share_permille_of(self, source: int) -> int:
        """The association's share of a source's mints."""
        if source == mint.SOURCE_DECLARED:
            return self.share_permille
        own = self.sources[source].share_permille if source in self.sources else None
        return self.share_permille if own is None else own

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(_("no clock is known by this name; write for example Europe/Paris")) from error
        return timezone

    @field_validator("window_s")
    @classmethod
    def _tiles_the_day(cls, window_s: int) -> int:
        if window_s % INTERVAL_S or DAY_S % window_s:
            raise ValueError(_("a window is a multiple of {step} s and divides a day").format(step=INTERVAL_S))
        return window_s

    @field_validator("charge")
    @classmethod
    def _well_said(cls, charge: tuple[dict[str, int | str], ...]) -> tuple[dict[str, int | str], ...]:
        read_terms(list(charge))
        return charge

    @model_validator(mode="after")
    def _within_par(self) -> "Rules":
        """At every quarter hour of every kind of day, not only as the plain rates say."""
        total = self.highest_total_mc
        if total > MC_PER_CREDIT:
            raise PydanticCustomError(
                "above_par",
                _(
                    "production and matched together earn {total} at some time; a kilowatt-hour backs at most {par}"
                    " milli-credits"
                ).format(total=total, par=MC_PER_CREDIT),
                {"place": ("matched", "rate_mc_per_kwh")},
            )
        return self

    @cached_property
    def highest_total_mc(self) -> int:
        """What a kilowatt-hour of local production makes at most, its maker's and its users' credits together."""
        both = (self.production, self.matched)
        if not any(source.time for source in both):
            return sum(source.rate_mc_per_kwh for source in both)
        times = ((month, day, quarter) for month in range(12) for day in range(7) for quarter in range(QUARTERS))
        return max(sum(source.rate_at(*time) for source in both) for time in times)


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
        try:
            return cls(Rules.model_validate(table), text)
        except ValidationError as error:
            raise mistakes.explained(error, text, where) from error

    @classmethod
    def load(cls, path: Path) -> "Policy":
        """Read a policy file."""
        try:
            text = path.read_bytes().decode()
        except OSError as error:
            raise UserError(_("cannot be read: {error}").format(error=error.strerror), where=path) from error
        except UnicodeDecodeError as error:
            raise UserError(_("is not UTF-8: {error}").format(error=error), where=path) from error
        return cls.parse(text, where=path)
