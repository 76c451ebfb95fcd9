"""What Prometheus scrapes: the state that status.json shows, as metrics by its naming conventions.

One function from a state to metric families; docs/operating/gateway-watching.md lists them. Labels are few on
purpose: meters by the name that the settings give them, reasons by their label, devices only as counts.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "commonwatt_gateway_"
WITHIN_S = {"hour": 3600, "day": 86_400, "week": 604_800}
"""How long ago a device may have sent a block to be counted as seen."""
METER_STATES = ("ok", "starting", "silent", "doubtful")

State = Mapping[str, Any]


def exposition(state: State, *, age_s: float) -> bytes:
    """The text that is scraped. `age_s`: how old the state is, on the machine's own clock."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(list(families(state, age_s=age_s))))
    return generate_latest(registry)


def families(state: State, *, age_s: float) -> Iterator[Metric]:
    """Every metric of a state; before the first state there is the age alone."""
    yield _gauge("state_age_seconds", "How long ago the loop last told its state; grows when it is stuck.", age_s)
    if not state:
        return
    info = InfoMetricFamily(f"{PREFIX.rstrip('_')}", "Which gateway this is.")
    info.add_metric([], {"gateway": state["id"], "commune": state["commune"]})
    yield info
    yield from _blocks(state["blocks"])
    yield from _spool(state["spool"])
    yield from _upstream(state)
    yield from _clock(state)
    yield from _meters(state["meters"])
    yield from _devices(state)


def _blocks(blocks: State) -> Iterator[Metric]:
    yield _counter("blocks_received", "Messages on devices' block topics.", blocks["received"])
    yield _counter(
        "blocks_verified", "Blocks with a good signature of a known device.", blocks["accepted"] + blocks["duplicate"]
    )
    yield _counter("blocks_duplicate", "Verified blocks that were here already.", blocks["duplicate"])
    yield _counters("blocks_refused", "Blocks refused for good.", "reason", blocks["refused"])
    yield _counter("blocks_turned_away", "Blocks not taken because the spool is full.", blocks["turned_away"])
    yield _counter("blocks_bad_topic", "Messages on a topic that names no device.", blocks["bad_topic"])
    yield _gauge("blocks_aside", "Blocks of unknown devices that wait for a registry.", blocks["unknown_aside"])
    yield _counter("blocks_aside_dropped", "Blocks of unknown devices, too many to keep.", blocks["unknown_dropped"])
    yield _counter("messages_dropped", "Messages that came faster than they were taken.", blocks["inbox_dropped"])
    yield _counter("meter_blocks", "Blocks signed here for the gateway's own meters.", blocks["own_meters"])


def _spool(spool: State) -> Iterator[Metric]:
    yield _gauge("spool_blocks", "Blocks without a receipt.", spool["blocks"])
    yield _gauge("spool_waiting_blocks", "Blocks that no batch carries yet.", spool["waiting"])
    yield _gauge("spool_bytes", "What the spool takes on the disk.", spool["bytes"])
    yield _gauge("spool_limit_bytes", "At this size no more device blocks are taken.", spool.get("bytes_max"))
    yield _gauge("disk_free_bytes", "Room on the spool's disk.", spool.get("disk_free_bytes"))
    yield _counter("spool_expired_blocks", "Blocks dropped because they were too old.", spool.get("expired", 0))
    yield _counter("readings_dropped", "Own readings dropped for want of room.", spool.get("readings_dropped", 0))
    yield _gauge("spool_oldest_age_seconds", "Age of the oldest block without a receipt.", spool["oldest_age_s"] or 0)
    yield _gauges(
        "spool_refused_blocks", "Blocks that the aggregator refused, kept aside.", "reason", spool["refused_upstream"]
    )


def _upstream(state: State) -> Iterator[Metric]:
    yield _gauges(
        "broker_up", "1 while a broker accepts us.", "broker", {name: int(up) for name, up in state["broker"].items()}
    )
    batches = state["batches"]
    yield _counter("batches_sent", "Batches handed to the broker for the first time.", batches["sent"])
    yield _counter("batches_resent", "Batches handed over again for want of a receipt.", batches["resent"])
    yield _counter("batches_acknowledged", "Batches whose receipt named their hash.", batches["receipted"])
    yield _gauge("batches_in_flight", "Batches without a receipt.", batches["in_flight"])
    yield _counters("upstream_ignored", "Messages from upstream not believed.", "reason", state["ignored"])
    yield _gauge("registry_log_size", "Log size of the registry believed.", state["registry"]["log_size"] or 0)


