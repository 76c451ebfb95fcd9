"""My home: for a homeowner's own Grafana, whose token opens a database with that home alone. In French or English.

A variable is no access control, so there is none for the home: the data source decides whose it is.
"""

from commonwatt.i18n import _
from dashboards import look, panels, queries
from dashboards.board import Board, ask
from dashboards.panels import number, trend
from dashboards.variables import HOME, typed


def board(language: str) -> Board:
    """The dashboard in the language that is spoken (commonwatt.i18n); `language` names it in its address."""
    suffix = "" if language == "en" else f"-{language}"
    return Board(
        uid=f"cw-home{suffix}",
        title=_("Commonwatt: my home"),
        says=_("What my home used, made and shared, and the credits it earned. Only my own database is asked."),
        since="now-7d",
        refresh="15m",
        page="dashboards.md#my-home",
        page_label=_("What these figures mean"),
        others_label=_("Other screens"),
        zone_label=_("Days of"),
        source_label=_("My database"),
        tags=(HOME,),
        has_events=False,
        variables=(
            typed("buy", _("I pay per kWh"), "0.25"),
            typed("sell", _("I get per kWh"), "0.04"),
            typed("currency", _("in"), "€"),
        ),
        rows=(
            (_("In the time shown"), _numbers()),
            (_("Where my electricity came from"), [*_origins(), *_parts()]),
            (_("These seven days and the seven before"), _weeks()),
            (_("Is my meter fine?"), _fine()),
        ),
    )


def _numbers() -> list[panels.Panel]:
    none = _("not measured")
    return [
        number(
            _("I used"),
            _("Energy used at home: drawn from the grid, plus produced, less fed in."),
            ask(queries.HOME_USED_WH),
            unit=look.WATT_HOURS,
            steps=look.only(look.USE),
            empty=none,
        ),
        number(
            _("My roof made"),
            _("Energy that my generator produced. Without a meter at it: what I fed in."),
            ask(queries.HOME_SOLAR_WH),
            unit=look.WATT_HOURS,
            steps=look.only(look.SUN),
            empty=none,
        ),
        number(
            _("I drew from the grid"),
            _("Import at my main meter, what neighbours made among it."),
            ask(queries.HOME_IMPORT_WH),
            unit=look.WATT_HOURS,
            steps=look.only(look.IMPORT),
            empty=none,
        ),
        number(
            _("I fed in"),
            _("Export at my main meter."),
            ask(queries.HOME_EXPORT_WH),
            unit=look.WATT_HOURS,
            steps=look.only(look.EXPORT),
            empty=none,
        ),
        number(
            _("Credits earned"),
            _("Credits that my energy became, by the rules of the commune. What I spent is in my wallet, not here."),
            ask(queries.HOME_EARNED),
            unit=look.CREDITS,
            steps=look.only(look.SHARED),
            decimals=2,
            empty=none,
        ),
        number(
            _("The grid cost me") + " (${currency})",  # Grafana fills in variables in titles, not in units
            _(
                "Import × what I pay, less export × what I get; both prices stand above. Not a bill: no "
                "subscription, no tax."
            ),
            ask(queries.HOME_COST),
            unit="none",
            decimals=2,
            empty=none,
        ),
    ]


def _origins() -> list[panels.Panel]:
    own, shared, rest = _("my own roof"), _("neighbours"), _("the rest of the grid")
    drawn, fed, roof, used = _("import"), _("export"), _("roof"), _("use")
    none = _("not measured")
    return [
        trend(
            _("My use, by where it came from"),
            _(
                "Each day's use: from my own roof, from neighbours in the same quarter of an hour, and from the "
                "rest of the grid."
            ),
            ask(queries.HOME_OWN_DAILY_WH, own),
            ask(queries.HOME_MATCHED_DAILY_WH, shared),
            ask(queries.HOME_REST_DAILY_WH, rest),
            unit=look.WATT_HOURS,
            colors={own: look.SUN, shared: look.SHARED, rest: look.IMPORT},
            is_bars=True,
            is_stacked=True,
            step="1d",
            span=12,
            empty=none,
        ),
        trend(
            _("Quarter by quarter"),
            _(
                "Mean power. Import is drawn from the grid and drawn upwards; export is fed into it and drawn "
                "downwards."
            ),
            ask(queries.HOME_USED_W, used),
            ask(queries.HOME_SOLAR_W, roof),
            ask(queries.HOME_IMPORT_W, drawn),
            ask(queries.HOME_EXPORT_W, fed),
            unit=look.WATTS,
            colors={used: look.USE, roof: look.SUN, drawn: look.IMPORT, fed: look.EXPORT},
            below=[fed],
            step="15m",
            span=12,
            empty=none,
        ),
    ]


