"""Comparing policies and trying one on what was measured: the same numbers as minting, and commands that say so."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from aggregator import schema, settings, sql
from aggregator.earning.worth import ClaimColumns
from aggregator.minting import valuation
from aggregator.minting.valuation import Valued
from aggregator.policy import diff
from aggregator.policy.cli import app
from aggregator.policy.explain import explain
from aggregator.policy.replay import Measured, replay
from aggregator.policy.rules import DEFAULT_FILE, Policy
from aggregator.settling.interval import Claim, Source
from commonwatt.errors import UserError
from commonwatt.testing_pages import page_of
from commonwatt.units import INTERVAL_S
from ledger.book.kinds import Grade

TEXT = DEFAULT_FILE.read_text()
DAY_S = 86_400
FIRST_S = 1_721_001_600
ANA, BEN = bytes([1]) * 16, bytes([2]) * 16

BEFORE = Policy.parse(TEXT, where="before")
DEARER_ROOFS = TEXT.replace("version = 1", "version = 2").replace("= 800", "= 600").replace("= 200", "= 400")
AFTER = Policy.parse(DEARER_ROOFS, where="after")


def settled(account: bytes, source: Source, energy_wh: int, interval: int = 0) -> Claim:
    start_s = FIRST_S + INTERVAL_S * interval
    return Claim(account, start_s, start_s + INTERVAL_S, source, 0, energy_wh, account, 1)


def measured(claims: list[Claim], grade: Grade = Grade.DEVICE) -> Measured:
    """Claims that were settled as their intervals closed."""
    accounts = sorted({claim.account for claim in claims})
    ordered = sorted(claims, key=lambda claim: (claim.start_s, claim.device))
    rows = (
        *((accounts.index(c.account), c.source, c.start_s, c.end_s, c.energy_wh, grade, c.end_s) for c in ordered),
    )
    return Measured(tuple(accounts), ClaimColumns.of(rows))


def test_diff_when_rates_change():
    """One line a rule, what it was and what it becomes."""
    assert [(change.before, change.after) for change in diff.changes(BEFORE, AFTER)] == [
        ("1", "2"),
        ("0.800", "0.600"),
        ("0.200", "0.400"),
    ]
    assert diff.problem(BEFORE, AFTER) is None


def test_diff_when_only_a_comment_changes():
    """No rule differs, and yet it is another text with the same version."""
    same = Policy.parse(TEXT + "\n# read aloud\n", where="same")
    assert diff.changes(BEFORE, same) == []
    assert "version" in (diff.problem(BEFORE, same) or "")
    assert diff.problem(BEFORE, BEFORE) is not None


def test_replay_when_roofs_earn_less():
    """The roof's owner loses, the neighbour wins, by hand: 10 kWh made, 6 of it used next door, a tenth shared."""
    claims = [settled(ANA, Source.PRODUCTION, 10_000), settled(BEN, Source.MATCHED, 6_000)]
    outcome = replay((measured(claims), BEFORE.rules), (measured(claims), AFTER.rules))
    assert outcome.before_mc == {ANA: 7200, BEN: 1080}
    assert outcome.after_mc == {ANA: 5400, BEN: 2160}
    assert outcome.accounts == [BEN, ANA]
    assert (outcome.association_before_mc, outcome.association_after_mc) == (920, 840)
    assert (outcome.total_before_mc, outcome.total_after_mc) == (9200, 8400)


claims_of_days = st.lists(
    st.builds(
        settled,
        st.sampled_from([ANA, BEN]),
        st.sampled_from(list(Source)),
        st.integers(1, 5000),
        st.integers(0, 96 * 3),
    ),
    max_size=40,
    unique_by=lambda claim: (claim.account, claim.source, claim.start_s),
)


@given(claims_of_days)
def test_replay_when_compared_with_minting(claims: list[Claim]):
    """Window by window, source by source: what minting makes is what a replay of the same rules shows."""
    rules = BEFORE.rules
    minted_mc: dict[bytes, int] = {}
    association_mc = 0
    for day in range(5):
        start_s = FIRST_S - FIRST_S % DAY_S + DAY_S * day
        of_day = [claim for claim in claims if start_s < claim.end_s <= start_s + DAY_S]
        valued = [
            Valued(
                *(claim.account, claim.source, claim.device, claim.start_s, claim.end_s),
                *(0, claim.energy_wh, valuation.amount_mc(claim, rules), bytes(32)),
            )
            for claim in of_day
        ]
        mints = valuation.mints_of_window(
            valued, start_s=start_s, end_s=start_s + DAY_S, share_permille_of=rules.share_permille_of, random=bytes
        )
        for item in mints:
            minted_mc[item.mint.account] = minted_mc.get(item.mint.account, 0) + item.mint.amount_mc
            association_mc += item.mint.association_mc
    outcome = replay(*[(measured(claims), rules)] * 2)
    assert outcome.before_mc == outcome.after_mc == {account: mc for account, mc in minted_mc.items() if mc}
    assert outcome.association_before_mc == outcome.association_after_mc == association_mc


