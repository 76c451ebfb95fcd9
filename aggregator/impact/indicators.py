"""What a commune wants to reach: a baseline, a target, a date to look again (plan, do, check, act). Pure.

One TOML file, DIR/indicators.toml:

    [[indicators]]
    id = "self-sufficiency"
    name = "What we use of our own making"
    measure = "self_sufficiency"        # a figure of `commonwatt impact`
    days = 28                           # over the latest whole weeks of so many days
    baseline = 180                      # in the figure's unit, on its date
    baseline_date = 2026-01-01
    target = 300
    target_date = 2028-12-31
    review_date = 2026-06-30            # when somebody looks again
    responsible = "the energy committee"

    [[indicators.actions]]              # do
    text = "Ten roofs on the school"
    by = 2026-09-01
    done = false

    [[indicators.reviews]]              # check, act
    date = 2026-03-31
    value = 195
    finding = "Two roofs came late."
    decision = "Ask a second installer."
"""

from collections import Counter
from datetime import date
from enum import Enum
from pathlib import Path

from pydantic import Field, model_validator

from commonwatt.settings import Settings, load

FILE = "indicators.toml"
MEASURES = (
    "consumption",
    "import",
    "export",
    "production",
    "local",
    "self_consumption",
    "self_sufficiency",
    "peak_import",
    "peak_export",
    "co2_avoided",
    "co2_imported",
)
_TEXT = Field(min_length=1, max_length=400)


class Step(Enum):
    """Where an indicator stands in the circle, the first that is so."""

    ACT = "act"
    CHECK = "check"
    DO = "do"
    PLAN = "plan"


class Action(Settings):
    """What is done about it."""

    text: str = _TEXT
    by: date
    """Until when, so that nobody has to ask."""
    done: bool = False


class Review(Settings):
    """What was found when somebody looked, and what follows from it."""

    date: date
    value: int
    finding: str = _TEXT
    decision: str = ""
    """Empty: nothing was decided yet, which is the next thing to do."""


class Indicator(Settings):
    """One thing to reach."""

    id: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    name: str = _TEXT
    measure: str
    days: int = Field(default=28, ge=7, le=364, strict=True)
    """Over so many days, so that a week of rain decides nothing; whole weeks, because Sundays are alike."""
    baseline: int
    baseline_date: date
    target: int
    target_date: date
    review_date: date
    """The day on which somebody looks again, whatever the figure says."""
    responsible: str = _TEXT
    actions: list[Action] = Field(default_factory=list)
    reviews: list[Review] = Field(default_factory=list)

    @model_validator(mode="after")
    def _makes_sense(self) -> "Indicator":
        if self.measure not in MEASURES:
            raise ValueError(f"measure: {self.measure!r} is none of {', '.join(MEASURES)}")
        if self.days % 7:
            raise ValueError("days: whole weeks only (7, 14, 28, ...)")
        if self.target == self.baseline or self.target_date <= self.baseline_date:
            raise ValueError("the target differs from the baseline and comes after it")
        return self

    def expected(self, day: date) -> int:
        """Where it should be on a day: on the straight line from baseline to target, rounded down."""
        whole = (self.target_date - self.baseline_date).days
        passed = min(max(0, (day - self.baseline_date).days), whole)
        return self.baseline + (self.target - self.baseline) * passed // whole

    def is_on_track(self, value: int, day: date) -> bool:
        """Whether a value is at least where it should be."""
        ahead = value - self.expected(day)
        return ahead >= 0 if self.target > self.baseline else ahead <= 0

    def is_reached(self, value: int) -> bool:
        """Whether the target is."""
        return value >= self.target if self.target > self.baseline else value <= self.target

    def progress_permille(self, value: int) -> int:
        """How much of the way from baseline to target is done; may be negative, or beyond the whole."""
        return 1000 * (value - self.baseline) // (self.target - self.baseline)

    def step(self, day: date) -> Step:
        """What is due: a decision on the last review, a review, an action, or nothing but the plan."""
        if self.reviews and not max(self.reviews, key=lambda review: review.date).decision:
            return Step.ACT
        if day >= self.review_date:
            return Step.CHECK
        return Step.DO if self.overdue(day) or any(not action.done for action in self.actions) else Step.PLAN

    def overdue(self, day: date) -> list[Action]:
        """What should be done by now and is not."""
        return [action for action in self.actions if not action.done and action.by < day]


class Indicators(Settings):
    """A whole file."""

    indicators: list[Indicator] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "Indicators":
        for name, times in Counter(row.id for row in self.indicators).items():
            if times > 1:
                raise ValueError(f"{name!r} is there {times} times")
        return self


def read(path: Path) -> list[Indicator]:
    """Those of a file; UserError names the line's mistake."""
    return load(Indicators, path).indicators
