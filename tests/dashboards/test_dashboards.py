"""Every dashboard: up to date, in order, valid by Grafana's own schema, and answered by a real database."""

import copy
import json
import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import jsonschema_rs
import pytest

from dashboards import queries
from dashboards.build import BUILT, files
from tests.dashboards import fixed
from tests.dashboards.boards import DASHBOARDS, TAGS, WORDS, source
from tests.dashboards.lint import lint
from tests.dashboards.reading import Json, Shown, filled, panels, query_of, targets
from tests.dashboards.running import complete_series, figures, run
from tests.dashboards.servers import Influx

pytestmark = pytest.mark.xdist_group("dashboards")
DOCS = BUILT.parents[1] / "docs" / "operating"
SHOWN = Shown(fixed.START_S, fixed.END_S - 1)
NAMES = sorted(DASHBOARDS)


def test_built_files_when_the_code_was_changed():
    """What stands in dashboards/built is what the code builds: otherwise `make dashboards`."""
    there = {str(file.relative_to(BUILT)): file.read_text() for file in BUILT.rglob("*.*")}
    built = files()
    assert sorted(there) == sorted(built)
    assert [name for name in built if there[name] != built[name]] == []


@pytest.mark.parametrize("name", NAMES)
def test_lint_when_a_dashboard_is_read(name):
    """Titles, sentences, units, limits, links, layout; measurements and fields that exist."""
    assert lint(DASHBOARDS[name], WORDS) == []


@pytest.mark.parametrize("name", NAMES)
def test_schema_when_grafana_imports_it(name):
    """Valid by the JSON Schema that Grafana's own types (@grafana/schema, Apache-2.0) were turned into."""
    schema = json.loads(source("schema/classic.schema.json").read_text())
    found = jsonschema_rs.Draft7Validator(schema).iter_errors(DASHBOARDS[name])
    assert [f"{error.instance_path}: {error.message}" for error in found] == []


@pytest.mark.parametrize("name", NAMES)
def test_links_when_clicked(name):
    """They lead to a heading of a page that is there, or to a dashboard that is built."""
    text = json.dumps(DASHBOARDS[name])
    for page, heading in set(re.findall(r'/docs/operating/([\w-]+\.md)#([\w-]+)"', text)):
        headings = re.findall(r"^## (.+)$", (DOCS / page).read_text(), re.MULTILINE)
        assert heading in {line.lower().replace(" ", "-") for line in headings}
    assert set(re.findall(r"/d/([\w-]+)\?", text)) <= {board["uid"] for board in DASHBOARDS.values()}


@pytest.mark.parametrize("name", NAMES)
def test_queries_when_run_on_a_real_influxdb(name, known):
    """Every query of every panel, variable and mark answers plausibly, whatever the reader chooses."""
    assert run(DASHBOARDS[name], partial(known.ask, fixed.DATABASE), SHOWN) == []


