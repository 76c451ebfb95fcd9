"""What Prometheus scrapes: the state that status.json shows, as metrics by its naming conventions.

One function from a state to metric families; docs/operating/gateway-watching.md lists them. Labels are few on
purpose: meters by the name that the settings give them, reasons by their label, devices only as counts.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import Metric

from commonwatt import prometheus
from commonwatt.prometheus import Families

PREFIX = "commonwatt_gateway_"
WITHIN_S = {"hour": 3600, "day": 86_400, "week": 604_800}
"""How long ago a device may have sent a block to be counted as seen."""
METER_STATES = ("ok", "starting", "silent", "doubtful")

State = Mapping[str, Any]

_of = Families(PREFIX)


def exposition(state: State, *, age_s: float) -> bytes:
    """The text that is scraped. `age_s`: how old the state is, on the machine's own clock."""
    return prometheus.exposition(families(state, age_s=age_s))


def families(state: State, *, age_s: float) -> Iterator[Metric]:
    """Every metric of a state; before the first state there is the age alone."""
    yield _of.gauge("state_age_seconds", "How long ago the loop last told its state; grows when it is stuck.", age_s)
    if not state:
        return
    yield _of.info("Which gateway this is.", {"gateway": state["id"], "commune": state["commune"]})
    yield from _blocks(state["blocks"])
    yield from _spool(state["spool"])
    yield from _upstream(state)
    yield from _clock(state)
    yield from _meters(state["meters"])
    yield from _devices(state)


def _blocks(blocks: State) -> Iterator[Metric]:
    yield _of.counter("blocks_received", "Messages on devices' block topics.", blocks["received"])
    yield _of.counter(
        "blocks_verified", "Blocks with a good signature of a known device.", blocks["accepted"] + blocks["duplicate"]
    )
    yield _of.counter("blocks_duplicate", "Verified blocks that were here already.", blocks["duplicate"])
    yield _of.counters("blocks_refused", "Blocks refused for good.", "reason", blocks["refused"])
    yield _of.counter("blocks_turned_away", "Blocks not taken because the spool is full.", blocks["turned_away"])
    yield _of.counter("blocks_bad_topic", "Messages on a topic that names no device.", blocks["bad_topic"])
    yield _of.gauge("blocks_aside", "Blocks of unknown devices that wait for a registry.", blocks["unknown_aside"])
    yield _of.counter(
        "blocks_aside_dropped", "Blocks of unknown devices, too many to keep.", blocks["unknown_dropped"]
    )
    yield _of.counter("messages_dropped", "Messages that came faster than they were taken.", blocks["inbox_dropped"])
    yield _of.counter("meter_blocks", "Blocks signed here for the gateway's own meters.", blocks["own_meters"])


def _spool(spool: State) -> Iterator[Metric]:
    yield _of.gauge("spool_blocks", "Blocks without a receipt.", spool["blocks"])
    yield _of.gauge("spool_waiting_blocks", "Blocks that no batch carries yet.", spool["waiting"])
    yield _of.gauge("spool_bytes", "What the spool takes on the disk.", spool["bytes"])
    yield _of.gauge("spool_limit_bytes", "At this size no more device blocks are taken.", spool.get("bytes_max"))
    yield _of.gauge("disk_free_bytes", "Room on the spool's disk.", spool.get("disk_free_bytes"))
    yield _of.counter("spool_expired_blocks", "Blocks dropped because they were too old.", spool.get("expired", 0))
    yield _of.counter("readings_dropped", "Own readings dropped for want of room.", spool.get("readings_dropped", 0))
    yield _of.gauge(
        "spool_oldest_age_seconds", "Age of the oldest block without a receipt.", spool["oldest_age_s"] or 0
    )
    yield _of.gauges(
        "spool_refused_blocks", "Blocks that the aggregator refused, kept aside.", "reason", spool["refused_upstream"]
    )


