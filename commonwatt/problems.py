"""Answers in JSON for small HTTP services, and what is refused as problem details (RFC 9457)."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from commonwatt.bounded_http import Answer

JSON, PROBLEM = "application/json; charset=utf-8", "application/problem+json"


def as_json(
    status: HTTPStatus, body: Mapping[str, object], content_type: str = JSON, headers: Mapping[str, str] | None = None
) -> Answer:
    """An object, indented for people who look at it."""
    return Answer(content_type, json.dumps(body, ensure_ascii=False, indent=1).encode(), status, headers or {})


def problem(
    status: HTTPStatus,
    reason: str,
    detail: str,
    *,
    more: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Why there is nothing else. `reason`: a stable word; `detail`: for a person; `more`: further members."""
    said = {"type": f"/problems/{reason}", "title": status.phrase, "status": status.value, "detail": detail}
    return as_json(status, {**said, **(more or {})}, PROBLEM, headers)
