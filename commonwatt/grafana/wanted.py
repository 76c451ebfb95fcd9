"""What a Grafana should have, as the bodies of its HTTP API: pure functions from our files to requests."""

import copy
import re
from collections.abc import Collection, Mapping
from typing import Any

from commonwatt.grafana.bundle import Audience
from commonwatt.grafana.source import InfluxSource
from commonwatt.i18n import _

Json = dict[str, Any]

RULES_FOLDER = "commonwatt"
"""The uid of the operators' folder, where the alert rules are too."""
SOURCE = "commonwatt"
"""The data source's uid, which the alert rules name."""
SAMPLE = "1m"
"""How often states are written: a finer grid would be all gaps."""
EXPRESSION = "__expr__"
"""What Grafana calls the data source of its own expressions."""

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def folder(audience: Audience) -> Json:
    """One for each audience, so that its rights can differ.

    https://grafana.com/docs/grafana/latest/developers/http_api/folder/#create-folder
    """
    match audience:
        case Audience.OPERATORS:
            return {"uid": RULES_FOLDER, "title": "Commonwatt"}
        case Audience.PUBLIC:
            return {"uid": "commonwatt-public", "title": _("Commonwatt: town hall")}
        case Audience.HOME:
            return {"uid": "commonwatt-home", "title": _("My home")}


def data_source(source: InfluxSource, uid: str) -> Json:
    """An InfluxDB asked in InfluxQL, which versions 1, 2 and 3 answer alike.

    https://grafana.com/docs/grafana/latest/developers/http_api/data_source/#create-a-data-source
    """
    body: Json = {
        "uid": uid,
        "name": "Commonwatt" if uid == SOURCE else uid,
        "type": "influxdb",
        "access": "proxy",
        "url": source.url,
        "jsonData": {"dbName": source.bucket, "httpMode": "GET", "timeInterval": SAMPLE},
    }
    if source.token:
        body["jsonData"]["httpHeaderName1"] = "Authorization"
        body["secureJsonData"] = {"httpHeaderValue1": f"Token {source.token}"}
    return body


def dashboard(model: Json, *, source: str, span: tuple[str, str] | None) -> Json:
    """The dashboard with its data source chosen, and perhaps another time than "the last so much" to open with.
    `span`: from and to, as Grafana spells times."""
    made = copy.deepcopy(model)
    for variable in made.get("templating", {}).get("list", ()):
        if variable.get("type") == "datasource" and variable.get("query") == "influxdb":
            variable["current"] = {"text": source, "value": source, "selected": True}
    if span is not None:
        made["time"] = {"from": span[0], "to": span[1]}
        made["refresh"] = ""
    return {key: value for key, value in made.items() if key not in ("id", "version")}


def saving(made: Json, folder_uid: str) -> Json:
    """https://grafana.com/docs/grafana/latest/developers/http_api/dashboard/#create--update-dashboard"""
    return {
        "dashboard": {**made, "id": None},
        "folderUid": folder_uid,
        "overwrite": True,
        "message": "commonwatt dashboards push",
    }


def rule_group(group: Json, *, source: str, org: int) -> Json:
    """A group of alert rules: files and API spell it differently.

    https://grafana.com/docs/grafana/latest/developers/http_api/alerting_provisioning/#alert-rule-group
    """
    return {
        "title": group["name"],
        "folderUid": RULES_FOLDER,
        "interval": seconds(group.get("interval", "1m")),
        "rules": [_rule(rule, group["name"], source=source, org=org) for rule in group["rules"]],
    }


def _rule(rule: Json, group: str, *, source: str, org: int) -> Json:
    made = copy.deepcopy(rule)
    panel, board = made.pop("panelId", None), made.pop("dashboardUid", None)
    if board is not None:
        linked = {"__dashboardUid__": board, "__panelId__": str(panel)}
        made["annotations"] = {**made.get("annotations", {}), **linked}
    for query in made["data"]:
        if query["datasourceUid"] != EXPRESSION:
            query["datasourceUid"] = source
            if "datasource" in query.get("model", {}):
                query["model"]["datasource"]["uid"] = source
    return {**made, "orgID": org, "folderUID": RULES_FOLDER, "ruleGroup": group}


def only_to(group: Json, reached: Collection[str]) -> Json:
    """The group with no rule that names a contact point that is not there; its alerts go where the operator's own
    notification policy sends them."""

    def follows(rule: Json) -> Json:
        is_known = rule.get("notification_settings", {}).get("receiver") in reached
        return rule if is_known else {key: value for key, value in rule.items() if key != "notification_settings"}

    return {**group, "rules": [follows(rule) for rule in group["rules"]]}


def receivers(point: Json) -> list[Json]:
    """The receivers of a contact point, each a body of its own.

    https://grafana.com/docs/grafana/latest/developers/http_api/alerting_provisioning/#embedded-contact-point
    """
    keys = ("uid", "type", "settings", "disableResolveMessage")
    return [{"name": point["name"], **{key: one[key] for key in keys if key in one}} for one in point["receivers"]]


def holds(present: Any, wanted: Any) -> bool:
    """Whether what is there says everything that is wanted; Grafana adds defaults of its own.

    {"for": "5m", "id": 7} holds {"for": "5m"}, and "5m0s" is "5m".
    """
    if isinstance(wanted, Mapping):
        return isinstance(present, Mapping) and all(holds(present.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(present, list) and len(present) == len(wanted) and all(map(holds, present, wanted))
    if isinstance(wanted, str) and isinstance(present, str) and wanted != present:
        return _is_duration(wanted) and _is_duration(present) and seconds(wanted) == seconds(present)
    return bool(present == wanted)


def _is_duration(text: str) -> bool:
    return re.fullmatch(r"(\d+[smhdw])+", text) is not None


def seconds(duration: str) -> int:
    """A duration as Prometheus and Grafana spell it: "1m" → 60, "1h30m" → 5400."""
    return sum(int(count) * _UNITS_S[unit] for count, unit in re.findall(r"(\d+)([smhdw])", duration))
