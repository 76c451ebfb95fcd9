"""Fleet: do all devices and gateways work, and is what they send believed?"""

from dashboards import look, panels, queries
from dashboards.board import Board, ask
from dashboards.panels import levels, number, rows, states, trend
from dashboards.sdk import InfluxQL
from dashboards.variables import chosen, link_to

UP = {"0": ("silent", look.ACT), "1": ("heard", look.GOOD)}
NO_SAMPLE = "no sample in the time shown"


def board() -> Board:
    """The dashboard."""
    return Board(
        uid="cw-fleet",
        title="Commonwatt: fleet",
        says="Devices, gateways and what they send: who is silent, whose clock is wrong, what is refused and why.",
        since="now-24h",
        refresh="1m",
        page="dashboards.md#fleet",
        variables=(
            chosen("commune", "Commune", queries.COMMUNES, is_many=False),
            chosen("gateway", "Gateways", queries.GATEWAYS),
        ),
        rows=(
            ("Now", _now()),
            ("Devices", _devices()),
            ("Gateways", [*_gateways(), *_spools()]),
            ("What arrives", [*_arrives(), *_counts()]),
            ("These dashboards", _telemetry()),
        ),
    )


def _now() -> list[panels.Panel]:
    return [
        number(
            "Devices online",
            "Devices that say they are connected to their gateway.",
            ask(queries.DEVICES_ONLINE),
            unit=look.COUNT,
            steps=look.only(look.GOOD),
            empty=NO_SAMPLE,
        ),
        number(
            "Devices offline",
            "Devices whose gateway has seen their connection end. They keep their readings and send them later.",
            ask(queries.DEVICES_OFFLINE),
            unit=look.COUNT,
            steps=look.SOME_IS_ODD,
            empty=NO_SAMPLE,
        ),
        number(
            "Gateways heard",
            "Gateways that are connected, of all that were ever heard.",
            ask(queries.GATEWAYS_HEARD, "heard"),
            ask(queries.GATEWAYS_KNOWN, "known"),
            unit=look.COUNT,
            empty=NO_SAMPLE,
        ),
        number(
            "Oldest in a spool",
            "How long the oldest signed block has waited at any gateway for the commune's receipt. Orange from an "
            "hour, red from six.",
            ask(queries.SPOOL_OLDEST_S),
            unit=look.SECONDS,
            steps=look.up_to(3600, 21_600),
            empty=NO_SAMPLE,
        ),
        number(
            "Refused",
            "Blocks refused for good, of all that came in the time shown. Orange from 1 in 1,000, red from 1 in 100.",
            ask(queries.REFUSED_SHARE),
            unit=look.SHARE,
            steps=look.up_to(0.001, 0.01),
            decimals=2,
            empty="no blocks came",
        ),
        number(
            "Signatures checked",
            "Signatures of devices that the aggregator checks in a second.",
            ask(queries.SIGNATURES_PER_S),
            unit=look.PER_SECOND,
            has_curve=True,
            empty=NO_SAMPLE,
        ),
    ]


def _devices() -> list[panels.Panel]:
    return [
        trend(
            "Devices by state",
            "Every device the commune knows: connected, not connected, or never heard of.",
            ask(queries.DEVICES_BY_STATE, "$tag_class"),
            unit=look.COUNT,
            colors={"online": look.GOOD, "offline": look.WATCH, "never": look.BEFORE},
            is_stacked=True,
            span=8,
            empty=NO_SAMPLE,
        ),
        levels(
            "Last reading taken",
            "Devices by how long ago the last reading that arrived was taken. Anything older than a day deserves a "
            "visit.",
            *_of_facet("seen"),
            unit=look.COUNT,
            steps=look.NEUTRAL,
            span=4,
            empty=NO_SAMPLE,
        ),
        levels(
            "Clock quality",
            "Devices by what they know of the time. *unsynchronised* ones sign nothing yet; *learning* ones soon "
            "will.",
            *_of_facet("clock"),
            unit=look.COUNT,
            steps=look.NEUTRAL,
            span=4,
            empty="no device tells its clock",
        ),
        levels(
            "Radio",
            "Devices by how well they hear their Wi-Fi: good from −67 dBm, fair from −75, weak below. A weak one "
            "loses minutes, not energy.",
            *_of_facet("radio"),
            unit=look.COUNT,
            steps=look.NEUTRAL,
            span=4,
            empty="no device tells its radio",
        ),
        levels(
            "Firmware",
            "Devices by the version they run. During a roll-out the new one grows day by day.",
            ask(queries.DEVICES_BY_FIRMWARE, "$tag_class"),
            unit=look.COUNT,
            steps=look.NEUTRAL,
            span=4,
            empty="no device tells its version",
        ),
    ]


