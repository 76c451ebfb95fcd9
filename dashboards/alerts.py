"""The alerts, each once: what it asks of InfluxDB for Grafana's own rules, and of Prometheus for its rules.

Both say the same with what each has. InfluxDB knows what the aggregator writes (docs/spec/telemetry.md); Prometheus
what gateways and the aggregator tell at /metrics, and, where a VictoriaMetrics takes the telemetry as well, what is
written. Every alert has a page in docs/operating/alerts.

Neither file may have a dollar sign: Grafana fills variables of the environment into what it reads. So times are
`now() - 1h`, and labels `.Labels.gateway`, which Go's templates know in both.
"""

from dataclasses import dataclass
from enum import Enum

HOUR_S = 3600
WHOLE = 'printf "%.0f"'


class Severity(Enum):
    """Who has to look: critical today, warning this week."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Limit:
    """What is not as it should be: a value above `above`, or below `below`, or either."""

    above: float | None = None
    below: float | None = None

    def is_passed(self, value: float) -> bool:
        """Whether a value is not as it should be."""
        return (self.above is not None and value > self.above) or (self.below is not None and value < self.below)


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One alert. `name`: unique; `page`: in docs/operating/alerts; `says`: a sentence with VALUE, written in its
    `form`, and GATEWAY or COMMUNE, whom it is about; `influxql`: one value a series, with its `limit`;
    `promql`: what holds while it fires; `holds_for`: how long; `board`, `panel`: where to look; `is_silence_bad`:
    whether no answer is as bad."""

    name: str
    page: str
    severity: Severity
    says: str
    influxql: str
    limit: Limit
    promql: str
    holds_for: str
    board: str
    panel: str
    form: str = 'printf "%.2f"'
    is_silence_bad: bool = False


def _latest(what: str, measurement: str, within: str, *tags: str, where: str = "") -> str:
    """The newest value within a time, by tags."""
    which = f"{where} AND " if where else ""
    by = ", ".join(f'"{tag}"' for tag in ("commune", *tags))
    return f'SELECT {what} FROM "{measurement}" WHERE {which}time > now() - {within} GROUP BY {by}'


def _off_the_band(figure: str) -> str:
    """How far a figure of the money is below what the policy in force wants at least."""
    is_now, least = (f"last_over_time(money_{figure}_permille{name}[1h])" for name in ("", "_min"))
    return f"({is_now} - {least}) / 1000 < 0"


_G, _A = "commonwatt_gateway", "commonwatt_aggregator"

