"""Every query of every dashboard, by name. InfluxQL, in the subset that InfluxDB 1, 2 and 3 answer alike.

Names end in the unit of what comes out. Rules that a test holds them to (tests/dashboards/test_lint.py):

- measurements, tags and fields are those of docs/spec/telemetry.md;
- variables stand in anchored regular expressions (`=~ /^${place:regex}$/`), so that a name may have any character;
- buckets of a day carry `tz('${tz}')`: a day begins at people's midnight, and has 23 or 25 hours twice a year;
- where nothing was measured there is null, never 0 and never the value before: a silent meter must be seen.

Energy comes per interval of 15 minutes: × 4 it is the mean power in W.
"""

from aggregator.telemetry.measurements import FACETS

_COMMUNE = '"commune" =~ /^${commune:regex}$/'
_WHOLE = f"{_COMMUNE} AND \"level\" = 'commune'"
_PLACE = f'{_COMMUNE} AND "level" = \'${{level}}\' AND "place" =~ /^${{place:regex}}$/'
_RATED = f'{_COMMUNE} AND "level" =~ /^(feeder|transformer)$/'
_NOW = "$timeFilter"
_WEEK = "time >= ${__to}ms - 7d AND time < ${__to}ms"
_BEFORE = "time >= ${__to}ms - 14d AND time < ${__to}ms - 7d"
_STEP = "GROUP BY time($__interval) fill(null) tz('${tz}')"
_DAY = "GROUP BY time(1d) fill(none) tz('${tz}')"


def _select(what: str, measurement: str, where: str = _COMMUNE, how: str = "", when: str = _NOW) -> str:
    which = f"{where} AND {when}" if where else when
    return f'SELECT {what} FROM "{measurement}" WHERE {which} {how}'.rstrip()


def _class(facet: str, name: str) -> str:
    return f"{_COMMUNE} AND \"facet\" = '{facet}' AND \"class\" = '{name}'"


def _some(what: str, measurement: str, tag: str, how: str = "") -> str:
    """By tag, what there is any of: a list of noughts tells nobody anything. `how`: buckets of time by tag."""
    inner = _select(f'{what} AS "some"', measurement, how=how or f'GROUP BY "{tag}"')
    return f'SELECT "some" FROM ({inner}) WHERE "some" > 0 GROUP BY "{tag}"'


def _weighted(ratio: str, weight: str, measurement: str, where: str) -> str:
    """A ratio in thousandths over many points: each counts as much as its energy."""
    inner = _select(f'"{ratio}" * "{weight}" AS "part", "{weight}" AS "whole"', measurement, where)
    return f'SELECT sum("part") / sum("whole") / 1000 FROM ({inner})'


def _by(tag: str, *, every: str = "$__interval", fill: str = "null") -> str:
    return f"GROUP BY time({every}), \"{tag}\" fill({fill}) tz('${{tz}}')"


# Variables.
COMMUNES = 'SHOW TAG VALUES FROM "pipeline" WITH KEY = "commune"'
PLACES = f'SHOW TAG VALUES FROM "energy_15m" WITH KEY = "place" WHERE {_COMMUNE} AND "level" = \'${{level}}\''

# Marks on every curve.
EVENTS = _select('"text", "kind"', "event")
WINDOWS = _select('"end_s" * 1000 AS "end", "kind", "place"', "request")

# The commune, newest closed quarter of an hour, and the time shown.
IMPORT_NOW_W = _select('last("import_wh") * 4', "energy_15m", _WHOLE)
EXPORT_NOW_W = _select('last("export_wh") * 4', "energy_15m", _WHOLE)
SOLAR_NOW_W = _select('last("solar_wh") * 4', "energy_15m", _WHOLE)
HIGHEST_LOAD = _select('max("load_permille") / 1000', "energy_15m", _RATED)
HIGHEST_REVERSE = _select('max("reverse_permille") / 1000', "energy_15m", _RATED)
COMPLETENESS_NOW = _select('last("completeness_permille") / 1000', "energy_15m", _WHOLE)

# Feeders and transformers, one series each.
_EACH = 'GROUP BY "level", "place"'
LOAD_PEAK_EACH = _select('max("load_permille") / 1000', "energy_15m", _RATED, _EACH)
REVERSE_PEAK_EACH = _select('max("reverse_permille") / 1000', "energy_15m", _RATED, _EACH)
LOAD_STATE_EACH = _select('max("load_permille") / 1000', "energy_15m", _RATED, _by("place"))
REVERSE_STATE_EACH = _select('max("reverse_permille") / 1000', "energy_15m", _RATED, _by("place"))
PLACES_TABLE = _select(
    'max("load_w") AS "load_w", max("reverse_w") AS "reverse_w", max("rating_w") AS "rating_w", '
    'sum("import_wh") AS "import_wh", sum("export_wh") AS "export_wh", sum("solar_wh") AS "solar_wh", '
    'min("completeness_permille") / 1000 AS "completeness", max("sites") AS "sites"',
    "energy_15m",
    f"{_COMMUNE} AND \"level\" = '${{below}}'",
    'GROUP BY "place"',
)

