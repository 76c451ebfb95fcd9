"""Metrics as Prometheus scrapes them: families under one program's prefix, and their text.

For the parts that are watched (extras `gateway` and `aggregator`, which bring prometheus-client). A state becomes
families in one pure function of theirs; there are no counters of the process's own that a restart would have to mend.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = TypeVar("Labels", bound=tuple[str, ...])
"""The values of several labels, in their order."""


def exposition(families: Iterable[Metric], *, with_process: bool = False) -> bytes:
    """The text that is scraped. `with_process`: CPU and memory of this process, as Prometheus names them, as well."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(list(families)))
    if with_process:
        ProcessCollector(registry=registry)
    return generate_latest(registry)


class Families:
    """Makes families whose names begin with `prefix`, for example "commonwatt_gateway_"."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def info(self, sentence: str, labels: Mapping[str, str]) -> Metric:
        """Which one this is."""
        family = InfoMetricFamily(self._prefix.rstrip("_"), sentence)
        family.add_metric([], dict(labels))
        return family

    def gauge(self, name: str, sentence: str, value: float | None) -> Metric:
        """Without a sample where there is no value: "no value" is never 0."""
        return GaugeMetricFamily(self._prefix + name, sentence, value=value)

    def counter(self, name: str, sentence: str, value: float) -> Metric:
        """What only grows; its name gets `_total`."""
        return CounterMetricFamily(self._prefix + name, sentence, value=value)

    def gauges(self, name: str, sentence: str, label: str, values: Mapping[str, float]) -> Metric:
        """One sample for each value of a label."""
        return _labelled(GaugeMetricFamily(self._prefix + name, sentence, labels=[label]), _alone(values))

    def counters(self, name: str, sentence: str, label: str, values: Mapping[str, float]) -> Metric:
        """One sample for each value of a label."""
        return self.counters_by(name, sentence, (label,), _alone(values))

    def counters_by(
        self, name: str, sentence: str, labels: tuple[str, ...], values: Mapping[Labels, float]
    ) -> Metric:
        """One sample for each combination of several labels."""
        return _labelled(CounterMetricFamily(self._prefix + name, sentence, labels=labels), values)


def _alone(values: Mapping[str, float]) -> dict[tuple[str], float]:
    return {(label,): value for label, value in values.items()}


def _labelled(family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[Labels, float]) -> Metric:
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


class _Told(Collector):
    """A list of families as a collector."""

    def __init__(self, told: list[Metric]) -> None:
        self._told = told

    def collect(self) -> list[Metric]:
        """As they are."""
        return self._told
