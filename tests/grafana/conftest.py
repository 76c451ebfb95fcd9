"""A Grafana that is there and has nothing, and a small bundle to bring."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.grafana.server import Server

RULES = """
apiVersion: 1
groups:
  - orgId: 1
    name: grid
    folder: Commonwatt
    interval: 1m
    rules:
      - uid: cw-reverse
        title: Reverse flow over rating
        condition: C
        for: 5m
        noDataState: NoData
        execErrState: Error
        dashboardUid: cw-operator
        panelId: 3
        labels: {severity: critical}
        annotations: {summary: Too much comes back., runbook_url: https://example.org/reverse}
        notification_settings: {receiver: Commonwatt operators}
        data:
          - refId: A
            relativeTimeRange: {from: 900, to: 0}
            datasourceUid: commonwatt
            model:
              refId: A
              rawQuery: true
              datasource: {type: influxdb, uid: commonwatt}
              query: SELECT max("reverse_permille") FROM "energy_15m" WHERE $timeFilter
          - refId: C
            datasourceUid: __expr__
            model: {refId: C, type: threshold, expression: A}
contactPoints:
  - orgId: 1
    name: Commonwatt operators
    receivers:
      - uid: cw-operators
        type: email
        settings: {addresses: $ALERT_EMAIL}
"""


@pytest.fixture
def grafana() -> Iterator[Server]:
    """It answers like Grafana 13 and remembers what it was asked."""
    with Server() as server:
        yield server


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Two dashboards, a rule and a contact point, as `make dashboards` lays them out."""
    for audience, uid, title in (
        ("operators", "cw-operator", "Operator"),
        ("public", "cw-commune", "Commune"),
        ("home", "cw-home", "My home"),
    ):
        folder = tmp_path / "built" / "dashboards" / audience
        folder.mkdir(parents=True)
        variables = [{"name": "ds", "type": "datasource", "query": "influxdb", "current": {}}]
        board = {
            "uid": uid, "title": title, "schemaVersion": 42, "version": 1, "panels": [], "refresh": "30s",
            "time": {"from": "now-24h", "to": "now"}, "templating": {"list": variables},
        }  # fmt: skip
        (folder / f"{uid}.json").write_text(json.dumps(board))
    alerting = tmp_path / "built" / "provisioning" / "alerting"
    alerting.mkdir(parents=True)
    (alerting / "grid.yaml").write_text(RULES)
    return tmp_path / "built"
