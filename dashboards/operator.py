"""Operator: is any cable or transformer near its limit, where, since when, and how much of it do we know?"""

from dashboards import look, panels, queries, requested
from dashboards.board import Board, ask
from dashboards.panels import number, rows, states, trend
from dashboards.variables import chosen, link_to, one_of

LEVELS = ("commune", "quarter", "transformer", "feeder")
SIGN = "Import is drawn from the grid and drawn upwards; export is fed into it and drawn downwards."
SETTLED = "It is known when the quarter of an hour has been settled, some hours later."
OF_RATING = "in the time shown, as a share of its rating. Orange from 70 %, red from 90 %."
NO_RATING = "no rating known"
UNTOLD = "not told: fewer than 10 sites, or nothing measured"


def board() -> Board:
    """The dashboard."""
    return Board(
        uid="cw-operator",
        title="Commonwatt: operator",
        says="Feeders and transformers against their rating, import and export, solar, voltage; never a single home.",
        since="now-7d",
        refresh="1m",
        page="dashboards.md#operator",
        variables=(
            chosen("commune", "Commune", queries.COMMUNES, is_many=False),
            one_of("level", "Look at a", *LEVELS),
            chosen("place", "which", queries.PLACES, is_many=False),
            one_of("below", "List every", "feeder", "transformer", "quarter"),
        ),
        rows=(
            ("The commune in its newest quarter of an hour", _now()),
            ("Feeders and transformers", _rated()),
            ("${level} ${place}", _place()),
            ("This week against the last", _compared()),
            ("Voltage and frequency, where meters report them", _grid()),
            ("What was asked, and what came", requested.panels_of()),
            ("How much of it is known", _known()),
        ),
    )


def _now() -> list[panels.Panel]:
    power = [
        (
            "Drawn from the grid",
            "Mean power that all homes together drew from the grid.",
            queries.IMPORT_NOW_W,
            look.IMPORT,
        ),
        (
            "Fed into the grid",
            "Mean power that all homes together fed into the grid.",
            queries.EXPORT_NOW_W,
            look.EXPORT,
        ),
        (
            "Solar",
            "Mean power of all generators; of a home without a meter there, its export.",
            queries.SOLAR_NOW_W,
            look.SUN,
        ),
    ]
    rated = [
        ("Highest load", "The highest load of any feeder or transformer", queries.HIGHEST_LOAD),
        (
            "Highest reverse flow",
            "The highest flow back to the grid of any feeder or transformer",
            queries.HIGHEST_REVERSE,
        ),
    ]
    return [
        *(
            number(title, f"{says} {SETTLED}", ask(query), unit=look.WATTS, steps=look.only(color), empty=UNTOLD)
            for title, says, query, color in power
        ),
        *(
            number(title, f"{says} {OF_RATING}", ask(query), unit=look.SHARE, steps=look.LOAD, empty=NO_RATING)
            for title, says, query in rated
        ),
        number(
            "Homes measured",
            "Of all homes with a meter, how many were settled in the newest quarter of an hour. Below 98 % every "
            "other figure here is too small.",
            ask(queries.COMPLETENESS_NOW),
            unit=look.SHARE,
            steps=look.ALL_IS_GOOD,
            empty=UNTOLD,
        ),
    ]


def _rated() -> list[panels.Panel]:
    chosen_feeder = link_to(
        "cw-operator",
        "Look at it",
        level="${__field.labels.level:percentencode}",
        place="${__field.labels.place:percentencode}",
    )
    return [
        panels.levels(
            "Load against rating",
            "The highest load of each feeder and transformer in the time shown, as a share of its rating. The bar "
            "ends at 120 %. Click one to look at it.",
            ask(queries.LOAD_PEAK_EACH, "$tag_level $tag_place"),
            unit=look.SHARE,
            steps=look.LOAD,
            top=1.2,
            empty=NO_RATING,
            data_links=[chosen_feeder],
        ),
        panels.levels(
            "Reverse flow against rating",
            "The highest flow back towards the grid of each feeder and transformer in the time shown, as a share "
            "of its rating. Click one to look at it.",
            ask(queries.REVERSE_PEAK_EACH, "$tag_level $tag_place"),
            unit=look.SHARE,
            steps=look.LOAD,
            top=1.2,
            empty=NO_RATING,
            data_links=[chosen_feeder],
        ),
        states(
            "When they were near their limit",
            "Each feeder and transformer over time: green below 70 % of its rating in either direction, orange "
            "below 90 %, red above.",
            ask(queries.LOAD_STATE_EACH, "$tag_place, load"),
            ask(queries.REVERSE_STATE_EACH, "$tag_place, back"),
            steps=look.LOAD,
            unit=look.SHARE,
            step="15m",
            span=8,
            empty=NO_RATING,
        ),
        _every_place(),
    ]


