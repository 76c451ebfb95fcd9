"""What one run of the demo is: where, when, how fast, which seed. Values only."""

import time
from dataclasses import dataclass
from pathlib import Path

from commonwatt.clock import CivilClock
from commonwatt.demo.registers.homes import START_S, VILLAGES, Village
from commonwatt.errors import UserError
from commonwatt.i18n import _

ROOT = Path(__file__).parents[2]
"""The clone: the firmware and the policies are run from it."""

DAY_S = 86_400
DAYS_MAX = 7
SPEED_DEFAULT = 1440
SPEED_MAX = 2880
START_UP_S, START_UP_S_PER_HOME = 5.0, 0.3
"""Wall seconds that the processes have to come up before the first measured quarter hour."""
FOUNDED_BEFORE_S = 16 * 3600
"""Civil seconds between the genesis entry and the first measured quarter hour; longer than any start-up."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: `starts_s` to `ends_s` is the civil span of the measured data that is replayed."""

    directory: Path
    homes: int
    days: int
    speed: int
    seed: int
    faults: bool
    broker_url: str | None

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
        if self.faults and self.broker_url:
            raise UserError(_("FAULTS kills the broker, so it needs one of its own"), to_do=_("leave BROKER away"))

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

    def founding_clock(self) -> CivilClock:
        """Civil time while the commune is founded: some hours before the data, at the pace of the wall."""
        return CivilClock(self.starts_s - FOUNDED_BEFORE_S, time.time(), 1)

    def running_clock(self) -> CivilClock:
        """Civil time from now on: it reaches the data when the processes have come up."""
        start_up_s = START_UP_S + START_UP_S_PER_HOME * self.homes
        return CivilClock(self.starts_s, time.time() + start_up_s, self.speed)

    def next_day_clock(self) -> CivilClock:
        """Civil time for what people do after the run: the day after the data end, at the pace of the wall."""
        return CivilClock(self.ends_s + DAY_S, time.time(), 1)