ALERTS = (
    Alert(
        name="ReverseFlowOverRating",
        page="reverse-flow",
        severity=Severity.CRITICAL,
        says="{{ .Labels.level }} {{ .Labels.place }} feeds back VALUE times what it is rated for.",
        influxql=_latest(
            'last("reverse_permille") / 1000',
            "energy_15m",
            "26h",
            "level",
            "place",
            where="(\"level\" = 'feeder' OR \"level\" = 'transformer')",
        ),
        limit=Limit(above=1),
        promql='last_over_time(energy_15m_reverse_permille{level=~"feeder|transformer"}[26h]) / 1000 > 1',
        holds_for="30m",
        board="cw-operator",
        panel="Reverse flow against rating",
    ),
    Alert(
        name="GatewaySilent",
        page="silent-gateway",
        severity=Severity.CRITICAL,
        says="Gateway GATEWAY has not been heard for a quarter of an hour.",
        influxql=_latest('last("heard_age_s")', "gateway", "10m", "gateway"),
        limit=Limit(above=900),
        promql=f'up{{job="commonwatt-gateway"}} == 0 or {_G}_state_age_seconds > 60',
        holds_for="15m",
        board="cw-fleet",
        panel="Gateways over time",
    ),
    Alert(
        name="ClockUntrusted",
        page="clock-drift",
        severity=Severity.WARNING,
        says="The clock of GATEWAY may not date what is signed or closed.",
        influxql=_latest('last("clock_trusted")', "gateway", "10m", "gateway"),
        limit=Limit(below=1),
        promql=f"{_G}_clock_trusted == 0 or {_A}_clock_trusted == 0",
        holds_for="30m",
        board="cw-fleet",
        panel="Clocks",
    ),
    Alert(
        name="ClockDrift",
        page="clock-drift",
        severity=Severity.WARNING,
        says="The clock of GATEWAY is off, or jumps (seconds, or jumps in an hour: VALUE).",
        influxql=_latest('last("clock_skew_ms") / 1000', "gateway", "10m", "gateway"),
        limit=Limit(above=5, below=-5),
        promql=(
            f"abs(last_over_time(gateway_clock_skew_ms[10m])) / 1000 > 5 or increase({_G}_clock_jumps_total[1h]) > 3"
        ),
        holds_for="15m",
        board="cw-fleet",
        panel="Clocks",
    ),
    Alert(
        name="SpoolOld",
        page="spool-age",
        severity=Severity.WARNING,
        says="Gateway GATEWAY has waited VALUE for a receipt.",
        form="humanizeDuration",
        influxql=_latest('last("spool_age_s")', "gateway", "10m", "gateway"),
        limit=Limit(above=6 * HOUR_S),
        promql=f"{_G}_spool_oldest_age_seconds > {6 * HOUR_S}",
        holds_for="10m",
        board="cw-fleet",
        panel="How long the oldest has waited",
    ),
    Alert(
        name="BlocksRefused",
        page="refused-blocks",
        severity=Severity.WARNING,
        says="A share of VALUE of the blocks of the last hour was refused; 0.01 is too many.",
        influxql=_latest('spread("blocks_refused") / spread("blocks_received")', "pipeline", "1h"),
        limit=Limit(above=0.01),
        promql=(
            f"sum without (reason) (increase({_A}_blocks_refused_total[1h]))"
            f" / increase({_A}_blocks_received_total[1h]) > 0.01"
        ),
        holds_for="10m",
        board="cw-fleet",
        panel="Refused, by reason",
    ),
    Alert(
        name="CheckpointStale",
        page="checkpoint-stale",
        severity=Severity.CRITICAL,
        says="The published head of the log lacks VALUE entries.",
        form=WHOLE,
        influxql=_latest('last("log_size") - last("checkpoint_size")', "ledger", "10m"),
        limit=Limit(above=0),
        promql=f"{_A}_log_entries - {_A}_checkpoint_entries > 0",
        holds_for="15m",
        board="cw-ledger",
        panel="Log and published head",
    ),
    Alert(
        name="CheckpointOld",
        page="checkpoint-stale",
        severity=Severity.WARNING,
        says="No head of the log was published for VALUE.",
        form="humanizeDuration",
        influxql=_latest('last("checkpoint_age_s")', "ledger", "10m"),
        limit=Limit(above=26 * HOUR_S),
        promql=f"{_A}_checkpoint_age_seconds > {26 * HOUR_S}",
        holds_for="10m",
        board="cw-ledger",
        panel="Age of the published head",
    ),
    Alert(
        name="WitnessRefuses",
        page="witness-refuses",
        severity=Severity.CRITICAL,
        says="Witness {{ .Labels.witness }} does not cosign the log (entries behind, or refusals: VALUE).",
        form=WHOLE,
        influxql=_latest('min("behind_entries")', "witness", "1h", "witness"),
        limit=Limit(above=0),
        promql=(
            f"min_over_time({_A}_witness_lag_entries[1h]) > 0 "
            f'or sum without (reason) (increase({_A}_witness_refusals_total{{reason!="unreachable"}}[15m])) > 0'
        ),
        holds_for="5m",
        board="cw-ledger",
        panel="Witnesses",
    ),
    Alert(
        name="MoneyUncovered",
        page="money-supply",
        severity=Severity.WARNING,
        says="The covered share of the money in circulation, {{ .Labels.unit }}, is off the policy's least by VALUE.",
        influxql=_latest('(last("coverage_permille") - last("coverage_permille_min")) / 1000', "money", "1h", "unit"),
        limit=Limit(below=0),
        promql=_off_the_band("coverage"),
        holds_for="1h",
        board="cw-ledger",
        panel="Coverage",
    ),
    Alert(
        name="MoneyIdle",
        page="money-supply",
        severity=Severity.WARNING,
        says="How often credits changed hands in 30 days is off the policy's least by VALUE: they find no use.",
        influxql=_latest(
            '(last("velocity_permille") - last("velocity_permille_min")) / 1000',
            *("money", "1h", "unit"),
            where="\"unit\" = 'energy'",
        ),
        limit=Limit(below=0),
        promql=_off_the_band("velocity"),
        holds_for="6h",
        board="cw-ledger",
        panel="Velocity over time",
    ),
    Alert(
        name="GatewayDisk",
        page="disk",
        severity=Severity.CRITICAL,
        says="The disk of gateway GATEWAY is nearly full.",
        influxql=_latest('last("disk_free_bytes")', "gateway", "10m", "gateway"),
        limit=Limit(below=500e6),
        promql=f"{_G}_disk_free_bytes < 5e8 or predict_linear({_G}_disk_free_bytes[6h], 86400) < 0",
        holds_for="10m",
        board="cw-fleet",
        panel="Each gateway",
    ),
    Alert(
        name="AggregatorDisk",
        page="disk",
        severity=Severity.CRITICAL,
        says="The disk of the aggregator of COMMUNE is nearly full.",
        influxql=_latest('last("disk_free_bytes")', "pipeline", "10m"),
        limit=Limit(below=500e6),
        promql=f"{_A}_disk_free_bytes < 5e8 or predict_linear({_A}_disk_free_bytes[6h], 86400) < 0",
        holds_for="10m",
        board="cw-fleet",
        panel="Aggregator's disk",
    ),
    Alert(
        name="MintingStalled",
        page="minting-stalled",
        severity=Severity.CRITICAL,
        says="Mint-runs have waited for the ledger for more than an hour.",
        influxql=_latest('min("outbox_runs")', "ledger", "1h"),
        limit=Limit(above=0),
        promql=f"{_A}_outbox_oldest_age_seconds > {HOUR_S}",
        holds_for="5m",
        board="cw-ledger",
        panel="Runs that wait",
    ),
    Alert(
        name="TelemetryBehind",
        page="telemetry",
        severity=Severity.WARNING,
        says="The dashboards of COMMUNE are behind; the books are not.",
        influxql=_latest('last("behind_s")', "telemetry", "10m"),
        limit=Limit(above=3 * HOUR_S),
        promql=f"{_A}_telemetry_up == 0 or {_A}_telemetry_behind_seconds > {3 * HOUR_S}",
        holds_for="15m",
        board="cw-fleet",
        panel="Behind by",
        is_silence_bad=True,
    ),
    Alert(
        name="AggregatorDown",
        page="aggregator-down",
        severity=Severity.CRITICAL,
        says="There is not exactly one aggregator that closes intervals and mints.",
        influxql=_latest('count("log_size")', "ledger", "10m"),
        limit=Limit(below=1),
        promql=f"sum by (job) ({_A}_leads) != 1 or absent({_A}_leads) or {_A}_state_age_seconds > 60",
        holds_for="5m",
        board="cw-fleet",
        panel="Signatures",
        is_silence_bad=True,
    ),
)
