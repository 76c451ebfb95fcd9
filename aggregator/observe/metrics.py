"""What Prometheus scrapes, by its naming conventions; docs/operating/aggregator-watching.md lists it.

Every process tells of itself. What the database counts since the commune began is told by the one that leads only, so
that a sum over all processes is right. Labels are stages, reasons, brokers and witnesses: never a device, a site or a
gateway.
"""

from collections.abc import Iterator

from prometheus_client import Metric

from aggregator.observe.state import Books, State
from aggregator.observe.witnesses import Witnesses
from commonwatt import prometheus
from commonwatt.prometheus import Families

PREFIX = "commonwatt_aggregator_"

_of = Families(PREFIX)


def exposition(state: State | None, *, age_s: float) -> bytes:
    """The text that is scraped. `age_s`: how old the state is, on the machine's own clock."""
    return prometheus.exposition(families(state, age_s=age_s), with_process=True)


def families(state: State | None, *, age_s: float) -> Iterator[Metric]:
    """Every metric of a state; before the first state there is the age alone."""
    yield _of.gauge("state_age_seconds", "How long ago the loop last told its state; grows when it is stuck.", age_s)
    if state is None:
        return
    yield _of.info("Which commune this is.", {"commune": state.commune})
    yield _of.gauge("leads", "1 while this process closes and mints.", int(state.books is not None))
    yield _of.counters("stage_seconds", "Time spent in a stage.", "stage", state.stage_seconds)
    yield _of.counters("stage_runs", "How often a stage had work.", "stage", state.stage_runs)
    yield from _gate(state)
    up = {name: int(trouble is None) for name, trouble in state.brokers.items()}
    yield _of.gauges("broker_up", "1 while a broker is reached.", "broker", up)
    yield _of.gauge("clock_trusted", "1 while the clock may close intervals.", int(state.doubt is None))
    yield _of.counter("clock_leaps", "How often the clock was set.", state.clock_leaps)
    yield _of.gauge("clock_last_leap_seconds", "By how much it was set last.", state.last_leap_s)
    yield _of.gauge("disk_free_bytes", "Room on the disk of the commune's directory.", state.disk_free_bytes)
    if state.telemetry:
        is_up = int(not any(state.telemetry.values()))
        yield _of.gauge("telemetry_up", "1 while InfluxDB takes points.", is_up)
        yield _of.gauge(
            "telemetry_behind_seconds", "Civil time that dashboards are behind.", state.telemetry_behind_s
        )
    if state.books:
        yield from _books(state.books)


def _gate(state: State) -> Iterator[Metric]:
    yield _of.gauge("gate_batches", "Batches that wait for the loop.", state.gate["batches"])
    yield _of.gauge("gate_bytes", "What they take of the memory.", state.gate["bytes"])
    yield _of.gauge("gate_oldest_age_seconds", "How long the oldest has waited.", state.gate["oldest_s"])
    yield _of.gauge("gate_full_lanes", "Gateways that bring more than their limits allow.", state.gate["full_lanes"])
    yield _of.counters("batches_turned_away", "Batches not let in; they are sent again.", "reason", state.turned_away)


def _books(books: Books) -> Iterator[Metric]:
    report = books.report
    blocks, batches = report["blocks"], report["batches"]
    yield _of.counter("batches_received", "Batches that were looked at.", batches["received"])
    yield _of.counters("batches_dropped", "Batches of nobody known, or unreadable.", "reason", batches["dropped"])
    yield _of.counter("blocks_received", "Blocks of believed batches.", blocks["received"])
    yield _of.counter("blocks_accepted", "Blocks kept as evidence.", blocks["accepted"])
    yield _of.counter("blocks_duplicate", "Blocks that were here already.", blocks["duplicate"])
    yield _of.counters("blocks_refused", "Blocks refused for good.", "reason", blocks["refused"])
    yield _of.counter("readings", "Readings in accepted blocks.", report["readings"])
    yield _of.counter("intervals_closed", "Intervals settled.", report["intervals"]["closed"])
    yield _of.gauge(
        "closing_due_seconds", "Civil time since the next interval could be closed.", max(0.0, books.due_s)
    )
    yield _of.gauge("held_spans", "Spans that wait for a steward.", report["held"])
    yield _of.gauge("frozen_devices", "Devices that signed two histories.", report["frozen_devices"])
    yield _of.counter("windows_minted", "Mint-runs in the log.", report["windows_minted"])
    yield _of.gauge("outbox_runs", "Mint-runs that wait for the ledger.", books.outbox_runs)
    yield _of.gauge("outbox_oldest_age_seconds", "Civil time that the oldest of them has waited.", books.outbox_age_s)
    yield _of.gauge("log_entries", "Entries of the log.", report["log_size"])
    yield _of.gauge("checkpoint_entries", "Entries that the published head covers.", report["checkpoint_size"])
    yield _of.gauge("checkpoint_age_seconds", "How long ago a head was published.", books.checkpoint_age_s)
    if books.witnesses:
        yield from _witnesses(books.witnesses, report["checkpoint_size"])


def _witnesses(witnesses: Witnesses, published: int) -> Iterator[Metric]:
    lag = max(0, published - witnesses.cosigned_entries)
    yield _of.gauge("witnesses", "Witnesses of the policy.", witnesses.count)
    yield _of.gauge(
        "cosigned_entries", "Entries that the newest head with a quorum covers.", witnesses.cosigned_entries
    )
    yield _of.gauge("cosigned_lag_entries", "Published entries that no quorum has cosigned.", lag)
    yield _of.gauge("cosigned_age_seconds", "How long ago a quorum cosigned.", witnesses.cosigned_age_s)
    behind = {name: max(0, published - entries) for name, entries in witnesses.entries.items()}
    yield _of.gauges("witness_lag_entries", "Published entries that a witness has not cosigned.", "witness", behind)
    yield _of.gauges("witness_age_seconds", "How long ago a witness cosigned.", "witness", witnesses.ages_s)
    sentence = "Rounds in which a witness did not cosign."
    yield _of.counters_by("witness_refusals", sentence, ("witness", "reason"), witnesses.refused)
