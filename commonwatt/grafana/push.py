"""Bring a bundle to a Grafana: look what is there, change what differs, say what was done.

Pushed twice, nothing changes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from commonwatt.errors import UserError
from commonwatt.grafana import bundle, wanted
from commonwatt.grafana.api import Grafana, Json, segment
from commonwatt.grafana.bundle import Bundle
from commonwatt.grafana.source import InfluxSource
from commonwatt.i18n import _

PROVISIONING = "/api/v1/provisioning"


class Outcome(Enum):
    """What became of one thing."""

    MADE = "made"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    LEFT = "left"
    """Not touched, and the note says why."""


@dataclass(frozen=True, slots=True)
class Done:
    """One thing that was looked at. `kind`: folder, data source, …; `note`: what a person should know."""

    kind: str
    name: str
    outcome: Outcome
    note: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What to bring. `source`: the uid of the data source; `influx`: how to make it, None if it is there already;
    `span`: the time that dashboards open with, None: as they are; `is_dry`: look and change nothing."""

    bundle: Bundle
    source: str = wanted.SOURCE
    influx: InfluxSource | None = None
    span: tuple[str, str] | None = None
    is_dry: bool = False


def push(grafana: Grafana, order: Order) -> Iterator[Done]:
    """Bring everything, in an order in which each finds what it needs. UserError at the first thing that fails;
    what was brought before stays, and pushing again goes on."""
    grafana.version()
    organisation = grafana.get("/api/org", _("the organisation"))
    yield _data_source(grafana, order)
    for audience, models in order.bundle.dashboards.items():
        folder = wanted.folder(audience)
        yield _folder(grafana, order, folder)
        for model in models:
            yield _dashboard(grafana, order, model, folder["uid"])
    for point in order.bundle.contact_points:
        yield _contact_point(grafana, order, point)
    for group in order.bundle.groups:
        yield _rule_group(grafana, order, group, int(organisation["id"]))


def _folder(grafana: Grafana, order: Order, body: Json) -> Done:
    what = _("folder")
    present = grafana.get(f"/api/folders/{body['uid']}", what)
    if present is None:
        if not order.is_dry:
            grafana.send("POST", "/api/folders", body, what)
        return Done(what, body["title"], Outcome.MADE)
    # A title that people gave it in Grafana stays: dashboards and rules find it by its uid.
    return Done(what, present["title"], Outcome.UNCHANGED)


def _data_source(grafana: Grafana, order: Order) -> Done:
    what = _("data source")
    path = f"/api/datasources/uid/{segment(order.source)}"
    present = grafana.get(path, what)
    if order.influx is None:
        if present is None or present.get("type") != "influxdb":
            raise UserError(
                _("this Grafana has no InfluxDB data source with the uid {uid}").format(uid=order.source),
                where=grafana.url,
                to_do=_("--influx FILE makes one; --data-source UID names another"),
            )
        return Done(what, present["name"], Outcome.UNCHANGED)
    body = wanted.data_source(order.influx, order.source)
    public = {key: value for key, value in body.items() if key != "secureJsonData"}
    if present is None:
        outcome = Outcome.MADE
        if not order.is_dry:
            grafana.send("POST", "/api/datasources", body, what)
    elif present.get("readOnly"):
        return Done(what, present["name"], Outcome.LEFT, _("Grafana has it from a file"))
    else:
        # A token cannot be read back, so it is written again each time.
        outcome = Outcome.UNCHANGED if wanted.holds(present, public) else Outcome.CHANGED
        if not order.is_dry and (outcome is Outcome.CHANGED or "secureJsonData" in body):
            grafana.send("PUT", path, {**body, "name": present["name"]}, what)
    return Done(what, body["name"], outcome, "" if order.is_dry else _health(grafana, path))


def _health(grafana: Grafana, path: str) -> str:
    """What stands between Grafana and its database, if anything; a database that is down is no reason not to push."""
    try:
        grafana.get(f"{path}/health", _("data source"))
    except UserError as error:
        return _("Grafana does not reach it: {error}").format(error=str(error).partition("\n")[0])
    return ""


def _dashboard(grafana: Grafana, order: Order, model: Json, folder: str) -> Done:
    what = _("dashboard")
    made = wanted.dashboard(model, source=order.source, span=order.span)
    present = grafana.get(f"/api/dashboards/uid/{segment(made['uid'])}", what)
    if present is not None and present.get("meta", {}).get("provisioned"):
        return Done(what, made["title"], Outcome.LEFT, _("Grafana has it from a file"))
    if present is not None and _is_same(present, made, folder):
        return Done(what, made["title"], Outcome.UNCHANGED)
    if not order.is_dry:
        grafana.send("POST", "/api/dashboards/db", wanted.saving(made, folder), f"{what} {made['title']}")
    return Done(what, made["title"], Outcome.MADE if present is None else Outcome.CHANGED)


def _is_same(present: Any, made: Json, folder: str) -> bool:
    """Exactly, not only at least: a panel that an older version of ours had must go."""
    kept = {key: value for key, value in present["dashboard"].items() if key not in ("id", "version")}
    is_there = present.get("meta", {}).get("folderUid") == folder
    return is_there and json.dumps(kept, sort_keys=True) == json.dumps(made, sort_keys=True)


def _contact_point(grafana: Grafana, order: Order, point: Json) -> Done:
    """Made once and never changed: whom to wake is the operator's own business."""
    what = _("contact point")
    name = point["name"]
    present = grafana.get(f"{PROVISIONING}/contact-points?name={segment(name)}", what) or []
    if any(one.get("name") == name for one in present):
        return Done(what, name, Outcome.UNCHANGED, _("yours, never changed by a push"))
    body, missing = bundle.expand(wanted.receivers(point))
    if missing:
        told = _("set {names} and push again, or make it in Grafana").format(names=", ".join(sorted(missing)))
        return Done(what, name, Outcome.LEFT, told)
    if not order.is_dry:
        for receiver in body:
            path = f"{PROVISIONING}/contact-points"
            grafana.send("POST", path, receiver, f"{what} {name}", stays_editable=True)
    return Done(what, name, Outcome.MADE)


def _rule_group(grafana: Grafana, order: Order, group: Json, org: int) -> Done:
    what = _("alert rules")
    body = wanted.rule_group(group, source=order.source, org=org)
    reached = {one["name"] for one in grafana.get(f"{PROVISIONING}/contact-points", what) or ()}
    if order.is_dry:
        reached |= {point["name"] for point in order.bundle.contact_points}
    body = wanted.only_to(body, reached)
    path = f"{PROVISIONING}/folder/{wanted.RULES_FOLDER}/rule-groups/{segment(body['title'])}"
    present = grafana.get(path, what)
    told = _("{count} rules").format(count=len(body["rules"]))
    if present is not None and present.get("rules") and wanted.holds(present, body):
        return Done(what, body["title"], Outcome.UNCHANGED, told)
    if not order.is_dry:
        grafana.send("PUT", path, body, f"{what} {body['title']}")
    is_new = present is None or not present.get("rules")
    return Done(what, body["title"], Outcome.MADE if is_new else Outcome.CHANGED, told)
