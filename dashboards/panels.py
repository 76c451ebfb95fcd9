"""The few kinds of panel that every dashboard is put together from, so that all look and read alike.

Every panel has a title, a sentence in plain words, a unit and limits. Widths count in 24ths of the screen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import ascii_uppercase
from typing import TypeVar

from dashboards import look
from dashboards.look import Steps
from dashboards.sdk import (
    Builder,
    Dataquery,
    InfluxQL,
    PromQL,
    bargauge,
    common,
    common_models,
    dashboard,
    models,
    stat,
    statetimeline,
    table,
    text,
    text_models,
    timeseries,
)

Query = InfluxQL | PromQL
Link = dashboard.DashboardLink
Panel = Builder[models.Panel]

SAMPLES_MAY_MISS_MS = 3 * 3600 * 1000
"""What is sampled every minute is drawn through over so much silence; what is settled never is."""

_LIST, _BOTTOM = common_models.LegendDisplayMode.LIST, common_models.LegendPlacement.BOTTOM
_Any = TypeVar("_Any", stat.Panel, timeseries.Panel, bargauge.Panel, table.Panel, statetimeline.Panel)


def number(
    title: str,
    says: str,
    *queries: Query,
    unit: str,
    steps: Steps = look.NEUTRAL,
    calc: str = "lastNotNull",
    span: int = 4,
    height: int = 4,
    decimals: int | None = None,
    has_curve: bool = False,
    empty: str = "–",
    words: Mapping[str, str] | None = None,
    links: Sequence[Link] = (),
) -> Panel:
    """A big number, or one for each query. `calc`: what becomes of the points: the last, their sum, mean, max.
    `words`: what to show instead of a value. `empty`: what to show where there is none; it is never 0."""
    panel = (
        _of(stat.Panel(), title, says, queries, unit, steps, span, height, empty, links)
        .reduce_options(common.ReduceDataOptions().calcs([calc]).fields("").values(False))
        .graph_mode(common_models.BigValueGraphMode.AREA if has_curve else common_models.BigValueGraphMode.NONE)
        .color_mode(common_models.BigValueColorMode.VALUE)
        .justify_mode(common_models.BigValueJustifyMode.CENTER)
        .text_mode(
            common_models.BigValueTextMode.VALUE_AND_NAME
            if len(queries) > 1
            else common_models.BigValueTextMode.VALUE
        )
    )
    if decimals is not None:
        panel.decimals(decimals)
    if words:
        panel.mappings([models.ValueMap(options=_results(words))])
    return panel


def trend(
    title: str,
    says: str,
    *queries: Query,
    unit: str,
    colors: Mapping[str, str] | None = None,
    steps: Steps = look.NEUTRAL,
    span: int = 12,
    height: int = 8,
    is_bars: bool = False,
    is_stacked: bool = False,
    shows_limits: bool = False,
    from_zero: bool = True,
    top: float | None = None,
    below: Sequence[str] = (),
    dashed: Sequence[str] = (),
    empty: str = "–",
    shifted: str = "",
    step: str = "1m",
    links: Sequence[Link] = (),
    data_links: Sequence[Link] = (),
) -> Panel:
    """Curves over time, or bars. `colors`: by legend, others are made from the name; `below`: legends drawn under the
    zero line; `dashed`: limits and comparisons; `shifted`: how long before the time shown ("7d"); `step`: how far
    apart points are at least. Where nothing was measured there is a gap; what is sampled may miss some samples."""
    modes = common_models.GraphThresholdsStyleMode
    panel = (
        _of(timeseries.Panel(), title, says, queries, unit, steps, span, height, empty, links)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .draw_style(common_models.GraphDrawStyle.BARS if is_bars else common_models.GraphDrawStyle.LINE)
        .line_interpolation(common_models.LineInterpolation.STEP_AFTER)
        .line_width(0 if is_bars else 2)
        .bar_alignment(common_models.BarAlignment.AFTER)
        .bar_width_factor(0.85)
        .fill_opacity(80 if is_bars else 60 if is_stacked else 8)
        .show_points(common_models.VisibilityMode.AUTO)
        .span_nulls(SAMPLES_MAY_MISS_MS if step == "1m" else False)
        .interval(step)
        .stacking(common.StackingConfig().mode(_stacking(is_stacked)).group("A"))
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(modes.DASHED if shows_limits else modes.OFF))
        .legend(common.VizLegendOptions().display_mode(_LIST).placement(_BOTTOM).show_legend(True).calcs([]))
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
    )
    if from_zero:
        panel.axis_soft_min(0)
    if top is not None:
        panel.axis_soft_max(top)
    if shifted:
        panel.time_shift(shifted)
    for legend in dict.fromkeys([*(colors or {}), *below, *dashed]):
        panel.override_by_name(legend, _series(legend, colors or {}, below, dashed))
    if data_links:
        panel.data_links(list(data_links))
    return panel


def levels(
    title: str,
    says: str,
    *queries: Query,
    unit: str,
    steps: Steps,
    top: float | None = None,
    calc: str = "lastNotNull",
    span: int = 8,
    height: int = 8,
    empty: str = "–",
    links: Sequence[Link] = (),
    data_links: Sequence[Link] = (),
) -> Panel:
    """One horizontal bar for each series, its name before it, coloured by its limits. `top`: the bar's end."""
    panel = (
        _of(bargauge.Panel(), title, says, queries, unit, steps, span, height, empty, links)
        .reduce_options(common.ReduceDataOptions().calcs([calc]).fields("").values(False))
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .display_mode(common_models.BarGaugeDisplayMode.BASIC)
        .value_mode(common_models.BarGaugeValueMode.TEXT)
        .name_placement(common_models.BarGaugeNamePlacement.AUTO)
        .show_unfilled(True)
        .sizing(common_models.BarGaugeSizing.MANUAL)
        .max_viz_height(56)
        .text(common.VizTextDisplayOptions().title_size(14).value_size(18))
        .max_viz_height(60)
        .min(0)
    )
    if top is not None:
        panel.max(top)
    if data_links:
        panel.data_links(list(data_links))
    return panel