# The place chosen.
IMPORT_W = _select('mean("import_wh") * 4', "energy_15m", _PLACE, _STEP)
EXPORT_W = _select('mean("export_wh") * 4', "energy_15m", _PLACE, _STEP)
SOLAR_W = _select('mean("solar_wh") * 4', "energy_15m", _PLACE, _STEP)
USED_W = _select('mean("used_wh") * 4', "energy_15m", _PLACE, _STEP)
LOAD_W = _select('max("load_w")', "energy_15m", _PLACE, _STEP)
REVERSE_W = _select('max("reverse_w")', "energy_15m", _PLACE, _STEP)
RATING_W = _select('max("rating_w")', "energy_15m", _PLACE, _STEP)
IMPORT_WEEK_WH = _select('sum("import_wh")', "energy_15m", _PLACE, when=_WEEK)
EXPORT_WEEK_WH = _select('sum("export_wh")', "energy_15m", _PLACE, when=_WEEK)
IMPORT_BEFORE_WH = _select('sum("import_wh")', "energy_15m", _PLACE, when=_BEFORE)
EXPORT_BEFORE_WH = _select('sum("export_wh")', "energy_15m", _PLACE, when=_BEFORE)
IMPORT_DAILY_WH = _select('sum("import_wh")', "energy_1d", _PLACE, _DAY)
EXPORT_DAILY_WH = _select('sum("export_wh")', "energy_1d", _PLACE, _DAY)
COMPLETENESS = _select('mean("completeness_permille") / 1000', "energy_15m", _PLACE, _STEP)
SITES = _select('min("sites")', "energy_15m", _PLACE, _STEP)
SITES_EXPECTED = _select('max("sites_expected")', "energy_15m", _PLACE, _STEP)

# Voltage and frequency, where meters report them; lowest and highest of a gateway's meters.
VOLTAGE_MIN_V = _select('min("voltage_mv_min") / 1000', "grid", how=_by("gateway"))
VOLTAGE_MAX_V = _select('max("voltage_mv_max") / 1000', "grid", how=_by("gateway"))
FREQUENCY_MIN_HZ = _select('min("frequency_mhz_min") / 1000', "grid", how=_STEP)
FREQUENCY_MAX_HZ = _select('max("frequency_mhz_max") / 1000', "grid", how=_STEP)

# What the operator asked for, and what came.
REQUESTS_TABLE = _select(
    'last("start_s") * 1000 AS "start", last("end_s") * 1000 AS "end", '
    'last("sites_asked") AS "asked", last("sites") AS "measured", last("expected_wh") AS "expected_wh", '
    'last("used_wh") AS "used_wh", last("shifted_wh") AS "shifted_wh", last("reward_mc") / 1000 AS "reward"',
    "request",
    how='GROUP BY "request", "kind", "level", "place"',
)
REQUEST_EXPECTED_WH = _select('sum("expected_wh")', "request", how=_by("kind", every="1d", fill="none"))
REQUEST_USED_WH = _select('sum("used_wh")', "request", how=_by("kind", every="1d", fill="none"))

# What is not told.
WITHHELD = _some('spread("figures")', "withheld", "reason")

# Fleet: devices by class; facets are state, seen, clock, radio and firmware.
_STATE = f"{_COMMUNE} AND \"facet\" = 'state'"
_CLASS = 'GROUP BY "class"'
DEVICES_ONLINE = _select('last("devices")', "fleet", _class("state", "online"))
DEVICES_OFFLINE = _select('last("devices")', "fleet", _class("state", "offline"))
DEVICES_BY_STATE = _select('last("devices")', "fleet", _STATE, _by("class"))
DEVICES_OF_CLASS = {
    (facet, name): _select('last("devices")', "fleet", _class(facet, name))
    for facet in ("seen", "clock", "radio")
    for name in FACETS[facet]
}
"""One query for each class of a facet, so that they stand in their own order and not in that of the alphabet."""
DEVICES_BY_FIRMWARE = _select('last("devices")', "fleet", f"{_COMMUNE} AND \"facet\" = 'firmware'", _CLASS)