def _every_place() -> panels.Panel:
    listed = link_to("cw-operator", "Look at it", level="${below}", place="${__value.raw:percentencode}")
    return rows(
        "Every ${below}",
        "Highest mean power of a quarter of an hour towards the homes (load) and back (reverse), sums over the "
        "time shown, and the fewest homes measured. Click a name to look at it; *List every* above chooses what is "
        "listed.",
        ask(queries.PLACES_TABLE, as_table=True),
        unit=look.WATTS,
        names={
            "place": "Place",
            "load_w": "Highest load",
            "reverse_w": "Highest reverse flow",
            "rating_w": "Rating",
            "import_wh": "Import",
            "export_wh": "Export",
            "solar_wh": "Solar",
            "completeness": "Measured",
            "sites": "Homes",
        },
        units={
            "Import": look.WATT_HOURS,
            "Export": look.WATT_HOURS,
            "Solar": look.WATT_HOURS,
            "Measured": look.SHARE,
            "Homes": look.COUNT,
        },
        colored={"Measured": look.ALL_IS_GOOD},
        data_links={"Place": listed},
        sort_by="Highest load",
        span=24,
        height=7,
        empty=UNTOLD,
    )


def _place() -> list[panels.Panel]:
    return [
        trend(
            "Import and export",
            f"Mean power of the place chosen above. {SIGN} A gap: not told, or not measured.",
            ask(queries.IMPORT_W, "import"),
            ask(queries.EXPORT_W, "export"),
            ask(queries.SOLAR_W, "solar"),
            ask(queries.USED_W, "use"),
            unit=look.WATTS,
            colors={"import": look.IMPORT, "export": look.EXPORT, "solar": look.SUN, "use": look.USE},
            below=["export"],
            step="15m",
            height=9,
            empty=UNTOLD,
        ),
        trend(
            "Load and reverse flow under the rating",
            "Highest mean power of a quarter of an hour towards the homes (load, drawn upwards) and back (reverse "
            "flow, drawn downwards); the dashed line is what cable or transformer is rated for. Quarters and "
            "communes have none.",
            ask(queries.LOAD_W, "load"),
            ask(queries.REVERSE_W, "reverse flow"),
            ask(queries.RATING_W, "rating"),
            unit=look.WATTS,
            colors={"load": look.IMPORT, "reverse flow": look.EXPORT, "rating": look.ACT},
            below=["reverse flow"],
            dashed=["rating"],
            step="15m",
            height=9,
            empty=UNTOLD,
        ),
    ]