def _parts() -> list[panels.Panel]:
    none = _("not measured")
    return [
        number(
            _("From neighbours"),
            _("Energy that I used of my neighbours' roofs, in the same quarter of an hour."),
            ask(queries.HOME_MATCHED_WH),
            unit=look.WATT_HOURS,
            steps=look.only(look.SHARED),
            span=6,
            empty=none,
        ),
        number(
            _("From the rest of the grid"),
            _("What nobody in the commune had to give when I needed it."),
            ask(queries.HOME_REST_WH),
            unit=look.WATT_HOURS,
            steps=look.only(look.IMPORT),
            span=6,
            empty=none,
        ),
        number(
            _("Used of what I made"),
            _("Self-consumption: how much of my production was used by me or by neighbours when it was made."),
            ask(queries.HOME_SELF_CONSUMPTION),
            unit=look.SHARE,
            steps=look.only(look.SUN),
            span=6,
            empty=none,
        ),
        number(
            _("Local, of what I used"),
            _("Self-sufficiency: how much of my use came from my own roof or from neighbours."),
            ask(queries.HOME_SELF_SUFFICIENCY),
            unit=look.SHARE,
            steps=look.only(look.SHARED),
            span=6,
            empty=none,
        ),
    ]


def _weeks() -> list[panels.Panel]:
    now, before, none = _("these 7 days"), _("the 7 before"), _("not measured")
    earned = _("credits")
    return [
        number(
            _("Use"),
            _("My use in the last seven days of the time shown, and in the seven before."),
            ask(queries.HOME_USED_WEEK_WH, now),
            ask(queries.HOME_USED_BEFORE_WH, before),
            unit=look.WATT_HOURS,
            steps=look.only(look.USE),
            span=5,
            height=6,
            empty=none,
        ),
        number(
            _("Drawn from the grid"),
            _("Import in the last seven days of the time shown, and in the seven before."),
            ask(queries.HOME_IMPORT_WEEK_WH, now),
            ask(queries.HOME_IMPORT_BEFORE_WH, before),
            unit=look.WATT_HOURS,
            steps=look.only(look.IMPORT),
            span=5,
            height=6,
            empty=none,
        ),
        number(
            _("Earned"),
            _("Credits in the last seven days of the time shown, and in the seven before."),
            ask(queries.HOME_EARNED_WEEK, now),
            ask(queries.HOME_EARNED_BEFORE, before),
            unit=look.CREDITS,
            steps=look.only(look.SHARED),
            decimals=2,
            span=5,
            height=6,
            empty=none,
        ),
        trend(
            _("Credits, day by day"),
            _("Credits that each day's energy became."),
            ask(queries.HOME_EARNED_DAILY, earned),
            unit=look.CREDITS,
            colors={earned: look.SHARED},
            is_bars=True,
            step="1d",
            span=9,
            height=6,
            empty=none,
        ),
    ]


def _fine() -> list[panels.Panel]:
    measured, none = _("measured"), _("no day is complete yet")
    return [
        number(
            _("My meter was heard"),
            _(
                "How many quarters of an hour of these days have a signed reading. Below 98 % something is wrong "
                "with the meter or its radio: tell the association. Energy is not lost, its register goes on."
            ),
            ask(queries.HOME_KNOWN),
            unit=look.SHARE,
            steps=look.ALL_IS_GOOD,
            span=6,
            height=6,
            empty=none,
        ),
        trend(
            _("Heard, day by day"),
            _("Quarters of an hour with a signed reading, of those that the day has: 92, 96 or 100."),
            ask(queries.HOME_KNOWN_DAILY, measured),
            unit=look.SHARE,
            colors={measured: look.SHARED},
            steps=look.ALL_IS_GOOD,
            top=1,
            is_bars=True,
            step="1d",
            span=18,
            height=6,
            empty=none,
        ),
    ]
