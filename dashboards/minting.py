"""Minting and ledger: what became money, by which rule, what waits, and who watches the book."""

from dashboards import look, panels, queries
from dashboards.board import Board, ask
from dashboards.panels import levels, number, rows, trend
from dashboards.variables import chosen

NO_SAMPLE = "no sample in the time shown"


def board() -> Board:
    """The dashboard."""
    return Board(
        uid="cw-ledger",
        title="Commonwatt: minting and ledger",
        says="Credits by source and policy, what stands behind them, what waits, and the witnesses of the log.",
        since="now-30d",
        refresh="5m",
        page="dashboards.md#minting-and-ledger",
        variables=(chosen("commune", "Commune", queries.COMMUNES, is_many=False),),
        rows=(
            ("In the time shown, and now", _now()),
            ("Credits", _credits()),
            ("Money", _money()),
            ("Claims withheld", _withheld()),
            ("The log and its witnesses", [*_log(), *_log_over_time()]),
        ),
    )


def _now() -> list[panels.Panel]:
    return [
        number(
            "Credits minted",
            "Credits that came into being in the time shown, the association's share among them. A credit is a "
            "kilowatt-hour of local renewable energy at par.",
            ask(queries.MINTED),
            unit=look.CREDITS,
            calc="sum",
            steps=look.only(look.SHARED),
            decimals=1,
            empty="nothing was minted",
        ),
        number(
            "Energy behind them",
            "Verified energy that these credits stand for.",
            ask(queries.MINTED_WH),
            unit=look.WATT_HOURS,
            steps=look.only(look.SUN),
            empty="nothing was minted",
        ),
        number(
            "In circulation",
            "Credits issued and not taken back: what all accounts hold together.",
            ask(queries.OUTSTANDING),
            unit=look.CREDITS,
            decimals=1,
            empty=NO_SAMPLE,
        ),
        number(
            "Covered",
            "What stands behind the money in circulation, minted kilowatt-hours at par, as a share of it. Below "
            "100 % more was issued than energy stands for.",
            ask(queries.COVERAGE),
            unit=look.SHARE,
            steps=look.COVERED,
            empty=NO_SAMPLE,
        ),
        number(
            "Velocity",
            "How often a credit changed hands in 30 days. Below 0.1 people hoard it.",
            ask(queries.VELOCITY),
            unit="none",
            steps=look.VELOCITY,
            decimals=2,
            empty=NO_SAMPLE,
        ),
        number(
            "Head of the log",
            "How long ago the signed head of the log was published. It is published when there is something new; "
            "red after a day.",
            ask(queries.CHECKPOINT_AGE_S),
            unit=look.SECONDS,
            steps=look.up_to(28_800, 93_600),
            empty=NO_SAMPLE,
        ),
    ]


def _credits() -> list[panels.Panel]:
    return [
        trend(
            "Minted by source",
            "Credits of each day, by what they are for: *production*, *matched* (used while a neighbour produced), "
            "*shifting*, *savings*, *heat*. With the association's share.",
            ask(queries.MINTED_BY_SOURCE, "$tag_source"),
            unit=look.CREDITS,
            colors=look.SOURCES,
            is_bars=True,
            is_stacked=True,
            step="1d",
            empty="nothing was minted",
        ),
        trend(
            "Minted by version of the policy",
            "The same credits, by the rules that valued them. A change of colour is a policy that came into force.",
            ask(queries.MINTED_BY_POLICY, "$tag_policy"),
            unit=look.CREDITS,
            is_bars=True,
            is_stacked=True,
            step="1d",
            empty="nothing was minted",
        ),
        rows(
            "Sources and policies",
            "Sums over the time shown: energy, credits to accounts, the association's share, mints, and the most "
            "homes behind a window.",
            ask(queries.SOURCES_TABLE, as_table=True),
            unit=look.COUNT,
            names={
                "source": "Source",
                "policy": "Policy",
                "energy_wh": "Energy",
                "amount": "To accounts",
                "association": "Association",
                "mints": "Mints",
                "sites": "Homes",
            },
            units={"Energy": look.WATT_HOURS, "To accounts": look.CREDITS, "Association": look.CREDITS},
            sort_by="Energy",
            span=14,
            height=7,
            empty="nothing was minted, or fewer than 10 homes stood behind it",
        ),
        levels(
            "Energy by origin",
            "Verified energy behind the credits minted in the time shown, by source.",
            ask(queries.MINTED_WH_BY_SOURCE, "$tag_source"),
            unit=look.WATT_HOURS,
            steps=look.only(look.SUN),
            span=6,
            height=7,
            empty="nothing was minted",
        ),
        number(
            "Association's share",
            "Credits that went to the association that runs the scheme, in the time shown.",
            ask(queries.ASSOCIATION),
            unit=look.CREDITS,
            span=4,
            height=7,
            decimals=1,
            empty="nothing was minted",
        ),
    ]