# Gateways, as each said last of itself.
_GATEWAY = f'{_COMMUNE} AND "gateway" =~ /^${{gateway:regex}}$/'
GATEWAYS = f'SHOW TAG VALUES FROM "gateway" WITH KEY = "gateway" WHERE {_COMMUNE}'
GATEWAYS_TABLE = _select(
    'last("up") AS "up", last("heard_age_s") AS "heard_age_s", last("spool_blocks") AS "spool_blocks", '
    'last("spool_age_s") AS "spool_age_s", last("spool_bytes") / last("spool_bytes_max") AS "spool_full", '
    'last("disk_free_bytes") AS "disk_free_bytes", last("clock_trusted") AS "clock_trusted", '
    'last("clock_skew_ms") / 1000 AS "clock_skew_s", last("devices_online") AS "devices_online", '
    'last("devices_offline") AS "devices_offline", last("meters_silent") AS "meters_silent"',
    "gateway",
    how='GROUP BY "gateway"',
)
_LAST_AGE, _LAST_UP, _GROUPED = 'last("spool_age_s") AS "age_s"', 'last("up") AS "up"', 'GROUP BY "gateway"'
GATEWAY_UP = _select('min("up")', "gateway", _GATEWAY, _by("gateway", fill="none"))
SPOOL_BLOCKS = _select('max("spool_blocks")', "gateway", _GATEWAY, _by("gateway"))
SPOOL_AGE_S = _select('max("spool_age_s")', "gateway", _GATEWAY, _by("gateway"))
SPOOL_OLDEST_S = f'SELECT max("age_s") FROM ({_select(_LAST_AGE, "gateway", how=_GROUPED)})'
GATEWAYS_HEARD = f'SELECT sum("up") FROM ({_select(_LAST_UP, "gateway", how=_GROUPED)})'
GATEWAYS_KNOWN = f'SELECT count("up") FROM ({_select(_LAST_UP, "gateway", how=_GROUPED)})'
CLOCK_SKEW_S = _select('mean("clock_skew_ms") / 1000', "gateway", _GATEWAY, _by("gateway"))

# What arrives. Counters grow for ever: the spread over the time shown is what came in it.
SIGNATURES_PER_S = _select('last("signatures_per_min") / 60', "pipeline")
SIGNATURES_STEP_PER_S = _select('mean("signatures_per_min") / 60', "pipeline", how=_STEP)
READINGS = _select('spread("readings")', "pipeline")
ACCEPTED = _select('non_negative_difference(last("blocks_accepted"))', "pipeline", how=_STEP)
DUPLICATE = _select('non_negative_difference(last("blocks_duplicate"))', "pipeline", how=_STEP)
REFUSED_SHARE = _select('spread("blocks_refused") / spread("blocks_received")', "pipeline")
REFUSED_BY_REASON = _some('spread("blocks")', "refused", "reason")
REFUSED_STEP = _some('non_negative_difference(last("blocks"))', "refused", "reason", _by("reason"))
FROZEN_DEVICES = _select('last("frozen_devices")', "pipeline")
DISK_FREE_BYTES = _select('last("disk_free_bytes")', "pipeline")

# The dashboards' own way.
TELEMETRY_UP = _select('last("up")', "telemetry")
TELEMETRY_BEHIND_S = _select('last("behind_s")', "telemetry")
POINTS_WAITING = _select('last("points_waiting")', "telemetry")
POINTS_WAITING_STEP = _select('max("points_waiting")', "telemetry", how=_STEP)
POINTS_SKIPPED = _select('last("points_skipped")', "telemetry")
RETRIED = _select('spread("requests_retried")', "telemetry")
ASIDE_BY_REASON = _some('last("points")', "telemetry_aside", "reason")