@pytest.fixture
def commune(tmp_path: Path, engine: Callable[[Path], None]) -> Path:
    """A directory with a policy and two claims in its database, one of yesterday and one of a month ago."""
    engine(tmp_path)
    (tmp_path / "policy.toml").write_text(TEXT)
    with sql.Database(settings.database_url(tmp_path)) as database, database.transaction() as connection:
        for days, account, source, wh in ((0, ANA, 1, 10_000), (30, BEN, 2, 6_000)):
            end_s = FIRST_S + DAY_S * days
            closing = dict.fromkeys((column.name for column in schema.closing.c), 0)
            connection.execute(sa.insert(schema.closing), closing | {"end_s": end_s})
            number = int(account == BEN)
            names = [
                "device",
                "start_s",
                "end_s",
                "source",
                "revision",
                "energy_wh",
                "amount_mc",
                "account",
                "evidence_id",
            ]
            row = (number, end_s - INTERVAL_S, end_s, source, 0, wh, 0, number, 1)
            connection.execute(sa.insert(schema.number), {"number": number, "id": account})
            page = {"closing_s": end_s, "part": 0, "columns": page_of(names, [row])}
            connection.execute(sa.insert(schema.claim_page), page)
    return tmp_path


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(done.exception, UserError):
        raise done.exception
    return done.exit_code, done.output


@pytest.mark.engines("sqlite", "postgres")
def test_command_when_a_council_tries_a_policy(commune: Path):
    """Everyone's credits now and then, the association's and the total."""
    proposal = commune / "proposal.toml"
    proposal.write_text(DEARER_ROOFS)
    code, text = run("replay", commune, proposal)
    assert code == 0
    assert [line.split()[-3:] for line in text.splitlines()[2:]] == [
        ["1.080", "2.160", "+1.080"],
        ["7.200", "5.400", "-1.800"],
        ["0.920", "0.840", "-0.080"],
        ["9.200", "8.400", "-0.800"],
    ]


def test_command_when_only_the_last_week_counts(commune: Path):
    """Counted back from the last interval that closed; as JSON for whoever draws it."""
    proposal = commune / "proposal.toml"
    proposal.write_text(DEARER_ROOFS)
    code, text = run("replay", commune, proposal, "--last", "1w", "--json")
    assert code == 0
    assert json.loads(text)["accounts"] == {BEN.hex(): {"before_mc": 1080, "after_mc": 2160}}


@pytest.mark.parametrize("last", ["0d", "90", "d", "3 months", "1.5h"])
def test_command_when_the_span_is_no_span(commune: Path, last: str):
    """What to write instead."""
    with pytest.raises(UserError, match="12h, 90d or 13w"):
        run("replay", commune, DEFAULT_FILE, "--last", last)


def test_command_when_nothing_was_measured(tmp_path: Path):
    """No database, or none that closed an interval."""
    (tmp_path / "policy.toml").write_text(TEXT)
    with pytest.raises(UserError, match="nothing was measured"):
        run("replay", tmp_path, DEFAULT_FILE)
    sql.Database(settings.database_url(tmp_path)).close()
    with pytest.raises(UserError, match="no interval has closed"):
        run("replay", tmp_path, DEFAULT_FILE)


def test_command_when_policies_are_compared(tmp_path: Path):
    """0 when it can be adopted, 1 with the reason when it cannot."""
    proposal = tmp_path / "proposal.toml"
    proposal.write_text(DEARER_ROOFS)
    code, text = run("diff", DEFAULT_FILE, proposal)
    assert code == 0
    assert "0.800 → 0.600" in text
    code, text = run("diff", DEFAULT_FILE, DEFAULT_FILE)
    assert code == 1
    assert "No rule differs." in text


def test_command_when_a_policy_is_checked(tmp_path: Path):
    """The hash by which mint-runs name it."""
    assert run("check", DEFAULT_FILE) == (0, f"{Policy.load(DEFAULT_FILE).sha256.hex()}  {DEFAULT_FILE}\n")


CHARGES = """
[[charge]]
cause = "demurrage"
unit = "mutual"
period_s = 2592000
free_mc = 50000
rate_ppm = 5000

[[charge]]
cause = "levy"
unit = "energy"
period_s = 31536000
amount_mc = 12000

[[charge]]
cause = "expiry"
unit = "energy"
period_s = 63072000
"""


def test_charges_when_a_policy_brings_some():
    """Explained and compared like every other rule."""
    charging = Policy.parse(DEARER_ROOFS + CHARGES, where="charging")
    (*_rates, charges) = diff.changes(BEFORE, charging)
    assert charges.before == "none"
    assert charges.after.split("; ") == [
        "every 30 d, 0.5 % of what an account holds above 50.000 go to the association (mutual)",
        "every 365 d, 12.000 of each account go to the association (energy)",
        "what was not spent for 730 d goes to the association (energy)",
    ]
    assert "Charge: every 30 d" in explain(charging)


def test_replay_when_a_cap_was_used_before_its_start():
    """What the day had taken in by then is not there any more; what was settled before is not counted."""
    text = TEXT.replace("rate_mc_per_kwh = 800", "rate_mc_per_kwh = 800\ncap_mc_per_day = 1000")
    capped = Policy.parse(text, where="capped")
    rows = measured([settled(ANA, Source.PRODUCTION, 1000, at) for at in (8, 9)])
    late = replace(rows, counts_from_s=FIRST_S + INTERVAL_S * 9)
    whole, last = (replay((found, capped.rules), (found, capped.rules)) for found in (rows, late))
    assert whole.total_before_mc == 1000
    assert last.total_before_mc == 200