CLASSES = {
    "hour": "under an hour",
    "six-hours": "under 6 hours",
    "day": "under a day",
    "week": "under a week",
}
"""Words for classes that do not say it themselves."""


def _of_facet(facet: str) -> list[InfluxQL]:
    asked = [(name, query) for (of_facet, name), query in queries.DEVICES_OF_CLASS.items() if of_facet == facet]
    return [ask(query, CLASSES.get(name, name)) for name, query in asked]


def _gateways() -> list[panels.Panel]:
    shown = link_to("cw-fleet", "Show this one alone", gateway="${__value.raw:percentencode}")
    return [
        states(
            "Gateways over time",
            "Green while a gateway was connected, red after it said goodbye or fell silent.",
            ask(queries.GATEWAY_UP, "$tag_gateway"),
            words=UP,
            span=24,
            height=6,
            empty=NO_SAMPLE,
        ),
        rows(
            "Each gateway",
            "What each gateway said last of itself: when it was heard, what waits in its spool, the room on its "
            "disk, how far its clock is from ours. Click a name to show it alone.",
            ask(queries.GATEWAYS_TABLE, as_table=True),
            unit=look.COUNT,
            names={
                "gateway": "Gateway",
                "up": "Connected",
                "heard_age_s": "Heard",
                "spool_blocks": "Blocks waiting",
                "spool_age_s": "Oldest",
                "spool_full": "Spool full",
                "disk_free_bytes": "Disk free",
                "clock_trusted": "Clock trusted",
                "clock_skew_s": "Clock off by",
                "devices_online": "Devices online",
                "devices_offline": "Devices offline",
                "meters_silent": "Meters silent",
            },
            units={
                "Connected": "bool_yes_no",
                "Clock trusted": "bool_yes_no",
                "Heard": look.SECONDS,
                "Oldest": look.SECONDS,
                "Clock off by": look.SECONDS,
                "Spool full": look.SHARE,
                "Disk free": look.BYTES,
            },
            colored={
                "Connected": look.YES_IS_GOOD,
                "Clock trusted": look.YES_IS_GOOD,
                "Heard": look.up_to(300, 900),
                "Oldest": look.up_to(3600, 21_600),
                "Spool full": look.up_to(0.5, 0.9),
                "Disk free": look.DISK,
                "Devices offline": look.SOME_IS_ODD,
                "Meters silent": look.SOME_IS_ODD,
            },
            sort_by="Oldest",
            data_links={"Gateway": shown},
            span=24,
            empty=NO_SAMPLE,
        ),
    ]


def _spools() -> list[panels.Panel]:
    return [
        trend(
            "Blocks that wait",
            "Signed blocks at each gateway that have no receipt yet. A saw-tooth is healthy; a slope is not.",
            ask(queries.SPOOL_BLOCKS, "$tag_gateway"),
            unit=look.COUNT,
            span=8,
            empty=NO_SAMPLE,
        ),
        trend(
            "How long the oldest has waited",
            "At each gateway. Orange from an hour, red from six; nothing is lost until its disk is full.",
            ask(queries.SPOOL_AGE_S, "$tag_gateway"),
            unit=look.SECONDS,
            steps=look.up_to(3600, 21_600),
            shows_limits=True,
            span=8,
            empty=NO_SAMPLE,
        ),
        trend(
            "Clocks",
            "How far each gateway's clock was from the aggregator's when its word arrived; plus is ahead. Within "
            "five seconds nothing is wrong: the way takes some of it.",
            ask(queries.CLOCK_SKEW_S, "$tag_gateway"),
            unit=look.SECONDS,
            steps=look.SKEW,
            shows_limits=True,
            from_zero=False,
            span=8,
            empty=NO_SAMPLE,
        ),
    ]