# Credits. 1,000 mc are a credit.
MINTED = _select('sum("total_mc") / 1000', "mint")
MINTED_WH = _select('sum("energy_wh")', "mint")
ASSOCIATION = _select('sum("association_mc") / 1000', "mint")
MINTED_BY_SOURCE = _select('sum("total_mc") / 1000', "mint", how=_by("source", every="1d", fill="none"))
MINTED_BY_POLICY = _select('sum("total_mc") / 1000', "mint", how=_by("policy", every="1d", fill="none"))
MINTED_WH_BY_SOURCE = _select('sum("energy_wh")', "mint", how='GROUP BY "source"')
SOURCES_TABLE = _select(
    'sum("energy_wh") AS "energy_wh", sum("amount_mc") / 1000 AS "amount", '
    'sum("association_mc") / 1000 AS "association", sum("mints") AS "mints", max("sites") AS "sites"',
    "mint",
    how='GROUP BY "source", "policy"',
)
_ENERGY = f"{_COMMUNE} AND \"unit\" = 'energy'"
OUTSTANDING = _select('last("outstanding_mc") / 1000', "money", _ENERGY)
COVERAGE = _select('last("coverage_permille") / 1000', "money", _ENERGY)
VELOCITY = _select('last("velocity_permille") / 1000', "money", _ENERGY)
OUTSTANDING_BY_UNIT = _select('last("outstanding_mc") / 1000', "money", how=_by("unit"))
COVERED_BY_UNIT = _select('last("covered_mc") / 1000', "money", how=_by("unit"))
COVERAGE_BY_UNIT = _select('last("coverage_permille") / 1000', "money", how=_by("unit"))
COVERAGE_LEAST = _select('last("coverage_permille_min") / 1000', "money", _ENERGY, _STEP)
VELOCITY_LEAST = _select('last("velocity_permille_min") / 1000', "money", _ENERGY, _STEP)
VELOCITY_BY_UNIT = _select('last("velocity_permille") / 1000', "money", how=_by("unit"))
TURNOVER_STEP = _select('last("turnover_30d_mc") / 1000', "money", how=_by("unit"))
HELD_BY_REASON = _some('last("spans")', "held", "reason")
HELD_WH_BY_REASON = _some('last("energy_wh")', "held", "reason")
HELD_STEP = _some('last("spans")', "held", "reason", _by("reason"))
HELD_NOW = _select('last("held")', "pipeline")

# The log and who signs its head.
LOG_ENTRIES = _select('last("log_size")', "ledger")
UNPUBLISHED = _select('last("log_size") - last("checkpoint_size")', "ledger")
CHECKPOINT_AGE_S = _select('last("checkpoint_age_s")', "ledger")
OUTBOX_RUNS = _select('last("outbox_runs")', "ledger")
LOG_STEP = _select('last("log_size")', "ledger", how=_STEP)
CHECKPOINT_STEP = _select('last("checkpoint_size")', "ledger", how=_STEP)
CHECKPOINT_AGE_STEP_S = _select('max("checkpoint_age_s")', "ledger", how=_STEP)
OUTBOX_STEP = _select('max("outbox_runs")', "ledger", how=_STEP)
WITNESS_BEHIND = _select('last("behind_entries")', "witness", how='GROUP BY "witness"')
WITNESS_BEHIND_STEP = _select('max("behind_entries")', "witness", how=_by("witness"))
WITNESS_AGE_STEP_S = _select('max("cosigned_age_s")', "witness", how=_by("witness"))

# What the commune did, of whole days.
_IN_DAYS = {"measurement": "energy_1d", "where": _WHOLE}
COMMUNE_MATCHED_WH = _select('sum("matched_wh")', **_IN_DAYS)
COMMUNE_MATCHED_WEEK_WH = _select('sum("matched_wh")', **_IN_DAYS, when=_WEEK)
COMMUNE_MATCHED_BEFORE_WH = _select('sum("matched_wh")', **_IN_DAYS, when=_BEFORE)
COMMUNE_SOLAR_WH = _select('sum("solar_wh")', **_IN_DAYS)
COMMUNE_SOLAR_WEEK_WH = _select('sum("solar_wh")', **_IN_DAYS, when=_WEEK)
COMMUNE_SOLAR_BEFORE_WH = _select('sum("solar_wh")', **_IN_DAYS, when=_BEFORE)
COMMUNE_USED_WEEK_WH = _select('sum("used_wh")', **_IN_DAYS, when=_WEEK)
COMMUNE_USED_BEFORE_WH = _select('sum("used_wh")', **_IN_DAYS, when=_BEFORE)
COMMUNE_SOLAR_W = _select('mean("solar_wh") * 4', "energy_15m", _WHOLE, _STEP)
COMMUNE_USED_W = _select('mean("used_wh") * 4', "energy_15m", _WHOLE, _STEP)
COMMUNE_KNOWN = _select('mean("completeness_permille") / 1000', **_IN_DAYS)
CO2_AVOIDED_G = _select('sum("co2_avoided_g")', "impact_1d", _WHOLE)
CO2_AVOIDED_WEEK_G = _select('sum("co2_avoided_g")', "impact_1d", _WHOLE, when=_WEEK)
CO2_AVOIDED_BEFORE_G = _select('sum("co2_avoided_g")', "impact_1d", _WHOLE, when=_BEFORE)
CO2_AVOIDED_DAILY_G = _select('sum("co2_avoided_g")', "impact_1d", _WHOLE, _DAY)
CO2_IMPORTED_DAILY_G = _select('sum("co2_imported_g")', "impact_1d", _WHOLE, _DAY)
CO2_FACTOR_G_PER_KWH = _select('mean("factor_ug_per_wh") / 1000', "impact_1d", _WHOLE)
PARTICIPATION = _select('last("participation_permille") / 1000', "impact_1d", _WHOLE)
HOMES = _select('last("sites")', "impact_1d", _WHOLE)
SELF_DAILY = _select('mean("self_sufficiency_permille") / 1000', **_IN_DAYS, how=_DAY)