def test_figures_when_worked_out_with_a_pencil(known):
    """Both weeks run from a Tuesday to a Monday. A day makes 14.4 kWh times 10 on a Monday to 16 on a Sunday, 5 more
    in each further week; it uses 224 kWh, but for the one that lost an hour of the night, in which it is 8."""
    shown = figures(DASHBOARDS["commune-en"], partial(known.ask, fixed.DATABASE), SHOWN)
    first = 14_400 * (11 + 12 + 13 + 14 + 15 + 16 + (10 + 5))
    second = 14_400 * (11 + 12 + 13 + 14 + 15 + 16 + 6 * 5 + (10 + 10))
    assert shown["Sun"] == {"these 7 days": second, "the 7 before": first}
    assert shown["Used"] == {"these 7 days": 7 * 224_000 - 8000, "the 7 before": 7 * 224_000}
    assert shown["CO2"] == {"these 7 days": second * 50 // 1000, "the 7 before": first * 50 // 1000}


def test_figures_when_recorded(known):
    """Every big number and level of every dashboard is what it was when somebody last looked at it."""
    recorded = json.loads((Path(__file__).parent / "recorded.json").read_text())
    told = {name: figures(board, partial(known.ask, fixed.DATABASE), SHOWN) for name, board in DASHBOARDS.items()}
    assert told == recorded, json.dumps(told, indent=1, ensure_ascii=False)


def test_days_when_the_clocks_are_changed(known):
    """Bars stand at people's midnight, before and after the day of 23 hours, and add up to what their quarters do."""
    (panel,) = (panel for panel in panels(DASHBOARDS["operator"]) if panel["title"] == "Day by day")
    chosen = {"commune": fixed.COMMUNE, "level": "feeder", "place": "L'Église", "tz": "Europe/Paris"}
    (series,) = known.ask(fixed.DATABASE, query_of(panel, targets(panel)[0], chosen, SHOWN))
    assert [at_s for at_s, _wh in series["values"]] == [int(day.timestamp()) for day in fixed.DAYS]
    quarters = known.ask(fixed.DATABASE, filled(queries.IMPORT_W, chosen, SHOWN, step_s=900))[0]["values"]
    assert sum(watt for _at, watt in quarters) // 4 == sum(wh for _at, wh in series["values"])


def test_series_when_all_tags_are_there(known):
    """The data set has no stray point."""
    assert complete_series(partial(known.ask, fixed.DATABASE), TAGS) == []


def test_queries_when_named():
    """No query stands in a dashboard but by its name, and no name is without use."""
    public = [value for name, value in vars(queries).items() if name.isupper() and not name.startswith("_")]
    named = {text for value in public for text in (value.values() if isinstance(value, dict) else [value])}
    named -= set(queries.FACETS.values())
    boards = DASHBOARDS.values()
    used = {target["query"] for board in boards for panel in panels(board) for target in targets(panel)}
    used |= {mark["target"]["query"] for board in boards for mark in board["annotations"].get("list", [])}
    assert sorted(used - named) == []
    used |= {str(one.get("query")) for board in boards for one in board["templating"]["list"]}
    assert sorted(named - used) == []


def replaced(old: str, new: str) -> Callable[[Json], Json]:
    """Change a text wherever it stands in a dashboard; it must stand there."""

    def mutate(dashboard: Json) -> Json:
        text = json.dumps(dashboard)
        assert old in text, old
        mutant: Json = json.loads(text.replace(old, new))
        return mutant

    return mutate


def panel_changed(title: str, change: Callable[[Json], object]) -> Callable[[Json], Json]:
    """Change one panel."""

    def mutate(dashboard: Json) -> Json:
        mutant = copy.deepcopy(dashboard)
        (panel,) = (panel for panel in mutant["panels"] if panel["title"] == title)
        change(panel)
        return mutant

    return mutate


LINTED = {
    "wrong field": replaced("voltage_mv_min", "voltage_v_min"),
    "wrong measurement": replaced('FROM \\"grid\\"', 'FROM \\"grids\\"'),
    "wrong tag": replaced('GROUP BY \\"reason\\"', 'GROUP BY \\"cause\\"'),
    "undefined variable": replaced("${place:regex}", "${plaice:regex}"),
    "wrong unit": replaced('"unit": "volt"', '"unit": "kvolt"'),
    "no unit": panel_changed("Solar", lambda panel: panel["fieldConfig"]["defaults"].pop("unit")),
    "no sentence": panel_changed("Solar", lambda panel: panel.update(description="")),
    "no link": panel_changed("Solar", lambda panel: panel.update(links=[])),
    "no thresholds": panel_changed("Solar", lambda panel: panel["fieldConfig"]["defaults"].pop("thresholds")),
    "days of Greenwich": replaced("time(1d) fill(none) tz('${tz}')", "time(1d) fill(none)"),
    "previous value": replaced("fill(null)", "fill(previous)"),
    "nothing is nought": replaced("fill(null)", "fill(0)"),
    "sign not said": replaced("drawn upwards", "positive"),
    "overlap": panel_changed("Solar", lambda panel: panel["gridPos"].update(x=0)),
    "not portable": replaced("tz('${tz}')\"", "tz('${tz}') SLIMIT 1\""),
    "all times": replaced(" AND $timeFilter", ""),
    "other names match": replaced("=~ /^${place:regex}$/", "=~ /${place:regex}/"),
    "apostrophe": replaced('\\"place\\" =~ /^${place:regex}$/', "\\\"place\\\" = '${place}'"),
    "editable": lambda dashboard: {**dashboard, "editable": True},
    "colour of nothing": replaced('"options": "rating"', '"options": "ratings"'),
}
"""Mistakes that are seen without a database."""

RUN = {
    "syntax": replaced("GROUP BY time", "GRUP BY time"),
    "wrong level": replaced("(feeder|transformer)", "(cable|transformator)"),
    "millivolts": replaced('min(\\"voltage_mv_min\\") / 1000', 'min(\\"voltage_mv_min\\")'),
    "kilovolts": replaced('min(\\"voltage_mv_min\\") / 1000', 'min(\\"voltage_mv_min\\") / 1000000'),
    "thousandths": replaced('max(\\"load_permille\\") / 1000', 'max(\\"load_permille\\")'),
    "text": replaced('sum(\\"import_wh\\")', 'sum(\\"place\\")'),
}
"""Mistakes that only a database shows."""


@pytest.mark.parametrize("mutation", LINTED)
def test_lint_when_a_mistake_is_sown(mutation):
    """It is seen without a database."""
    assert lint(LINTED[mutation](DASHBOARDS["operator"]), WORDS)


@pytest.mark.parametrize("mutation", RUN)
def test_run_when_a_mistake_is_sown(mutation, known):
    """It is seen as soon as a real database is asked."""
    healthy, mutant = DASHBOARDS["operator"], RUN[mutation](DASHBOARDS["operator"])
    ask = cache(partial(known.ask, fixed.DATABASE))
    assert set(run(mutant, ask, SHOWN, choices_max=1)) - set(run(healthy, ask, SHOWN, choices_max=1))


@pytest.mark.parametrize(
    ("stray", "seen"),
    [
        ("energy_15m,commune=solville import_wh=6000000i", "tags ['commune']"),
        ("energy_15m,level=feeder,place=x,commune=solville,device=3f import_wh=10i", "device"),
        ("reading,device=3f power_w=10i", "reading"),
    ],
)
def test_series_when_a_stray_point_is_written(stray, seen, influx: Influx):
    """A point without its tags, or with one that tells of a device, is found although no panel shows it."""
    influx.write("stray", [fixed.lines()[0], f"{stray} {fixed.START_S}"])
    found = complete_series(partial(influx.ask, "stray"), TAGS)
    assert any(seen in failure for failure in found), found
    influx.ask("stray", 'DROP DATABASE "stray"')


def test_figures_when_an_outlier_has_no_tags(known: Influx, influx: Influx):
    """An untagged 6 MW point changes no figure of any dashboard: every query names its level."""
    influx.write("outlier", [*fixed.lines(), f"energy_15m,commune=solville import_wh=1500000i {fixed.END_S - 900}"])
    for board in DASHBOARDS.values():
        with_it = figures(board, partial(influx.ask, "outlier"), SHOWN)
        assert with_it == figures(board, partial(known.ask, fixed.DATABASE), SHOWN)


def test_schema_when_a_type_is_wrong():
    """The schema is not a formality."""
    schema = json.loads(source("schema/classic.schema.json").read_text())
    mutant = copy.deepcopy(DASHBOARDS["operator"])
    mutant["panels"][1]["gridPos"]["x"] = "left"
    assert not jsonschema_rs.Draft7Validator(schema).is_valid(mutant)