def _upstream(state: State) -> Iterator[Metric]:
    yield _of.gauges(
        "broker_up", "1 while a broker accepts us.", "broker", {name: int(up) for name, up in state["broker"].items()}
    )
    batches = state["batches"]
    yield _of.counter("batches_sent", "Batches handed to the broker for the first time.", batches["sent"])
    yield _of.counter("batches_resent", "Batches handed over again for want of a receipt.", batches["resent"])
    yield _of.counter("batches_acknowledged", "Batches whose receipt named their hash.", batches["receipted"])
    yield _of.gauge("batches_in_flight", "Batches without a receipt.", batches["in_flight"])
    yield _of.counters("upstream_ignored", "Messages from upstream not believed.", "reason", state["ignored"])
    yield _of.gauge("registry_log_size", "Log size of the registry believed.", state["registry"]["log_size"] or 0)


def _clock(state: State) -> Iterator[Metric]:
    yield _of.gauge("clock_trusted", "1 while the clock may date what is signed.", int(state["clock"] == "trusted"))
    yield _of.counter("clock_jumps", "Jumps of the clock.", state.get("clock_jumps", {}).get("count", 0))
    yield _of.counters(
        "time_questions", "Devices' questions for the time, by what became of them.", "outcome", state["time"]
    )


def _meters(meters: Mapping[str, State]) -> Iterator[Metric]:
    by_state = dict.fromkeys(METER_STATES, 0)
    for meter in meters.values():
        by_state[meter["state"]] = by_state.get(meter["state"], 0) + 1
    yield _of.gauges("meters", "The gateway's own meters, by how they fare.", "state", by_state)
    yield _of.counters("meter_readings", "Readings taken.", "meter", _per_meter(meters, "taken"))
    yield _of.counters("meter_missed_steps", "Steps without a reading.", "meter", _per_meter(meters, "missed"))
    yield _of.gauges("meter_last_reading_timestamp_seconds", "The last one.", "meter", _per_meter(meters, "last_s"))
    yield _of.gauges("meter_backoff_seconds", "How long it is left alone.", "meter", _per_meter(meters, "backoff_s"))
    yield _per_reason("meter_poll_errors", "Polls without a reading.", meters, "failures")
    yield _per_reason("meter_doubts", "Readings that cannot be.", meters, "doubts")


def _devices(state: State) -> Iterator[Metric]:
    yield _of.gauge("devices_known", "Devices in the registry.", state["registry"]["devices"])
    seen = state.get("seen", {})
    ages_s = [state["civil_s"] - last_s for last_s in seen.values()]
    counts = {name: sum(age_s <= limit_s for age_s in ages_s) for name, limit_s in WITHIN_S.items()}
    yield _of.gauges("devices_seen", "Devices that sent a block within this time.", "within", counts)
    devices = state.get("devices", {})
    counts = {name: devices.get(name, 0) for name in ("online", "offline")}
    yield _of.gauges("devices", "Devices by the last word they said of themselves.", "state", counts)
    commands = state.get("commands", {})
    requests = state.get("requests", {})
    kinds = {kind: int(requests.get("now") == kind) for kind in ("peak", "surplus")}
    yield _of.gauges("request_running", "1 while the operator asks for less (peak) or more (surplus).", "kind", kinds)
    yield _of.gauge("requests_known", "Windows that are not over.", len(requests.get("windows", [])))
    yield _of.counter("requests_handed_over", "Times a device was told its windows.", requests.get("handed_over", 0))
    yield _of.gauge("commands_pending", "Commands that wait for their device.", commands.get("pending", 0))
    ends = {name: commands.get(name, 0) for name in ("handed_over", "obeyed", "expired", "pushed_out")}
    yield _of.counters("commands", "Commands, by what became of them.", "outcome", ends)
    yield _of.counters("commands_refused", "Commands not passed on.", "reason", commands.get("refused", {}))
    updates = state.get("updates") or {}
    yield _of.counter("updates_fetched", "Updates fetched from the commune.", updates.get("fetched", 0))
    yield _of.counter("updates_served", "Files of updates given to devices.", updates.get("served", 0))
    yield _of.counters("updates_failed", "Updates not taken.", "reason", updates.get("failures", {}))


def _per_meter(meters: Mapping[str, State], key: str) -> dict[str, float]:
    return {meter: state[key] for meter, state in meters.items() if state.get(key) is not None}


def _per_reason(name: str, sentence: str, meters: Mapping[str, State], key: str) -> Metric:
    counts = {
        (meter, reason): count for meter, state in meters.items() for reason, count in state.get(key, {}).items()
    }
    return _of.counters_by(name, sentence, ("meter", "reason"), counts)