def _money() -> list[panels.Panel]:
    return [
        trend(
            "In circulation and covered",
            "By unit: what was issued and not taken back, and what stands behind it (energy: minted kilowatt-hours "
            "at par; euro: the reserve).",
            ask(queries.OUTSTANDING_BY_UNIT, "$tag_unit in circulation"),
            ask(queries.COVERED_BY_UNIT, "$tag_unit covered"),
            unit=look.CREDITS,
            colors={"energy in circulation": look.SHARED, "energy covered": look.SUN},
            dashed=["energy covered"],
            span=8,
            empty=NO_SAMPLE,
        ),
        trend(
            "Coverage",
            "What stands behind each unit as a share of what is in circulation. The dashed line is the least that "
            "the policy in force wants.",
            ask(queries.COVERAGE_BY_UNIT, "$tag_unit"),
            ask(queries.COVERAGE_LEAST, "at least"),
            unit=look.SHARE,
            colors={"at least": look.ACT},
            dashed=["at least"],
            span=8,
            empty=NO_SAMPLE,
        ),
        trend(
            "Spent in 30 days",
            "What left accounts in the 30 days before, by unit.",
            ask(queries.TURNOVER_STEP, "$tag_unit"),
            unit=look.CREDITS,
            colors={"energy": look.SHARED},
            span=4,
            empty=NO_SAMPLE,
        ),
        trend(
            "Velocity over time",
            "How often a credit changed hands in the 30 days before: spent / in circulation. The dashed line is the "
            "least that the policy in force wants.",
            ask(queries.VELOCITY_BY_UNIT, "$tag_unit"),
            ask(queries.VELOCITY_LEAST, "at least"),
            unit="none",
            colors={"energy": look.SHARED, "at least": look.ACT},
            dashed=["at least"],
            span=4,
            empty=NO_SAMPLE,
        ),
    ]


def _withheld() -> list[panels.Panel]:
    return [
        number(
            "Spans held",
            "Spans of meters that wait for a steward, because what they say cannot be, or needs a second look.",
            ask(queries.HELD_NOW),
            unit=look.COUNT,
            steps=look.up_to(1, 50),
            span=4,
            height=7,
            empty=NO_SAMPLE,
        ),
        levels(
            "Held now, by reason",
            "What `commonwatt holds list` shows, counted.",
            ask(queries.HELD_BY_REASON, "$tag_reason"),
            unit=look.COUNT,
            steps=look.SOME_IS_ODD,
            span=6,
            height=7,
            empty="nothing is held",
        ),
        levels(
            "Energy held, by reason",
            "Energy that is not credited until a steward has looked. Released, it is credited as if it had come "
            "that day.",
            ask(queries.HELD_WH_BY_REASON, "$tag_reason"),
            unit=look.WATT_HOURS,
            steps=look.only(look.WATCH),
            span=6,
            height=7,
            empty="nothing is held",
        ),
        trend(
            "Held over time",
            "Spans that waited for a steward, by reason. It should come down after each meeting.",
            ask(queries.HELD_STEP, "$tag_reason"),
            unit=look.COUNT,
            is_bars=True,
            is_stacked=True,
            span=8,
            height=7,
            empty="nothing was held",
        ),
    ]


def _log() -> list[panels.Panel]:
    return [
        number(
            "Entries",
            "Entries of the ledger since it was founded. Nothing is ever taken out.",
            ask(queries.LOG_ENTRIES),
            unit=look.COUNT,
            span=4,
            height=4,
            empty=NO_SAMPLE,
        ),
        number(
            "Not yet published",
            "Entries that the published, signed head does not cover yet. More than a minute of them is an alert.",
            ask(queries.UNPUBLISHED),
            unit=look.COUNT,
            steps=look.SOME_IS_ODD,
            span=4,
            height=4,
            empty=NO_SAMPLE,
        ),
        number(
            "Waiting for the ledger",
            "Mint-runs that are settled and not yet in the log.",
            ask(queries.OUTBOX_RUNS),
            unit=look.COUNT,
            steps=look.up_to(2, 10),
            span=4,
            height=4,
            empty=NO_SAMPLE,
        ),
        levels(
            "Witnesses",
            "Entries of the published head that each witness has not cosigned. 0 is what it should be; a day's "
            "worth is an alert.",
            ask(queries.WITNESS_BEHIND, "$tag_witness"),
            unit=look.COUNT,
            steps=look.up_to(1, 100),
            span=12,
            height=4,
            empty="this commune has no witnesses",
        ),
    ]


def _log_over_time() -> list[panels.Panel]:
    return [
        trend(
            "Log and published head",
            "Entries of the log, and entries that the published head covers. The two lines lie on each other.",
            ask(queries.LOG_STEP, "log"),
            ask(queries.CHECKPOINT_STEP, "published head"),
            unit=look.COUNT,
            colors={"log": look.USE, "published head": look.SHARED},
            dashed=["published head"],
            from_zero=False,
            span=8,
            height=7,
            empty=NO_SAMPLE,
        ),
        trend(
            "Age of the published head",
            "A saw-tooth: it is signed anew whenever there are new entries. Red after a day and two hours.",
            ask(queries.CHECKPOINT_AGE_STEP_S, "age"),
            unit=look.SECONDS,
            colors={"age": look.USE},
            steps=look.up_to(28_800, 93_600),
            span=4,
            height=7,
            empty=NO_SAMPLE,
        ),
        trend(
            "Runs that wait",
            "Mint-runs that wait for the ledger. A spike at the end of a window is normal.",
            ask(queries.OUTBOX_STEP, "waiting"),
            unit=look.COUNT,
            colors={"waiting": look.WATCH},
            span=4,
            height=7,
            empty=NO_SAMPLE,
        ),
        trend(
            "Witnesses behind",
            "Entries that each witness has not cosigned, over time.",
            ask(queries.WITNESS_BEHIND_STEP, "$tag_witness"),
            unit=look.COUNT,
            span=4,
            height=7,
            empty="this commune has no witnesses",
        ),
        trend(
            "Since each witness signed",
            "How long ago each witness cosigned a head.",
            ask(queries.WITNESS_AGE_STEP_S, "$tag_witness"),
            unit=look.SECONDS,
            span=4,
            height=7,
            empty="this commune has no witnesses",
        ),
    ]
