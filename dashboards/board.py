"""What a dashboard is made of, and its JSON: the same top, the same links and marks for all."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboards import panels
from dashboards import variables as top
from dashboards.sdk import Builder, InfluxQL, JSONEncoder, dashboard, models

Variable = Builder[models.VariableModel]


@dataclass(frozen=True, kw_only=True)
class Board:
    """One dashboard. `since`: what is shown to begin with; `page`: in docs/operating, explains its figures; `rows`:
    headings and what stands under them; `has_events`: whether curves carry marks of events."""

    uid: str
    title: str
    says: str
    since: str
    refresh: str
    page: str
    variables: Sequence[Variable]
    rows: Sequence[tuple[str, Sequence[panels.Panel]]]
    until: str = "now"
    zone_label: str = "Days of"
    source_label: str = "InfluxDB"
    page_label: str = "What these figures mean"
    others_label: str = "Commonwatt"
    has_events: bool = True
    tags: tuple[str, ...] = field(default=(top.TAG,))


def ask(query: str, legend: str = "", *, as_table: bool = False) -> InfluxQL:
    """A query in a panel, its letter given later."""
    return InfluxQL(query, alias=legend, as_table=as_table)


def to_json(board: Board) -> dict[str, Any]:
    """A dashboard as Grafana imports it: schema v1, every id given."""
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.says)
        .tags(list(board.tags))
        .readonly()
        .time(board.since, board.until)
        .refresh(board.refresh)
        .timezone("browser")
        .week_start("monday")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .version(1)
        .variables([top.influx(board.source_label), *board.variables, top.zone(board.zone_label)])
        .links([top.to_page(board.page, board.page_label), top.to_others(board.others_label, board.tags[0])])
        .annotations([top.events(), top.windows()] if board.has_events else [])
    )
    for heading, under in board.rows:
        built.with_row(panels.row(heading))
        for panel in under:
            built.with_panel(panel)
    told: dict[str, Any] = json.loads(json.dumps(built.build(), cls=JSONEncoder))
    about = top.to_page(board.page, board.page_label).build().to_json()
    for number, panel_json in enumerate(told["panels"], start=1):
        panel_json["id"] = number
        if panel_json["type"] not in ("row", "text") and not panel_json.get("links"):
            panel_json["links"] = [about]
    return told
