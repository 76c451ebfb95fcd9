"""What every dashboard has at its top: variables, links to the others, marks of events."""

import os

from dashboards import look, queries
from dashboards.sdk import InfluxQL, common_models, dashboard, models

TAG, PUBLIC, HOME = "commonwatt", "commonwatt-public", "commonwatt-home"
"""Dashboards with the same tag lead to each other: a public screen never leads to the operator's."""
DOCS = os.environ.get("DOCS") or "https://commonwatt.example/docs/operating"
"""Where the pages of docs/operating are served; `make dashboards DOCS=…` writes another."""

_LINK = models.DashboardLinkType.LINK
ZONES = ("Europe/Paris", "America/Guadeloupe", "America/Martinique", "America/Cayenne", "Indian/Reunion", "UTC")


def influx(label: str) -> dashboard.DatasourceVariable:
    """Which InfluxDB."""
    return dashboard.DatasourceVariable("ds").type("influxdb").label(label)


def chosen(name: str, label: str, query: str, *, is_many: bool = True) -> dashboard.QueryVariable:
    """Values that the database has. `is_many`: several may be chosen, all to begin with."""
    variable = (
        dashboard.QueryVariable(name)
        .label(label)
        .query(query)
        .definition(query)
        .datasource(common_models.DataSourceRef(type_val="influxdb", uid="${ds}"))
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
    )
    if not is_many:
        return variable
    everything = models.VariableOption(selected=True, text="All", value="$__all")
    return variable.multi(True).include_all(True).all_value(".*").current(everything)


def one_of(name: str, label: str, *values: str) -> dashboard.CustomVariable:
    """A choice among fixed values, the first to begin with."""
    options = [models.VariableOption(selected=value == values[0], text=value, value=value) for value in values]
    return dashboard.CustomVariable(name).label(label).values(",".join(values)).options(options).current(options[0])


def zone(label: str) -> dashboard.CustomVariable:
    """Whose midnight daily sums begin at."""
    return one_of("tz", label, *ZONES)


def events() -> dashboard.AnnotationQuery:
    """Marks on every curve: policies, firmware, admissions, requests, with what the log says of them."""
    return _marks("Events", look.PLAIN, InfluxQL(queries.EVENTS, as_table=True, marks=("text", "kind", "")))


def windows() -> dashboard.AnnotationQuery:
    """Bands on every curve: when the operator asked to use less (peak) or more (surplus)."""
    return _marks(
        "Windows asked", look.WATCH, InfluxQL(queries.WINDOWS, as_table=True, marks=("kind", "place", "end"))
    )


def _marks(name: str, color: str, query: InfluxQL) -> dashboard.AnnotationQuery:
    source = common_models.DataSourceRef(type_val="influxdb", uid="${ds}")
    return dashboard.AnnotationQuery().name(name).datasource(source).enable(True).icon_color(color).target(query)


def to_page(page: str, label: str) -> dashboard.DashboardLink:
    """The page of the documentation that explains a dashboard's figures."""
    return dashboard.DashboardLink(label).type(_LINK).icon("doc").url(f"{DOCS}/{page}").target_blank(True)


def to_others(label: str, tag: str) -> dashboard.DashboardLink:
    """All dashboards with the same tag, with the time that is shown."""
    others = dashboard.DashboardLink(label).type(models.DashboardLinkType.DASHBOARDS).icon("external link")
    return others.tags([tag]).as_dropdown(True).keep_time(True)


def link_to(uid: str, title: str, **chosen: str) -> dashboard.DashboardLink:
    """A click that leads to a dashboard with variables set; commune, time and time zone stay."""
    wanted = "".join(f"&var-{name}={value}" for name, value in chosen.items())
    url = f"/d/{uid}?${{__url_time_range}}&${{commune:queryparam}}&${{tz:queryparam}}{wanted}"
    return dashboard.DashboardLink(title).type(_LINK).url(url)


def typed(name: str, label: str, value: str) -> dashboard.TextBoxVariable:
    """A value that the reader may type, such as a price."""
    option = models.VariableOption(selected=True, text=value, value=value)
    return dashboard.TextBoxVariable(name).label(label).default_value(value).current(option).options([option])