SELF_CONSUMPTION = _weighted("self_consumption_permille", "solar_wh", **_IN_DAYS)
SELF_SUFFICIENCY = _weighted("self_sufficiency_permille", "used_wh", **_IN_DAYS)

# Of the same intervals: energies and ratios are each told by themselves, so sums of two need not fit together.
_HERE = '"self_sufficiency_permille" * "used_wh" / 1000 AS "here", "used_wh" AS "used"'
_USES = _select(_HERE, **_IN_DAYS)
MADE_HERE_DAILY_WH = f'SELECT sum("here") FROM ({_USES}) WHERE {_NOW} {_DAY}'
FROM_ELSEWHERE_DAILY_WH = f'SELECT sum("used") - sum("here") FROM ({_USES}) WHERE {_NOW} {_DAY}'

# A home's own, from a database that has nothing else.
_HOME_15M, _HOME_1D = {"measurement": "home_15m", "where": ""}, {"measurement": "home_1d", "where": ""}
HOME_IMPORT_W = _select('mean("import_wh") * 4', **_HOME_15M, how=_STEP)
HOME_EXPORT_W = _select('mean("export_wh") * 4', **_HOME_15M, how=_STEP)
HOME_SOLAR_W = _select('mean("solar_wh") * 4', **_HOME_15M, how=_STEP)
HOME_USED_W = _select('mean("used_wh") * 4', **_HOME_15M, how=_STEP)
HOME_USED_WH = _select('sum("used_wh")', **_HOME_1D)
HOME_SOLAR_WH = _select('sum("solar_wh")', **_HOME_1D)
HOME_IMPORT_WH = _select('sum("import_wh")', **_HOME_1D)
HOME_EXPORT_WH = _select('sum("export_wh")', **_HOME_1D)
HOME_MATCHED_WH = _select('sum("matched_wh")', **_HOME_1D)
HOME_REST_WH = _select('sum("import_wh") - sum("matched_wh")', **_HOME_1D)
HOME_EARNED = _select('sum("earned_mc") / 1000', **_HOME_1D)
HOME_USED_WEEK_WH = _select('sum("used_wh")', **_HOME_1D, when=_WEEK)
HOME_USED_BEFORE_WH = _select('sum("used_wh")', **_HOME_1D, when=_BEFORE)
HOME_IMPORT_WEEK_WH = _select('sum("import_wh")', **_HOME_1D, when=_WEEK)
HOME_IMPORT_BEFORE_WH = _select('sum("import_wh")', **_HOME_1D, when=_BEFORE)
HOME_EARNED_WEEK = _select('sum("earned_mc") / 1000', **_HOME_1D, when=_WEEK)
HOME_EARNED_BEFORE = _select('sum("earned_mc") / 1000', **_HOME_1D, when=_BEFORE)
HOME_COST = _select('(sum("import_wh") * ${buy} - sum("export_wh") * ${sell}) / 1000', **_HOME_1D)
HOME_OWN_DAILY_WH = _select('sum("used_wh") - sum("import_wh")', **_HOME_1D, how=_DAY)
HOME_MATCHED_DAILY_WH = _select('sum("matched_wh")', **_HOME_1D, how=_DAY)
HOME_REST_DAILY_WH = _select('sum("import_wh") - sum("matched_wh")', **_HOME_1D, how=_DAY)
HOME_EARNED_DAILY = _select('sum("earned_mc") / 1000', **_HOME_1D, how=_DAY)
HOME_KNOWN = _select('sum("intervals") / sum("intervals_expected")', **_HOME_1D)
HOME_KNOWN_DAILY = _select('sum("intervals") / sum("intervals_expected")', **_HOME_1D, how=_DAY)
HOME_SELF_CONSUMPTION = _weighted("self_consumption_permille", "solar_wh", **_HOME_1D)
HOME_SELF_SUFFICIENCY = _weighted("self_sufficiency_permille", "used_wh", **_HOME_1D)
