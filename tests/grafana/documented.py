"""The part of Grafana's documented HTTP API that a push uses: what each request must look like, as JSON Schema.

From https://grafana.com/docs/grafana/latest/developers/http_api/: folder, data_source, dashboard,
alerting_provisioning. A key that the documentation does not name is refused: Grafana would drop it without a word.
"""

from typing import Any

import jsonschema_rs

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_UID: Schema = {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$"}
_DURATION: Schema = {"type": "string", "pattern": r"^(\d+[smhdw])+$"}
_STATES = ["OK", "NoData", "Alerting", "KeepLast"]


def _record(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


_QUERY = _record(
    {"refId": _TEXT, "datasourceUid": _TEXT, "model": {"type": "object"}},
    {
        "queryType": {"type": "string"},
        "relativeTimeRange": _record(
            {"from": {"type": "integer", "minimum": 0}, "to": {"type": "integer", "minimum": 0}}
        ),
    },
)
_RULE = _record(
    {
        "title": {"type": "string", "minLength": 1, "maxLength": 190},
        "ruleGroup": _TEXT,
        "folderUID": _UID,
        "orgID": {"type": "integer", "minimum": 1},
        "condition": _TEXT,
        "data": {"type": "array", "items": _QUERY, "minItems": 1},
        "noDataState": {"enum": _STATES},
        "execErrState": {"enum": [*_STATES, "Error"]},
        "for": _DURATION,
    },
    {
        "uid": _UID,
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "isPaused": {"type": "boolean"},
        "keep_firing_for": _DURATION,
        "notification_settings": {"type": "object", "required": ["receiver"]},
    },
)
_SOURCE = _record(
    {
        "name": _TEXT,
        "type": _TEXT,
        "access": {"enum": ["proxy", "direct"]},
        "url": {"type": "string", "pattern": "^https?://"},
    },
    {
        "uid": _UID,
        "user": {"type": "string"},
        "database": {"type": "string"},
        "basicAuth": {"type": "boolean"},
        "isDefault": {"type": "boolean"},
        "jsonData": {"type": "object"},
        "secureJsonData": {"type": "object", "additionalProperties": {"type": "string"}},
    },
)
_DASHBOARD: Schema = {
    "type": "object",
    "required": ["id", "uid", "title", "panels", "schemaVersion"],
    "properties": {"id": {"type": "null"}, "uid": _UID, "title": _TEXT, "schemaVersion": {"type": "integer"}},
}

REQUESTS: dict[tuple[str, str], Schema] = {
    ("POST", "/api/folders"): _record({"title": _TEXT}, {"uid": _UID, "parentUid": _UID}),
    ("POST", "/api/datasources"): _SOURCE,
    ("PUT", "/api/datasources/uid/:uid"): _SOURCE,
    ("POST", "/api/dashboards/db"): _record(
        {"dashboard": _DASHBOARD, "folderUid": _UID},
        {"message": {"type": "string"}, "overwrite": {"type": "boolean"}},
    ),
    ("PUT", "/api/v1/provisioning/folder/:uid/rule-groups/:group"): _record(
        {
            "title": _TEXT,
            "folderUid": _UID,
            "interval": {"type": "integer", "minimum": 10},
            "rules": {"type": "array", "items": _RULE, "minItems": 1},
        }
    ),
    ("POST", "/api/v1/provisioning/contact-points"): _record(
        {"type": _TEXT, "settings": {"type": "object"}, "name": _TEXT},
        {"uid": _UID, "disableResolveMessage": {"type": "boolean"}},
    ),
}
"""The body of every request that changes something, by method and path."""


def mistake(method: str, pattern: str, body: Any) -> str | None:
    """What the documentation does not allow about a request; None if it allows it."""
    schema = REQUESTS.get((method, pattern))
    if schema is None:
        return f"{method} {pattern} is not documented"
    for error in jsonschema_rs.validator_for(schema).iter_errors(body):
        return f"{'/'.join(map(str, error.instance_path))}: {error.message}"
    return None
