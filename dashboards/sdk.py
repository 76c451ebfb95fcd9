"""The one place that imports grafana-foundation-sdk: what it lacks, and what it warns of, is dealt with here.

The SDK has no model of InfluxDB's queries (0.0.21), so `InfluxQL` is ours. It warns that dashboards of schema v1 are
the older kind; they are what Grafana 10 to 13 all import, so we ask for them on purpose.
"""

import warnings
from dataclasses import dataclass
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import (
        bargauge,
        common,
        dashboard,
        stat,
        statetimeline,
        table,
        text,
        timeseries,
    )
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import text as text_models

__all__ = [
    "Builder",
    "Dataquery",
    "InfluxQL",
    "JSONEncoder",
    "PromQL",
    "bargauge",
    "common",
    "common_models",
    "dashboard",
    "models",
    "stat",
    "statetimeline",
    "table",
    "text",
    "text_models",
    "timeseries",
]


@dataclass(frozen=True)
class InfluxQL(Builder[Dataquery], Dataquery):
    """A query in InfluxQL. `alias`: the legend, may name `$tag_…`; `as_table`: rows as they come, not series.
    `marks`: for annotations, the columns of their text, their tag, and their end if they have one."""

    query: str
    alias: str = ""
    ref_id: str = "A"
    as_table: bool = False
    marks: tuple[str, str, str] | None = None
    source: str = "${ds}"

    def build(self) -> Dataquery:
        """Itself: it has no parts to put together."""
        return self

    def to_json(self) -> dict[str, Any]:
        """As Grafana's InfluxDB data source reads it."""
        told = {
            "refId": self.ref_id,
            "datasource": {"type": "influxdb", "uid": self.source},
            "rawQuery": True,
            "query": self.query,
            "resultFormat": "table" if self.as_table else "time_series",
        }
        if self.marks:
            # Grafana's types ask for the first four of every mark, InfluxDB's data source for the others.
            told |= {"limit": 100, "matchAny": False, "tags": [], "type": "tags"}
            told |= {"fromAnnotations": True, "textColumn": self.marks[0], "tagsColumn": self.marks[1]}
            told |= {"timeEndColumn": self.marks[2]} if self.marks[2] else {}
        return {**told, "alias": self.alias} if self.alias else told


@dataclass(frozen=True)
class PromQL(Builder[Dataquery], Dataquery):
    """A query in PromQL. `legend`: may name `{{label}}`; `is_instant`: the newest value only."""

    expr: str
    legend: str = ""
    ref_id: str = "A"
    is_instant: bool = False
    source: str = "${metrics}"

    def build(self) -> Dataquery:
        """Itself: it has no parts to put together."""
        return self

    def to_json(self) -> dict[str, Any]:
        """As Grafana's Prometheus data source reads it."""
        return {
            "refId": self.ref_id,
            "datasource": {"type": "prometheus", "uid": self.source},
            "expr": self.expr,
            "legendFormat": self.legend or "__auto",
            "instant": self.is_instant,
            "range": not self.is_instant,
        }
