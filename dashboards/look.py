"""How dashboards look: a few colours, each with one meaning everywhere, and the limits at which they change."""

from dashboards.sdk import dashboard, models

# What a line or bar stands for.
IMPORT = "#5B7DB1"
"""Drawn from the grid."""
EXPORT = "#9673B9"
"""Fed into the grid."""
SUN = "#E0A526"
"""Produced."""
SHARED = "#4C9F70"
"""Used by neighbours, and the credits it became."""
USE = "#7A8794"
"""Used; also whatever has no meaning of its own."""
BEFORE = "#B4BAC2"
"""The period before, to compare with."""

SOURCES = {
    "production": SUN,
    "matched": SHARED,
    "shifting": IMPORT,
    "savings": EXPORT,
    "heat": "#C26B4A",
    "declared": USE,
}
"""What credits are made for."""

# How it fares.
GOOD = "#4C9F70"
WATCH = "#E08A26"
ACT = "#C4423B"
PLAIN = "#7A8794"

WATT_HOURS, WATTS, VOLTS, HERTZ = "watth", "watt", "volt", "hertz"
SHARE, SECONDS, BYTES, COUNT, PER_SECOND, GRAMS = "percentunit", "s", "bytes", "short", "suffix: /s", "massg"
GRAMS_PER_KWH = "suffix: g/kWh"
CREDITS = "suffix: cr"
"""1 credit is 1 kWh of local renewable energy at par; amounts are kept in thousandths."""

Steps = tuple[tuple[float | None, str], ...]
"""From which value on which colour; the first is None: from below."""

NEUTRAL: Steps = ((None, PLAIN),)
NONE_IS_GOOD: Steps = ((None, GOOD), (1, ACT))
SOME_IS_ODD: Steps = ((None, GOOD), (1, WATCH))
ALL_IS_GOOD: Steps = ((None, ACT), (0.9, WATCH), (0.98, GOOD))
VOLTAGE: Steps = ((None, ACT), (207, GOOD), (253, ACT))
"""EN 50160: 230 V ± 10 %."""
FREQUENCY: Steps = ((None, WATCH), (49.8, GOOD), (50.2, WATCH))
YES_IS_GOOD: Steps = ((None, ACT), (1, GOOD))
DISK: Steps = ((None, ACT), (500e6, WATCH), (2e9, GOOD))
SKEW: Steps = ((None, ACT), (-5, GOOD), (5, ACT))
COVERED: Steps = ((None, ACT), (1, GOOD))
VELOCITY: Steps = ((None, WATCH), (0.1, GOOD))
LOAD: Steps = ((None, GOOD), (0.7, WATCH), (0.9, ACT))


def only(color: str) -> Steps:
    """One colour whatever the value."""
    return ((None, color),)


def up_to(watch: float, act: float) -> Steps:
    """The less the better."""
    return ((None, GOOD), (watch, WATCH), (act, ACT))


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Steps as the SDK takes them."""
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=color) for value, color in steps])
    )


def fixed(color: str) -> models.DynamicConfigValue:
    """The override that gives a series its colour."""
    return models.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})
