"""A small real Grafana as far as a push goes.

It keeps what it is sent, adds defaults of its own, and refuses what its documentation does not allow.
"""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.grafana import documented

TOKEN = "glsa_good"
EDITOR = "glsa_editor"
"""May change dashboards and rules, and no data sources."""

Json = dict[str, Any]
Reply = tuple[int, Any]

NOT_FOUND: Reply = (404, {"message": "not found"})


@dataclass
class Room:
    """What a Grafana has. `provisioned`: uids of dashboards that come from its own files."""

    version: str | None = "13.2.2"
    folders: dict[str, Json] = field(default_factory=dict)
    sources: dict[str, Json] = field(default_factory=dict)
    dashboards: dict[str, Json] = field(default_factory=dict)
    provisioned: set[str] = field(default_factory=set)
    groups: dict[tuple[str, str], Json] = field(default_factory=dict)
    contact_points: list[Json] = field(default_factory=list)
    is_influx_down: bool = False


class Server(ThreadingHTTPServer):
    """Serves a room while its `with` lasts. `log`: every request; `override`: other answers, by method and path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.room = Room()
        self.log: list[tuple[str, str]] = []
        self.override: dict[tuple[str, str], Reply] = {}
        self.location = ""
        """Where every request is sent on to, if anywhere."""

    def __enter__(self) -> "Server":
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def changes(self) -> list[tuple[str, str]]:
        """Requests that were to change something, so far."""
        return [(method, path) for method, path in self.log if method != "GET"]


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def _handle(self) -> None:
        url = urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        self.server.log.append((self.command, url.path))
        if self.server.location:
            self.send_response(302)
            self.send_header("Location", self.server.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        reply = self.server.override.get((self.command, url.path)) or self._answer(
            url.path, parse_qs(url.query), body
        )
        status, content = reply
        data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def _answer(self, path: str, query: dict[str, list[str]], body: Any) -> Reply:
        room = self.server.room
        if path == "/api/health":
            assert "Authorization" not in self.headers, "health needs no token, so none is given away"
            told = {"commit": "x", "database": "ok"}
            return 200, told if room.version is None else {**told, "version": room.version}
        who = self.headers.get("Authorization")
        if who not in (f"Bearer {TOKEN}", f"Bearer {EDITOR}"):
            return 401, {"message": "Invalid API key", "messageId": "api-key.invalid", "statusCode": 401}
        for (method, pattern), answer in _ROUTES.items():
            match = re.fullmatch(re.sub(r":\w+", "([^/]+)", pattern), path)
            if match and method == self.command:
                if method != "GET" and (wrong := documented.mistake(method, pattern, body)):
                    return 400, {"message": f"bad request data: {wrong}"}
                if method != "GET" and "datasources" in path and who != f"Bearer {TOKEN}":
                    return 403, {
                        "message": "You'll need additional permissions. Permissions needed: datasources:create"
                    }
                is_editable = self.headers.get("X-Disable-Provenance") == "true"
                given = {"query": query, "body": body, "provenance": "" if is_editable else "api"}
                return answer(room, [unquote(part) for part in match.groups()], given)
        return NOT_FOUND

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


def _organisation(_room: Room, _path: list[str], _given: Json) -> Reply:
    return 200, {"id": 1, "name": "Main Org."}


def _get_folder(room: Room, path: list[str], _given: Json) -> Reply:
    return (200, room.folders[path[0]]) if path[0] in room.folders else NOT_FOUND


def _post_folder(room: Room, _path: list[str], given: Json) -> Reply:
    body = given["body"]
    if body["uid"] in room.folders:
        return 409, {"message": "a folder with the same uid already exists"}
    room.folders[body["uid"]] = {**body, "id": len(room.folders) + 1, "version": 1}
    return 200, room.folders[body["uid"]]


def _get_source(room: Room, path: list[str], _given: Json) -> Reply:
    if path[0] not in room.sources:
        return NOT_FOUND
    told = dict(room.sources[path[0]])
    told["secureJsonFields"] = dict.fromkeys(told.pop("secureJsonData", {}), True)
    return 200, {"readOnly": False, "orgId": 1, **told}


def _put_source(room: Room, path: list[str], given: Json) -> Reply:
    if path and path[0] not in room.sources:
        return NOT_FOUND
    body = given["body"]
    if not path and body["uid"] in room.sources:
        return 409, {"message": "data source with the same name already exists"}
    room.sources[path[0] if path else body["uid"]] = {"basicAuth": False, "isDefault": False, **body}
    return 200, {"message": "Datasource added", "name": body["name"]}


def _health(room: Room, path: list[str], _given: Json) -> Reply:
    if path[0] not in room.sources:
        return NOT_FOUND
    if room.is_influx_down:
        return 400, {"message": "error performing influxQL query: connection refused", "status": "ERROR"}
    return 200, {"message": "OK", "status": "OK"}


def _get_dashboard(room: Room, path: list[str], _given: Json) -> Reply:
    if path[0] not in room.dashboards:
        return NOT_FOUND
    kept = room.dashboards[path[0]]
    meta = {"folderUid": kept["folderUid"], "provisioned": path[0] in room.provisioned}
    return 200, {"dashboard": kept["dashboard"], "meta": meta}


def _post_dashboard(room: Room, _path: list[str], given: Json) -> Reply:
    body = given["body"]
    uid = body["dashboard"]["uid"]
    if body["folderUid"] not in room.folders:
        return 400, {"message": "folder not found"}
    version = room.dashboards[uid]["dashboard"]["version"] + 1 if uid in room.dashboards else 1
    room.dashboards[uid] = {
        **body,
        "dashboard": {**body["dashboard"], "id": len(room.dashboards) + 1, "version": version},
    }
    return 200, {"uid": uid, "status": "success", "version": version, "url": f"/d/{uid}"}


def _get_group(room: Room, path: list[str], _given: Json) -> Reply:
    group = room.groups.get((path[0], path[1]))
    return (200, group) if group else NOT_FOUND


def _put_group(room: Room, path: list[str], given: Json) -> Reply:
    folder, title = path
    body = given["body"]
    if folder not in room.folders:
        return 404, {"message": "folder does not exist"}
    if (body["folderUid"], body["title"]) != (folder, title):
        return 400, {"message": "the body is of another group than the path"}
    for rule in body["rules"]:
        references = {query["refId"] for query in rule["data"]}
        if rule["condition"] not in references:
            return 400, {"message": f"invalid alert rule: condition {rule['condition']} does not exist"}
        wanted = rule.get("notification_settings", {}).get("receiver")
        if wanted and wanted not in {point["name"] for point in room.contact_points}:
            return 400, {"message": f"invalid alert rule: receiver {wanted} does not exist"}
        unknown = {query["datasourceUid"] for query in rule["data"]} - {"__expr__", *room.sources}
        if unknown:
            return 400, {"message": f"invalid alert rule: data source {unknown} not found"}
    defaults = {"isPaused": False, "provenance": given["provenance"], "id": 7}
    room.groups[folder, title] = {**body, "rules": [{**defaults, **rule} for rule in body["rules"]]}
    return 200, room.groups[folder, title]


def _get_points(room: Room, _path: list[str], given: Json) -> Reply:
    names = given["query"].get("name")
    return 200, [point for point in room.contact_points if not names or point["name"] in names]


def _post_point(room: Room, _path: list[str], given: Json) -> Reply:
    room.contact_points.append({**given["body"], "provenance": given["provenance"]})
    return 202, room.contact_points[-1]


_PROVISIONING = "/api/v1/provisioning"
_ROUTES: dict[tuple[str, str], Callable[[Room, list[str], Json], Reply]] = {
    ("GET", "/api/org"): _organisation,
    ("GET", "/api/folders/:uid"): _get_folder,
    ("POST", "/api/folders"): _post_folder,
    ("GET", "/api/datasources/uid/:uid"): _get_source,
    ("GET", "/api/datasources/uid/:uid/health"): _health,
    ("POST", "/api/datasources"): _put_source,
    ("PUT", "/api/datasources/uid/:uid"): _put_source,
    ("GET", "/api/dashboards/uid/:uid"): _get_dashboard,
    ("POST", "/api/dashboards/db"): _post_dashboard,
    ("GET", f"{_PROVISIONING}/folder/:uid/rule-groups/:group"): _get_group,
    ("PUT", f"{_PROVISIONING}/folder/:uid/rule-groups/:group"): _put_group,
    ("GET", f"{_PROVISIONING}/contact-points"): _get_points,
    ("POST", f"{_PROVISIONING}/contact-points"): _post_point,
}
