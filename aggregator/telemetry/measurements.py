"""What is written to a time-series database: measurements, their tags and fields. docs/spec/telemetry.md shows these
tables, and a test holds the page, the writer and the dashboards to them. Values only.

Every measurement has the tag `commune` besides. Fields are integers with their unit last in the name, those in TEXTS
alone are texts: a database that keeps numbers only drops them, and no panel or alert needs them.
"""

from dataclasses import dataclass

from commonwatt.units import INTERVAL_S

SAMPLES_EVERY_S = 60.0
"""How often what is sampled is sampled, on the machine's own clock."""

TEXTS = frozenset({"text", "factor_source"})

COMMUNE = "commune"
LEVELS = (COMMUNE, "quarter", "feeder", "transformer")
"""Of `level`; `place` is the name in the roster, of the commune its slug."""

FACETS = {
    "state": ("online", "offline", "never"),
    "seen": ("hour", "six-hours", "day", "week", "older", "never"),
    "clock": ("trusted", "learning", "unsynchronised"),
    "radio": ("good", "fair", "weak", "wired"),
    "firmware": (),
}
"""Of `facet` of the fleet: the classes, of which every one is told, with 0 too; () for as many as there are."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """`tags` besides the commune. `points_per_day`: of one series at most. `kept_days`: as long as somebody looks
    back; 0: for ever."""

    name: str
    tags: tuple[str, ...]
    fields: tuple[str, ...]
    points_per_day: int
    kept_days: int


_ENERGIES = (
    "supply_wh",
    "demand_wh",
    "matched_wh",
    "unallocated_wh",
    "import_wh",
    "export_wh",
    "solar_wh",
    "used_wh",
)
_RATIOS = ("self_consumption_permille", "self_sufficiency_permille")
_BEHIND = ("sites", "sites_expected", "completeness_permille")
_LOADS = ("load_w", "reverse_w", "rating_w", "load_permille", "reverse_permille")

INTERVALS_PER_DAY = 100
"""On the longest local day."""
_SAMPLED = int(86_400 // SAMPLES_EVERY_S)
assert INTERVALS_PER_DAY * INTERVAL_S == 25 * 3600

_ALL = (
    Measurement("energy_15m", ("level", "place"), (*_ENERGIES, *_LOADS, *_RATIOS, *_BEHIND), INTERVALS_PER_DAY, 800),
    Measurement(
        "energy_1d",
        ("level", "place"),
        (*_ENERGIES, *_LOADS, *_RATIOS, *_BEHIND, "intervals", "intervals_expected"),
        1,
        0,
    ),
    Measurement(
        "impact_1d",
        ("level", "place"),
        (
            "co2_avoided_g",
            "co2_imported_g",
            "factor_ug_per_wh",
            "hourly_permille",
            *_RATIOS,
            "sites",
            "sites_expected",
            "participation_permille",
            "factor_source",
        ),
        1,
        0,
    ),
    Measurement(
        "mint",
        ("source", "policy"),
        ("energy_wh", "total_mc", "amount_mc", "association_mc", "mints", "sites"),
        24,
        0,
    ),
    Measurement(
        "money",
        ("unit",),
        (
            *("outstanding_mc", "covered_mc", "coverage_permille", "coverage_permille_min"),
            *("turnover_mc", "turnover_30d_mc", "velocity_permille", "velocity_permille_min"),
        ),
        _SAMPLED,
        800,
    ),
    Measurement("held", ("reason",), ("spans", "energy_wh"), _SAMPLED, 60),
    Measurement("withheld", ("reason",), ("figures",), _SAMPLED, 60),
    Measurement("ledger", (), ("log_size", "checkpoint_size", "checkpoint_age_s", "outbox_runs"), _SAMPLED, 800),
    Measurement("witness", ("witness",), ("cosigned_size", "behind_entries", "cosigned_age_s"), _SAMPLED, 60),
    Measurement(
        "request",
        ("request", "kind", "level", "place"),
        (
            *("asked_s", "start_s", "end_s", "notice_s", "sites_asked", "sites", "expected_wh", "used_wh"),
            *("shifted_wh", "reward_mc"),
        ),
        24,
        0,
    ),
    Measurement("event", ("kind",), ("count", "text"), 100, 0),
    Measurement("fleet", ("facet", "class"), ("devices",), _SAMPLED, 60),
    Measurement(
        "gateway",
        ("gateway",),
        (
            *("up", "heard_age_s", "spool_blocks", "spool_waiting", "spool_bytes", "spool_bytes_max", "spool_age_s"),
            *("disk_free_bytes", "blocks_received", "blocks_refused", "batches_resent", "clock_trusted"),
            *("clock_jumps", "clock_skew_ms", "devices_online", "devices_offline"),
            *("meters_ok", "meters_silent", "meters_doubtful"),
        ),
        _SAMPLED,
        60,
    ),
    Measurement(
        "grid",
        ("gateway",),
        ("voltage_mv_min", "voltage_mv_max", "frequency_mhz_min", "frequency_mhz_max", "meters"),
        _SAMPLED,
        60,
    ),
    Measurement("refused", ("reason",), ("blocks",), _SAMPLED, 60),
    Measurement(
        "pipeline",
        (),
        (
            *("batches_received", "batches_dropped", "blocks_received", "blocks_accepted", "blocks_duplicate"),
            *("blocks_refused", "readings", "signatures_per_min", "intervals_closed", "windows_minted"),
            *("frozen_devices", "held", "log_size", "disk_free_bytes"),
        ),
        _SAMPLED,
        60,
    ),
    Measurement(
        "telemetry",
        (),
        (
            *("points_written", "points_waiting", "points_aside", "points_skipped"),
            *("requests_retried", "behind_s", "up"),
        ),
        _SAMPLED,
        60,
    ),
    Measurement("telemetry_aside", ("reason",), ("points",), _SAMPLED, 60),
)
MEASUREMENTS: dict[str, Measurement] = {row.name: row for row in _ALL}
"""What goes into the operator's bucket."""

_OF_HOME = ("import_wh", "export_wh", "solar_wh", "used_wh", "matched_wh")
HOME_MEASUREMENTS: dict[str, Measurement] = {
    row.name: row
    for row in (
        Measurement("home_15m", (), _OF_HOME, INTERVALS_PER_DAY, 800),
        Measurement("home_1d", (), (*_OF_HOME, *_RATIOS, "earned_mc", "intervals", "intervals_expected"), 1, 0),
    )
}
"""What goes into one home's own bucket, and nowhere else."""