def _clock(state: State) -> Iterator[Metric]:
    yield _gauge("clock_trusted", "1 while the clock may date what is signed.", int(state["clock"] == "trusted"))
    yield _counter("clock_jumps", "Jumps of the clock.", state.get("clock_jumps", {}).get("count", 0))
    yield _counters(
        "time_questions", "Devices' questions for the time, by what became of them.", "outcome", state["time"]
    )


def _meters(meters: Mapping[str, State]) -> Iterator[Metric]:
    by_state = dict.fromkeys(METER_STATES, 0)
    for meter in meters.values():
        by_state[meter["state"]] = by_state.get(meter["state"], 0) + 1
    yield _gauges("meters", "The gateway's own meters, by how they fare.", "state", by_state)
    yield _per_meter(CounterMetricFamily, "meter_readings", "Readings taken.", meters, "taken")
    yield _per_meter(CounterMetricFamily, "meter_missed_steps", "Steps without a reading.", meters, "missed")
    yield _per_meter(GaugeMetricFamily, "meter_last_reading_timestamp_seconds", "The last one.", meters, "last_s")
    yield _per_meter(GaugeMetricFamily, "meter_backoff_seconds", "How long it is left alone.", meters, "backoff_s")
    yield _per_reason("meter_poll_errors", "Polls without a reading.", meters, "failures")
    yield _per_reason("meter_doubts", "Readings that cannot be.", meters, "doubts")


def _devices(state: State) -> Iterator[Metric]:
    yield _gauge("devices_known", "Devices in the registry.", state["registry"]["devices"])
    seen = state.get("seen", {})
    ages_s = [state["civil_s"] - last_s for last_s in seen.values()]
    counts = {name: sum(age_s <= limit_s for age_s in ages_s) for name, limit_s in WITHIN_S.items()}
    yield _gauges("devices_seen", "Devices that sent a block within this time.", "within", counts)
    devices = state.get("devices", {})
    counts = {name: devices.get(name, 0) for name in ("online", "offline")}
    yield _gauges("devices", "Devices by the last word they said of themselves.", "state", counts)
    commands = state.get("commands", {})
    yield _gauge("commands_pending", "Commands that wait for their device.", commands.get("pending", 0))
    ends = {name: commands.get(name, 0) for name in ("handed_over", "obeyed", "expired", "pushed_out")}
    yield _counters("commands", "Commands, by what became of them.", "outcome", ends)
    yield _counters("commands_refused", "Commands not passed on.", "reason", commands.get("refused", {}))
    updates = state.get("updates") or {}
    yield _counter("updates_fetched", "Updates fetched from the commune.", updates.get("fetched", 0))
    yield _counter("updates_served", "Files of updates given to devices.", updates.get("served", 0))
    yield _counters("updates_failed", "Updates not taken.", "reason", updates.get("failures", {}))


class _Told(Collector):
    """A list of families as a collector."""

    def __init__(self, told: list[Metric]) -> None:
        self._told = told

    def collect(self) -> list[Metric]:
        """As they are."""
        return self._told


def _gauge(name: str, sentence: str, value: float | None) -> Metric:
    """Without a sample where there is no value: "no value" is never 0."""
    return GaugeMetricFamily(PREFIX + name, sentence, value=value)


def _counter(name: str, sentence: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, sentence, value=value)


def _gauges(name: str, sentence: str, label: str, values: Mapping[str, float]) -> Metric:
    return _labelled(GaugeMetricFamily(PREFIX + name, sentence, labels=[label]), values)


def _counters(name: str, sentence: str, label: str, values: Mapping[str, float]) -> Metric:
    return _labelled(CounterMetricFamily(PREFIX + name, sentence, labels=[label]), values)


def _labelled(
    family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, float]
) -> GaugeMetricFamily | CounterMetricFamily:
    for label, value in sorted(values.items()):
        family.add_metric([label], value)
    return family


def _per_meter(
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    sentence: str,
    meters: Mapping[str, State],
    key: str,
) -> Metric:
    values = {meter: state[key] for meter, state in meters.items() if state.get(key) is not None}
    return _labelled(kind(PREFIX + name, sentence, labels=["meter"]), values)


def _per_reason(name: str, sentence: str, meters: Mapping[str, State], key: str) -> Metric:
    family = CounterMetricFamily(PREFIX + name, sentence, labels=["meter", "reason"])
    for meter, state in sorted(meters.items()):
        for reason, count in sorted(state.get(key, {}).items()):
            family.add_metric([meter, reason], count)
    return family
