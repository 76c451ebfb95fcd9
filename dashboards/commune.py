"""Commune impact: what we made and shared, on a screen in the town hall, in French or English.

Nothing here is of a place smaller than the commune, and no link leads to one.
"""

from commonwatt.i18n import _
from dashboards import look, panels, queries
from dashboards.board import Board, ask
from dashboards.panels import note, number, trend
from dashboards.variables import PUBLIC, chosen


def board(language: str) -> Board:
    """The dashboard in the language that is spoken (commonwatt.i18n); `language` names it in its address."""
    suffix = "" if language == "en" else f"-{language}"
    return Board(
        uid=f"cw-commune{suffix}",
        title=_("Commonwatt: our commune"),
        says=_("What the homes of the commune made of the sun, shared and saved, all together; never a single home."),
        since="now-30d",
        refresh="15m",
        page="dashboards.md#commune-impact",
        page_label=_("What these figures mean"),
        others_label=_("Other screens"),
        zone_label=_("Days of"),
        source_label=_("Database"),
        tags=(PUBLIC,),
        has_events=False,
        variables=(chosen("commune", _("Commune"), queries.COMMUNES, is_many=False),),
        rows=(
            (_("All of us together"), [*_together(), *_shares()]),
            (_("Day by day"), _days()),
            (_("These seven days and the seven before"), _weeks()),
            (_("When the sun shines and when we use it"), _hours()),
        ),
    )


def untold() -> str:
    """What stands where there is no figure."""
    return _("not told: fewer than 10 homes, or not measured")


def _together() -> list[panels.Panel]:
    return [
        number(
            _("Made of the sun"),
            _("Energy that the generators of the homes produced."),
            ask(queries.COMMUNE_SOLAR_WH),
            unit=look.WATT_HOURS,
            steps=look.only(look.SUN),
            span=6,
            height=5,
            empty=untold(),
        ),
        number(
            _("Shared between neighbours"),
            _("Energy that left one home and was used by another in the same quarter of an hour."),
            ask(queries.COMMUNE_MATCHED_WH),
            unit=look.WATT_HOURS,
            steps=look.only(look.SHARED),
            span=6,
            height=5,
            empty=untold(),
        ),
        number(
            _("CO2 avoided"),
            _(
                "What power stations of the country would have emitted for the energy that we produced. What "
                "making the modules cost is not deducted."
            ),
            ask(queries.CO2_AVOIDED_G),
            unit=look.GRAMS,
            steps=look.only(look.SHARED),
            span=6,
            height=5,
            empty=untold(),
        ),
        number(
            _("Homes that take part"),
            _("Homes that stand behind these figures."),
            ask(queries.HOMES),
            unit=look.COUNT,
            steps=look.only(look.USE),
            span=6,
            height=5,
            empty=untold(),
        ),
    ]


def _shares() -> list[panels.Panel]:
    return [
        number(
            _("Used here of what we made"),
            _(
                "Self-consumption: how much of the energy produced here was used here, in the home itself or by "
                "neighbours."
            ),
            ask(queries.SELF_CONSUMPTION),
            unit=look.SHARE,
            steps=look.only(look.SUN),
            span=6,
            height=5,
            empty=untold(),
        ),
        number(
            _("Made here of what we used"),
            _("Self-sufficiency: how much of the energy used here was produced here at the time it was used."),
            ask(queries.SELF_SUFFICIENCY),
            unit=look.SHARE,
            steps=look.only(look.SHARED),
            span=6,
            height=5,
            empty=untold(),
        ),
        number(
            _("Participation"),
            _("Homes behind these figures, as a share of all homes with a meter in service."),
            ask(queries.PARTICIPATION),
            unit=look.SHARE,
            steps=look.only(look.USE),
            span=6,
            height=5,
            empty=untold(),
        ),
        number(
            _("Measured"),
            _("How much of the time is behind these figures. What is missing is not guessed."),
            ask(queries.COMMUNE_KNOWN),
            unit=look.SHARE,
            steps=look.ALL_IS_GOOD,
            span=6,
            height=5,
            empty=untold(),
        ),
    ]