def _arrives() -> list[panels.Panel]:
    return [
        trend(
            "Blocks",
            "Signed blocks accepted, and those that were here already. Many duplicates after an outage are what "
            "they should be.",
            ask(queries.ACCEPTED, "accepted"),
            ask(queries.DUPLICATE, "here already"),
            unit=look.COUNT,
            colors={"accepted": look.SHARED, "here already": look.BEFORE},
            is_bars=True,
            is_stacked=True,
            span=8,
            empty=NO_SAMPLE,
        ),
        trend(
            "Refused, by reason",
            "Blocks refused for good. The link leads to what each reason means and what to do.",
            ask(queries.REFUSED_STEP, "$tag_reason"),
            unit=look.COUNT,
            is_bars=True,
            is_stacked=True,
            span=8,
            empty="none was refused",
        ),
        levels(
            "Refused in the time shown",
            "The same, counted. *conflict* is a device that signed two histories: it is frozen until two people "
            "have looked at it.",
            ask(queries.REFUSED_BY_REASON, "$tag_reason"),
            unit=look.COUNT,
            steps=look.NONE_IS_GOOD,
            span=8,
            empty="none was refused",
        ),
    ]


def _counts() -> list[panels.Panel]:
    return [
        number(
            "Frozen devices",
            "Devices that signed two histories and wait for two people to look at them.",
            ask(queries.FROZEN_DEVICES),
            unit=look.COUNT,
            steps=look.NONE_IS_GOOD,
            span=4,
            height=4,
            empty=NO_SAMPLE,
        ),
        number(
            "Readings",
            "Readings that arrived, signed and accepted, in the time shown.",
            ask(queries.READINGS),
            unit=look.COUNT,
            span=4,
            height=4,
            empty=NO_SAMPLE,
        ),
        number(
            "Aggregator's disk",
            "Room on the disk that holds the evidence and the books. Red below 500 MB.",
            ask(queries.DISK_FREE_BYTES),
            unit=look.BYTES,
            steps=look.DISK,
            span=4,
            height=4,
            empty=NO_SAMPLE,
        ),
        trend(
            "Signatures",
            "Signatures of devices checked in a second. One core checks thousands.",
            ask(queries.SIGNATURES_STEP_PER_S, "checked"),
            unit=look.PER_SECOND,
            colors={"checked": look.USE},
            span=12,
            height=4,
            empty=NO_SAMPLE,
        ),
    ]


def _telemetry() -> list[panels.Panel]:
    return [
        number(
            "Database takes points",
            "Whether the last attempt to write here succeeded. The books never wait for it.",
            ask(queries.TELEMETRY_UP),
            unit="bool_yes_no",
            steps=look.YES_IS_GOOD,
            empty=NO_SAMPLE,
        ),
        number(
            "Behind by",
            "Civil time between the last interval that was closed and the last point written. Red from three hours.",
            ask(queries.TELEMETRY_BEHIND_S),
            unit=look.SECONDS,
            steps=look.up_to(3600, 10_800),
            empty=NO_SAMPLE,
        ),
        number(
            "Points waiting",
            "Points in the journal beside the books that the database has not taken yet.",
            ask(queries.POINTS_WAITING),
            unit=look.COUNT,
            steps=look.up_to(10_000, 100_000),
            empty=NO_SAMPLE,
        ),
        number(
            "Asked again",
            "Requests repeated in the time shown, because the database was away, busy or too slow.",
            ask(queries.RETRIED),
            unit=look.COUNT,
            steps=look.up_to(10, 1000),
            empty=NO_SAMPLE,
        ),
        number(
            "Samples skipped",
            "Samples not taken because the journal was full. Energy and credits are never skipped.",
            ask(queries.POINTS_SKIPPED),
            unit=look.COUNT,
            steps=look.SOME_IS_ODD,
            empty=NO_SAMPLE,
        ),
        levels(
            "Set aside, by reason",
            "Points that the database called malformed. They are kept: `commonwatt aggregator telemetry` lists "
            "them with the server's words.",
            ask(queries.ASIDE_BY_REASON, "$tag_reason"),
            unit=look.COUNT,
            steps=look.NONE_IS_GOOD,
            span=4,
            height=4,
            empty="none was set aside",
        ),
        trend(
            "Journal",
            "Points that wait for the database over time. A hill is an outage that was made up for.",
            ask(queries.POINTS_WAITING_STEP, "waiting"),
            unit=look.COUNT,
            colors={"waiting": look.USE},
            span=24,
            height=5,
            empty=NO_SAMPLE,
        ),
    ]