def _compared() -> list[panels.Panel]:
    colors = {"import": look.IMPORT, "export": look.EXPORT}
    before = {"import": look.BEFORE, "export": look.BEFORE}
    return [
        number(
            "Import",
            "Energy that the place chosen drew from the grid in the last seven days of the time shown, and in the "
            "seven before.",
            ask(queries.IMPORT_WEEK_WH, "these 7 days"),
            ask(queries.IMPORT_BEFORE_WH, "the 7 before"),
            unit=look.WATT_HOURS,
            steps=look.only(look.IMPORT),
            span=4,
            height=8,
            empty=UNTOLD,
        ),
        number(
            "Export",
            "Energy that the place chosen fed into the grid in the last seven days of the time shown, and in the "
            "seven before.",
            ask(queries.EXPORT_WEEK_WH, "these 7 days"),
            ask(queries.EXPORT_BEFORE_WH, "the 7 before"),
            unit=look.WATT_HOURS,
            steps=look.only(look.EXPORT),
            span=4,
            height=8,
            empty=UNTOLD,
        ),
        trend(
            "The time shown",
            f"Mean power of the place chosen. {SIGN}",
            ask(queries.IMPORT_W, "import"),
            ask(queries.EXPORT_W, "export"),
            unit=look.WATTS,
            colors=colors,
            below=["export"],
            step="15m",
            span=8,
            empty=UNTOLD,
        ),
        trend(
            "A week before",
            f"The same seven days earlier, so that the same weekdays stand beside each other. {SIGN}",
            ask(queries.IMPORT_W, "import"),
            ask(queries.EXPORT_W, "export"),
            unit=look.WATTS,
            colors=before,
            below=["export"],
            shifted="7d",
            step="15m",
            span=8,
            empty=UNTOLD,
        ),
        trend(
            "Day by day",
            f"Energy of each day, from midnight to midnight of the time zone chosen. {SIGN}",
            ask(queries.IMPORT_DAILY_WH, "import"),
            ask(queries.EXPORT_DAILY_WH, "export"),
            unit=look.WATT_HOURS,
            colors=colors,
            below=["export"],
            is_bars=True,
            step="1d",
            span=24,
            height=7,
            empty=UNTOLD,
        ),
    ]


def _grid() -> list[panels.Panel]:
    return [
        trend(
            "Voltage",
            "Lowest and highest voltage of the meters at each gateway that report it. The dashed lines are 207 and "
            "253 V, 230 V less and plus 10 %.",
            ask(queries.VOLTAGE_MIN_V, "$tag_gateway lowest"),
            ask(queries.VOLTAGE_MAX_V, "$tag_gateway highest"),
            unit=look.VOLTS,
            steps=look.VOLTAGE,
            shows_limits=True,
            from_zero=False,
            step="1m",
            empty="no meter reports it",
        ),
        trend(
            "Frequency",
            "Lowest and highest frequency that any meter reports. Between 49.8 and 50.2 Hz nothing is unusual; it "
            "is the same in all of Europe.",
            ask(queries.FREQUENCY_MIN_HZ, "lowest"),
            ask(queries.FREQUENCY_MAX_HZ, "highest"),
            unit=look.HERTZ,
            steps=look.FREQUENCY,
            shows_limits=True,
            from_zero=False,
            colors={"lowest": look.IMPORT, "highest": look.EXPORT},
            step="1m",
            empty="no meter reports it",
        ),
    ]


def _known() -> list[panels.Panel]:
    return [
        trend(
            "Homes measured at the place",
            "How many of the homes with a meter were settled in each quarter of an hour. Missing ones come later, "
            "with their energy over the gap.",
            ask(queries.COMPLETENESS, "measured"),
            unit=look.SHARE,
            colors={"measured": look.SHARED},
            steps=look.ALL_IS_GOOD,
            top=1,
            step="15m",
            span=8,
            height=7,
            empty=UNTOLD,
        ),
        trend(
            "Homes behind each point",
            "Homes that stand behind a point, and homes that could. A place with fewer than 10 has no points at all.",
            ask(queries.SITES, "behind the point"),
            ask(queries.SITES_EXPECTED, "with a meter"),
            unit=look.COUNT,
            colors={"behind the point": look.SHARED, "with a meter": look.BEFORE},
            dashed=["with a meter"],
            step="15m",
            span=8,
            height=7,
            empty=UNTOLD,
        ),
        panels.levels(
            "Figures not told, by reason",
            "To protect homes: *too-few-sites* fewer than 10 homes; *dominated* one home makes up most of it; "
            "*differs-by-few* subtracting from other figures would lay a few bare. Not an error; counted over the "
            "time shown.",
            ask(queries.WITHHELD, "$tag_reason"),
            unit=look.COUNT,
            steps=look.NEUTRAL,
            span=8,
            height=7,
            empty="everything was told",
        ),
    ]
