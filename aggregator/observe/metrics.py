"""What Prometheus scrapes, by its naming conventions; docs/operating/aggregator-watching.md lists it.

Every process tells of itself. What the database counts since the commune began is told by the one that leads only, so
that a sum over all processes is right. Labels are stages, reasons and brokers: never a device, a site or a gateway.
"""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from aggregator.observe.state import Books, State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "commonwatt_aggregator_"


def exposition(state: State | None, *, age_s: float) -> bytes:
    """The text that is scraped. `age_s`: how old the state is, on the machine's own clock."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(list(families(state, age_s=age_s))))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def families(state: State | None, *, age_s: float) -> Iterator[Metric]:
    """Every metric of a state; before the first state there is the age alone."""
    yield _gauge("state_age_seconds", "How long ago the loop last told its state; grows when it is stuck.", age_s)
    if state is None:
        return
    info = InfoMetricFamily(PREFIX.rstrip("_"), "Which commune this is.")
    info.add_metric([], {"commune": state.commune})
    yield info
    yield _gauge("leads", "1 while this process closes and mints.", int(state.books is not None))
    yield _counters("stage_seconds", "Time spent in a stage.", "stage", state.stage_seconds)
    yield _counters("stage_runs", "How often a stage had work.", "stage", state.stage_runs)
    yield from _gate(state)
    up = {name: int(trouble is None) for name, trouble in state.brokers.items()}
    yield _gauges("broker_up", "1 while a broker is reached.", "broker", up)
    yield _gauge("clock_trusted", "1 while the clock may close intervals.", int(state.doubt is None))
    yield _counter("clock_leaps", "How often the clock was set.", state.clock_leaps)
    yield _gauge("disk_free_bytes", "Room on the disk of the commune's directory.", state.disk_free_bytes)
    if state.telemetry:
        is_up = int(not any(state.telemetry.values()))
        yield _gauge("telemetry_up", "1 while InfluxDB takes points.", is_up)
        yield _gauge("telemetry_behind_seconds", "Civil time that dashboards are behind.", state.telemetry_behind_s)
    if state.books:
        yield from _books(state.books)


def _gate(state: State) -> Iterator[Metric]:
    yield _gauge("gate_batches", "Batches that wait for the loop.", state.gate["batches"])
    yield _gauge("gate_bytes", "What they take of the memory.", state.gate["bytes"])
    yield _gauge("gate_oldest_age_seconds", "How long the oldest has waited.", state.gate["oldest_s"])
    yield _gauge("gate_full_lanes", "Gateways that bring more than their limits allow.", state.gate["full_lanes"])
    yield _counters("batches_turned_away", "Batches not let in; they are sent again.", "reason", state.turned_away)


def _books(books: Books) -> Iterator[Metric]:
    report = books.report
    blocks, batches = report["blocks"], report["batches"]
    yield _counter("batches_received", "Batches that were looked at.", batches["received"])
    yield _counters("batches_dropped", "Batches of nobody known, or unreadable.", "reason", batches["dropped"])
    yield _counter("blocks_received", "Blocks of believed batches.", blocks["received"])
    yield _counter("blocks_accepted", "Blocks kept as evidence.", blocks["accepted"])
    yield _counter("blocks_duplicate", "Blocks that were here already.", blocks["duplicate"])
    yield _counters("blocks_refused", "Blocks refused for good.", "reason", blocks["refused"])
    yield _counter("readings", "Readings in accepted blocks.", report["readings"])
    yield _counter("intervals_closed", "Intervals settled.", report["intervals"]["closed"])
    yield _gauge("closing_due_seconds", "Civil time since the next interval could be closed.", max(0.0, books.due_s))
    yield _gauge("held_spans", "Spans that wait for a steward.", report["held"])
    yield _gauge("frozen_devices", "Devices that signed two histories.", report["frozen_devices"])
    yield _counter("windows_minted", "Mint-runs in the log.", report["windows_minted"])
    yield _gauge("outbox_runs", "Mint-runs that wait for the ledger.", books.outbox_runs)
    yield _gauge("outbox_oldest_age_seconds", "Civil time that the oldest of them has waited.", books.outbox_age_s)
    yield _gauge("log_entries", "Entries of the log.", report["log_size"])
    yield _gauge("checkpoint_entries", "Entries that the published head covers.", report["checkpoint_size"])
    yield _gauge("checkpoint_age_seconds", "How long ago a head was published.", books.checkpoint_age_s)


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
