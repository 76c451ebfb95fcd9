"""The operator's requests on the dashboards: which windows were announced, and what came of each."""

from dashboards import look, panels, queries
from dashboards.board import ask
from dashboards.panels import rows, trend


def panels_of() -> list[panels.Panel]:
    """A table of the windows, and their energy."""
    return [
        rows(
            "Windows announced",
            "Each window in which the operator asked to use less (peak) or more (surplus). *Expected* is the usual "
            "use of the homes that could be measured, *used* theirs in the window, *shifted* what was credited. "
            "Empty until it is measured.",
            ask(queries.REQUESTS_TABLE, as_table=True),
            unit=look.COUNT,
            names={
                "kind": "Asked for",
                "place": "Where",
                "start": "From",
                "end": "Until",
                "asked": "Homes asked",
                "measured": "Homes measured",
                "expected_wh": "Expected",
                "used_wh": "Used",
                "shifted_wh": "Shifted",
                "reward": "Credits",
            },
            units={
                "From": "dateTimeAsIso",
                "Until": "dateTimeAsIso",
                "Expected": look.WATT_HOURS,
                "Used": look.WATT_HOURS,
                "Shifted": look.WATT_HOURS,
            },
            hidden=("Time", "request", "level"),
            span=24,
            height=6,
            empty="nothing was asked in the time shown",
        ),
        trend(
            "Expected and used in windows",
            "By day: the usual use of the homes asked, and what they used. In a peak the second should be lower, "
            "in a surplus higher.",
            ask(queries.REQUEST_EXPECTED_WH, "$tag_kind expected"),
            ask(queries.REQUEST_USED_WH, "$tag_kind used"),
            unit=look.WATT_HOURS,
            colors={
                "peak expected": look.BEFORE,
                "surplus expected": look.BEFORE,
                "peak used": look.IMPORT,
                "surplus used": look.SUN,
            },
            is_bars=True,
            step="1d",
            span=24,
            height=6,
            empty="nothing was asked in the time shown",
        ),
    ]