def rows(
    title: str,
    says: str,
    *queries: Query,
    unit: str,
    steps: Steps = look.NEUTRAL,
    names: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    colored: Mapping[str, Steps] | None = None,
    sort_by: str = "",
    hidden: Sequence[str] = ("Time",),
    span: int = 12,
    height: int = 8,
    empty: str = "–",
    links: Sequence[Link] = (),
    data_links: Mapping[str, Link] | None = None,
) -> Panel:
    """A table. `names`: headings by column; `units`, `colored`, `data_links`: by heading."""
    panel = _of(table.Panel(), title, says, queries, unit, steps, span, height, empty, links)
    if len(queries) > 1:
        panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    organize = {"excludeByName": dict.fromkeys(hidden, True), "renameByName": dict(names or {})}
    panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=organize))
    value = models.DynamicConfigValue
    for heading, of_column in (units or {}).items():
        panel.override_by_name(heading, [value(id_val="unit", value=of_column)])
    for heading, limits in (colored or {}).items():
        told = {"mode": "absolute", "steps": [{"value": at, "color": color} for at, color in limits]}
        cell = value(id_val="custom.cellOptions", value={"type": "color-text"})
        panel.override_by_name(heading, [value(id_val="thresholds", value=told), cell])
    for heading, link in (data_links or {}).items():
        panel.override_by_name(heading, [value(id_val="links", value=[link.build()])])
    if sort_by:
        panel.sort_by([common.TableSortByFieldState().display_name(sort_by).desc(True)])
    return panel.cell_height(common_models.TableCellHeight.SM)


def states(
    title: str,
    says: str,
    *queries: Query,
    unit: str = "none",
    steps: Steps = look.NEUTRAL,
    words: Mapping[str, tuple[str, str]] | None = None,
    step: str = "1m",
    span: int = 24,
    height: int = 8,
    empty: str = "–",
    links: Sequence[Link] = (),
) -> Panel:
    """A band for each series that changes colour with its value. `words`: name and colour by value, not by limit."""
    panel = (
        _of(statetimeline.Panel(), title, says, queries, unit, steps, span, height, empty, links)
        .merge_values(True)
        .fill_opacity(80)
        .line_width(0)
        .row_height(0.8)
        .interval(step)
        .show_value(common_models.VisibilityMode.NEVER)
        .legend(common.VizLegendOptions().display_mode(_LIST).placement(_BOTTOM).show_legend(True).calcs([]))
    )
    if words:
        results = {
            value: models.ValueMappingResult(text=word, color=color, index=index)
            for index, (value, (word, color)) in enumerate(words.items())
        }
        panel.mappings([models.ValueMap(options=results)])
    return panel


def note(title: str, markdown: str, *, span: int = 24, height: int = 3) -> Panel:
    """A paragraph for those who look: what stands here, and why something may be missing."""
    return text.Panel().title(title).mode(text_models.TextMode.MARKDOWN).content(markdown).span(span).height(height)


def row(title: str) -> dashboard.Row:
    """A heading over the panels that follow."""
    return dashboard.Row(title)


def _of(
    panel: _Any,
    title: str,
    says: str,
    queries: Sequence[Query],
    unit: str,
    steps: Steps,
    span: int,
    height: int,
    empty: str,
    links: Sequence[Link],
) -> _Any:
    """What all kinds have."""
    assert says, f"{title}: says nothing"
    kind, uid = ("influxdb", "${ds}") if isinstance(queries[0], InfluxQL) else ("prometheus", "${metrics}")
    return (
        panel.title(title)
        .description(says)
        .datasource(common_models.DataSourceRef(type_val=kind, uid=uid))
        .targets(_lettered(queries))
        .unit(unit)
        .thresholds(look.thresholds(steps))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .no_value(empty)
        .links(list(links))
        .span(span)
        .height(height)
    )


def _lettered(queries: Sequence[Query]) -> list[Builder[Dataquery]]:
    return [replace(query, ref_id=letter) for letter, query in zip(ascii_uppercase, queries, strict=False)]


def _stacking(is_stacked: bool) -> common_models.StackingMode:
    return common_models.StackingMode.NORMAL if is_stacked else common_models.StackingMode.NONE


def _series(
    legend: str, colors: Mapping[str, str], below: Sequence[str], dashed: Sequence[str]
) -> list[models.DynamicConfigValue]:
    value = models.DynamicConfigValue
    properties = [look.fixed(colors[legend])] if legend in colors else []
    if legend in below:
        properties.append(value(id_val="custom.transform", value="negative-Y"))
    if legend in dashed:
        properties.append(value(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]}))
        properties.append(value(id_val="custom.fillOpacity", value=0))
    return properties


def _results(words: Mapping[str, str]) -> dict[str, models.ValueMappingResult]:
    return {value: models.ValueMappingResult(text=word) for value, word in words.items()}
