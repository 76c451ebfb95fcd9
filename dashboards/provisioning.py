"""The files that a Grafana and a Prometheus read at their start: data source, folders, alert rules, contact point."""

from collections.abc import Mapping
from typing import Any

import yaml

from dashboards.alerts import ALERTS, Alert, Limit
from dashboards.variables import DOCS

Json = dict[str, Any]

SOURCE, FOLDER, CONTACT = "commonwatt", "Commonwatt", "Commonwatt operators"
"""The data source's uid, the folder of rules and operators' dashboards, and whom alerts go to."""
FOLDERS = {"operators": ("commonwatt", FOLDER), "public": ("commonwatt-public", "Commonwatt: town hall")}
"""Uid and title by what is built. My home is for a Grafana of its own."""
EVERY = "1m"


def files(panel_ids: Mapping[tuple[str, str], int]) -> dict[str, str]:
    """Text by path. `panel_ids`: by dashboard's uid and panel's title."""
    return {
        "provisioning/datasources/commonwatt.yaml": _yaml(_datasources(), _SAYS_SOURCE),
        "provisioning/dashboards/commonwatt.yaml": _yaml(_providers(), _SAYS_FOLDERS),
        "provisioning/alerting/rules.yaml": _yaml(_rules(panel_ids), _SAYS_RULES),
        "provisioning/alerting/contact-points.yaml": _yaml(_contacts(), _SAYS_CONTACT),
        "prometheus/commonwatt.rules.yml": _yaml(_prometheus(), _SAYS_PROMETHEUS),
    }


_SAYS_SOURCE = "INFLUX_URL, INFLUX_DATABASE and INFLUX_TOKEN (may be empty) come from the environment of Grafana."
_SAYS_FOLDERS = "DASHBOARDS, in the environment of Grafana, is where dashboards/built/dashboards was copied to."
_SAYS_RULES = "The pages that runbook_url leads to are docs/operating/alerts."
_SAYS_CONTACT = (
    "ALERT_EMAIL comes from the environment of Grafana. Without one leave this file out: Grafana refuses it."
)
_SAYS_PROMETHEUS = """\
The job of gateways is to be called commonwatt-gateway. Rules about energy and money, and of clocks that drift, need
the telemetry in a VictoriaMetrics (docs/spec/telemetry.md); without it they never fire."""
_IN_GRAFANA = {
    "VALUE": "{{ FORM .Values.B.Value }}",
    "GATEWAY": "{{ .Labels.gateway }}",
    "COMMUNE": "{{ .Labels.commune }}",
}
_IN_PROMETHEUS = {
    "VALUE": "{{ FORM .Value }}",
    "GATEWAY": "{{ .Labels.gateway }}{{ .Labels.instance }}",
    "COMMUNE": "{{ .Labels.instance }}",
}


def _datasources() -> Json:
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "uid": SOURCE,
                "name": "Commonwatt",
                "type": "influxdb",
                "access": "proxy",
                "url": "$INFLUX_URL",
                "jsonData": {"dbName": "$INFLUX_DATABASE", "httpMode": "GET", "httpHeaderName1": "Authorization"},
                "secureJsonData": {"httpHeaderValue1": "Token $INFLUX_TOKEN"},
                "editable": False,
            }
        ],
    }


def _providers() -> Json:
    providers = [
        {
            "name": uid,
            "folder": title,
            "folderUid": uid,
            "type": "file",
            "disableDeletion": True,
            "allowUiUpdates": False,
            "options": {"path": f"$DASHBOARDS/{part}"},
        }
        for part, (uid, title) in FOLDERS.items()
    ]
    return {"apiVersion": 1, "providers": providers}


def _contacts() -> Json:
    receiver = {
        "uid": "cw-operators",
        "type": "email",
        "settings": {"addresses": "$ALERT_EMAIL", "singleEmail": True},
    }
    return {"apiVersion": 1, "contactPoints": [{"orgId": 1, "name": CONTACT, "receivers": [receiver]}]}


def _rules(panel_ids: Mapping[tuple[str, str], int]) -> Json:
    rules = [_grafana(alert, panel_ids[alert.board, alert.panel]) for alert in ALERTS]
    group = {"orgId": 1, "name": "commonwatt", "folder": FOLDER, "interval": EVERY, "rules": rules}
    return {"apiVersion": 1, "groups": [group]}


def _grafana(alert: Alert, panel: int) -> Json:
    """A rule of Grafana: the query, its newest value, and the limit on it."""
    influx = {"type": "influxdb", "uid": SOURCE}
    ask = {
        "refId": "A",
        "datasource": influx,
        "rawQuery": True,
        "resultFormat": "time_series",
        "query": alert.influxql,
    }
    newest = {"refId": "B", "type": "reduce", "expression": "A", "reducer": "last"}
    passed = {
        "refId": "C",
        "type": "threshold",
        "expression": "B",
        "conditions": [{"evaluator": _evaluator(alert.limit)}],
    }
    silence = "Alerting" if alert.is_silence_bad else "OK"
    return {
        "uid": f"cw-{alert.name.lower()}",
        "title": alert.name,
        "condition": "C",
        "data": [_query(SOURCE, ask, 26 * 3600), _query("__expr__", newest, 0), _query("__expr__", passed, 0)],
        "dashboardUid": alert.board,
        "panelId": panel,
        "noDataState": silence,
        "execErrState": "Error",
        "for": alert.holds_for,
        "annotations": _annotations(alert, _IN_GRAFANA),
        "labels": {"severity": alert.severity.value},
        "isPaused": False,
        "notification_settings": {"receiver": CONTACT, "group_by": ["grafana_folder", "alertname", "commune"]},
    }


def _query(uid: str, model: Json, from_s: int) -> Json:
    if uid == "__expr__":
        model = {**model, "datasource": {"type": "__expr__", "uid": "__expr__"}}
    return {
        "refId": model["refId"],
        "relativeTimeRange": {"from": from_s, "to": 0},
        "datasourceUid": uid,
        "model": {**model, "intervalMs": 60_000, "maxDataPoints": 1000},
    }


def _evaluator(limit: Limit) -> Json:
    match limit:
        case Limit(above=float() | int() as above, below=float() | int() as below):
            return {"type": "outside_range", "params": [below, above]}
        case Limit(above=float() | int() as above):
            return {"type": "gt", "params": [above]}
    return {"type": "lt", "params": [limit.below]}


def _prometheus() -> Json:
    rules = [
        {
            "alert": f"Commonwatt{alert.name}",
            "expr": alert.promql,
            "for": alert.holds_for,
            "labels": {"severity": alert.severity.value},
            "annotations": _annotations(alert, _IN_PROMETHEUS),
        }
        for alert in ALERTS
    ]
    return {"groups": [{"name": "commonwatt", "interval": EVERY, "rules": rules}]}


def _annotations(alert: Alert, words: Mapping[str, str]) -> Json:
    """`words`: how the value, a gateway and a commune are named; a label that is not there would be said as such."""
    summary = alert.says
    for word, template in words.items():
        summary = summary.replace(word, template.replace("FORM", alert.form))
    return {
        "summary": summary,
        "description": f"What it means, how to look and what to do: docs/operating/alerts/{alert.page}.md",
        "runbook_url": f"{DOCS}/alerts/{alert.page}.md",
    }


def _yaml(content: Json, says: str) -> str:
    head = "".join(
        f"# {line}\n" for line in ("Built by `make dashboards`; changes here are lost.", *says.splitlines())
    )
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10_000)