def _days() -> list[panels.Panel]:
    here, elsewhere = _("made here"), _("made elsewhere")
    avoided, drawn = _("avoided"), _("of what we drew from the grid")
    return [
        trend(
            _("Where our electricity came from"),
            _(
                "Each day's use, from midnight to midnight: what was made here when it was used, and what came "
                "from elsewhere. A day without a bar was not measured, or not told."
            ),
            ask(queries.MADE_HERE_DAILY_WH, here),
            ask(queries.FROM_ELSEWHERE_DAILY_WH, elsewhere),
            unit=look.WATT_HOURS,
            colors={here: look.SHARED, elsewhere: look.IMPORT},
            is_bars=True,
            is_stacked=True,
            step="1d",
            span=16,
            height=9,
            empty=untold(),
        ),
        trend(
            _("CO2 of each day"),
            _("What the energy from the grid emitted is drawn upwards, what our production avoided downwards."),
            ask(queries.CO2_IMPORTED_DAILY_G, drawn),
            ask(queries.CO2_AVOIDED_DAILY_G, avoided),
            unit=look.GRAMS,
            colors={avoided: look.SHARED, drawn: look.USE},
            below=[avoided],
            is_bars=True,
            step="1d",
            span=8,
            height=9,
            empty=untold(),
        ),
    ]


def _weeks() -> list[panels.Panel]:
    now, before = _("these 7 days"), _("the 7 before")
    told = [
        (
            _("Sun"),
            _("Energy produced in the last seven days of the time shown, and in the seven before."),
            (queries.COMMUNE_SOLAR_WEEK_WH, queries.COMMUNE_SOLAR_BEFORE_WH),
            (look.WATT_HOURS, look.SUN),
        ),
        (
            _("Shared"),
            _(
                "Energy that neighbours used of each other, in the last seven days of the time shown and in the "
                "seven before."
            ),
            (queries.COMMUNE_MATCHED_WEEK_WH, queries.COMMUNE_MATCHED_BEFORE_WH),
            (look.WATT_HOURS, look.SHARED),
        ),
        (
            _("Used"),
            _("Energy used in the homes in the last seven days of the time shown, and in the seven before."),
            (queries.COMMUNE_USED_WEEK_WH, queries.COMMUNE_USED_BEFORE_WH),
            (look.WATT_HOURS, look.USE),
        ),
        (
            _("CO2"),
            _("CO2 avoided in the last seven days of the time shown, and in the seven before."),
            (queries.CO2_AVOIDED_WEEK_G, queries.CO2_AVOIDED_BEFORE_G),
            (look.GRAMS, look.SHARED),
        ),
    ]
    factor = number(
        _("The country's electricity"),
        _(
            "CO2 that the country's power stations emit for a kilowatt-hour, by which production was weighed; from "
            "RTE's éCO2mix."
        ),
        ask(queries.CO2_FACTOR_G_PER_KWH),
        unit=look.GRAMS_PER_KWH,
        steps=look.only(look.USE),
        span=4,
        height=5,
        decimals=0,
        empty=untold(),
    )
    compared = [
        number(
            title,
            says,
            ask(of_week, now),
            ask(of_before, before),
            unit=unit,
            steps=look.only(color),
            span=5,
            height=5,
            empty=untold(),
        )
        for title, says, (of_week, of_before), (unit, color) in told
    ]
    return [*compared, factor]


def _hours() -> list[panels.Panel]:
    solar, used, share = _("sun"), _("use"), _("made here of what we used")
    return [
        trend(
            _("Sun and use"),
            _("Mean power of all homes together. Where the yellow curve is above the grey one, we could use more."),
            ask(queries.COMMUNE_SOLAR_W, solar),
            ask(queries.COMMUNE_USED_W, used),
            unit=look.WATTS,
            colors={solar: look.SUN, used: look.USE},
            step="15m",
            span=12,
            height=9,
            empty=untold(),
        ),
        trend(
            _("How much of our use we made"),
            _("Self-sufficiency of each day."),
            ask(queries.SELF_DAILY, share),
            unit=look.SHARE,
            colors={share: look.SHARED},
            top=1,
            is_bars=True,
            step="1d",
            span=6,
            height=9,
            empty=untold(),
        ),
        note(
            _("Why something may be missing"),
            _(
                "Nobody's life is shown here. Every figure stands for **at least ten homes** of which none makes "
                "up most of it; otherwise it is not told.\n\nFigures come **some hours late**, when every quarter "
                "of an hour has been settled, and are sums of signed readings that anyone in the commune may have "
                "checked."
            ),
            span=6,
            height=9,
        ),
    ]
