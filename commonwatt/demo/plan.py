"""What one run of the demo is: where, when, how fast, which seed. Values only."""

import time
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from commonwatt.clock import CivilClock
from commonwatt.demo.registers.homes import START_S, VILLAGES, Village
from commonwatt.errors import UserError
from commonwatt.i18n import _

ROOT = Path(__file__).parents[2]
"""The clone: the firmware and the policies are run from it."""

POLICY = ROOT / "aggregator" / "policies" / "demo.toml"
"""The rules of the demo, unless others are named."""

DAY_S = 86_400
DAYS_MAX = 7
WORKING_DAYS, PEAK_HOUR = 5, 18
SPEED_DEFAULT = 1440
SPEED_MAX = 2880
START_UP_S, START_UP_S_PER_HOME = 5.0, 0.3
"""Wall seconds that the processes have to come up before the first measured quarter hour."""
FOUNDED_BEFORE_S = 16 * 3600
"""Civil seconds between the genesis entry and the first measured quarter hour; longer than any start-up."""


@dataclass(frozen=True)
class Plan:
    """One run: `starts_s` to `ends_s` is the civil span of the measured data that is replayed."""

    directory: Path
    homes: int
    days: int
    speed: int
    seed: int
    faults: bool
    broker_url: str | None
    policy: Path = POLICY
    influx: str | None = None
    """The dashboards' database, as a person named it; None: no dashboards."""
    keep: bool = False
    """Whether the commune stays to be looked at in a browser."""
    tls: bool = False
    """Whether phones in the same network may look too, over HTTPS."""

    def __post_init__(self) -> None:
        if self.homes not in VILLAGES:
            raise UserError(
                _("HOMES={homes}: the demo has measurements of {villages} homes").format(
                    homes=self.homes, villages=_(" or ").join(map(str, VILLAGES))
                ),
                to_do=_("try make demo HOMES=40"),
            )
        if not 1 <= self.days <= DAYS_MAX:
            raise UserError(
                _("DAYS={days}: the measured week has 1 to {most} days").format(days=self.days, most=DAYS_MAX),
                to_do=_("try make demo DAYS=2"),
            )
        if not 1 <= self.speed <= SPEED_MAX:
            raise UserError(
                _("SPEED={speed}: civil time can run 1 to {most} times as fast as wall time").format(
                    speed=self.speed, most=SPEED_MAX
                ),
                to_do=_("a day takes a minute at {speed}").format(speed=SPEED_DEFAULT),
            )
        if "window_s" not in self.rules:
            raise UserError(
                _("is no policy: it has no window_s"), where=self.policy, to_do=_("see commonwatt policy check")
            )
        if self.faults and self.broker_url:
            raise UserError(_("FAULTS kills the broker, so it needs one of its own"), to_do=_("leave BROKER away"))

    @cached_property
    def rules(self) -> dict[str, Any]:
        """The policy's table; UserError if there is none. `commonwatt init` names every other mistake in it."""
        try:
            return tomllib.loads(self.policy.read_text())
        except (OSError, ValueError) as error:
            raise UserError(
                _("cannot be read as a policy: {error}").format(error=error),
                where=self.policy,
                to_do=_("try make demo POLICY=aggregator/policies/default.toml"),
            ) from error

    @property
    def window_s(self) -> int:
        """How much time one mint covers."""
        return int(self.rules["window_s"])

    @property
    def village(self) -> Village:
        """Who lives in it."""
        return VILLAGES[self.homes]

    @property
    def starts_s(self) -> int:
        """Civil start of the replayed data."""
        return START_S

    @property
    def ends_s(self) -> int:
        """Civil end of the replayed data."""
        return self.starts_s + self.days * DAY_S

    @property
    def peak_s(self) -> tuple[int, int]:
        """When the operator asks for less use: two hours in the evening (18:00 to 20:00 UTC) of the last working day;
        on the Friday there are four such days before it, as many as make a usual one."""
        start_s = self.starts_s + (min(self.days, WORKING_DAYS) - 1) * DAY_S + PEAK_HOUR * 3600
        return start_s, start_s + 2 * 3600

    @property
    def zone(self) -> ZoneInfo:
        """The commune's clock on the wall."""
        return ZoneInfo(self.rules.get("timezone", "Europe/Paris"))

    def founding_clock(self) -> CivilClock:
        """Civil time while the commune is founded: some hours before the data, at the pace of the wall."""
        return CivilClock(self.starts_s - FOUNDED_BEFORE_S, time.time(), 1)

    def running_clock(self) -> CivilClock:
        """Civil time from now on: it reaches the data when the processes have come up."""
        start_up_s = START_UP_S + START_UP_S_PER_HOME * self.homes
        return CivilClock(self.starts_s, time.time() + start_up_s, self.speed)
