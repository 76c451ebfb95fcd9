"""The judge's own values and savings against the aggregator's, by chance: two readings of one rule."""

import random
from datetime import date

import pytest

from aggregator.earning.local_time import start_of
from aggregator.earning.worth import ClaimColumns, worth
from aggregator.policy.rules import DEFAULT_FILE, Policy
from aggregator.savings.measure import measure
from aggregator.savings.measure import released_wh as released_by_the_aggregator
from aggregator.savings.terms import Terms
from bench.savings import homes
from commonwatt.demo.judge import worth as judges
from commonwatt.demo.judge.book import Book, PolicyEntry
from commonwatt.demo.judge.policies import read_policies
from commonwatt.demo.judge.report import Findings
from commonwatt.demo.judge.saved import Saved, released_wh, saved
from commonwatt.demo.judge.settle import Claim

BASELINE = 28
HOUR_S = 3600
ODD_DAYS = (date(2024, 2, 29), date(2024, 3, 31), date(2024, 7, 15), date(2024, 10, 27), date(2024, 12, 31))


def policy_by_chance(dice: random.Random) -> str:
    """Two sources with everything that a source may say."""

    def source(name: str, rate: int) -> str:
        lines = [f"[{name}]", f"rate_mc_per_kwh = {rate}"]
        lines += [
            f"cap_mc_per_{span} = {dice.randrange(1, most)}"
            for span, most in (("window", 900), ("day", 3000), ("month", 6000))
            if dice.random() < 0.5
        ]
        lines.append(f"grade_permille = {{ device = {dice.randrange(1001)}, gateway = {dice.randrange(1001)} }}")
        for _ in range(dice.randrange(3)):
            begin, end = dice.sample(range(96), 2)
            hours = f'hours = "{begin // 4:02}:{begin % 4 * 15:02}-{end // 4:02}:{end % 4 * 15:02}"'
            days = dice.choice(['weekdays = "fri-mon"', 'weekdays = "tue, sat-sun"', 'months = "nov-mar"', ""])
            lines += [f"[[{name}.time]]", hours, days, f"rate_mc_per_kwh = {dice.randrange(rate + 1)}"]
        return "\n".join(lines) + "\n"

    zone = dice.choice(["Europe/Paris", "Australia/Lord_Howe", "America/Martinique"])
    head = f'version = 1\nname = "chance"\ngrace_s = 0\nwindow_s = {dice.choice([900, 3600, 21_600])}\n'
    return head + f'share_permille = 0\ntimezone = "{zone}"\n' + source("production", 700) + source("matched", 300)


@pytest.mark.parametrize("seed", range(40))
def test_worth_when_the_policy_is_rich(seed: int) -> None:
    """Times, grades and caps by window, day and month, over leap days and changed clocks, to the milli-credit."""
    dice = random.Random(seed)
    text = policy_by_chance(dice)
    rules = Policy.parse(text, where=f"seed {seed}").rules
    day_s = start_of(dice.choice(ODD_DAYS), rules.zone)
    rows = []
    for _ in range(150):
        start_s = day_s - 86_400 + 900 * dice.randrange(3 * 96)
        end_s = start_s + 900 * dice.choice([1, 1, 1, 2, 9])
        who = (dice.randrange(3), dice.choice([1, 2]))
        rows.append((*who, start_s, end_s, dice.randrange(2000), dice.choice([1, 2])))
    # Devices by rank, so that every claim has its own place in the order.
    rows.sort(key=lambda row: row[2])
    columns = ClaimColumns.of((*row, row[3] + 900 * late) for row, late in ((row, row[4] % 3) for row in rows))
    found = worth(columns, rules).amounts_mc.tolist()
    findings = Findings()
    policies = read_policies(Book(policies=[PolicyEntry(0, 0, b"", text)]), [], findings)
    claims = [
        Claim(
            *(place.to_bytes(16, "big"), start_s, end_s, source, 0, energy_wh, 0),
            *(bytes([account]), end_s + 900 * (energy_wh % 3), b"", grade),
        )
        for place, (account, source, start_s, end_s, energy_wh, grade) in enumerate(rows)
    ]
    judged = {claim.device: claim.amount_mc for claim in judges.worth(claims, policies)}
    assert findings.differences == []
    assert [judged[place.to_bytes(16, "big")] for place in range(len(rows))] == found


def test_judge_when_a_policy_says_what_it_does_not_know() -> None:
    """A rule that was invented after the judge is a difference: nothing it did was judged."""
    text = DEFAULT_FILE.read_text() + "\n[wind]\nrate_mc_per_kwh = 5\n"
    findings = Findings()
    text = text.replace("[matched]", "[matched]\nbonus = 1")
    read_policies(Book(policies=[PolicyEntry(7, 0, b"", text)]), [], findings)
    (difference,) = map(str, findings.differences)
    assert "policy at 7 that the judge cannot judge: expected [], found ['matched.bonus', 'wind']" in difference


@pytest.mark.parametrize("seed", range(6))
def test_savings_when_forty_real_homes_are_measured(seed: int) -> None:
    """Some save, some days are missing, some homes are odd: the same reasons and the same watt-hours."""
    dice = random.Random(seed)
    record = homes.read()
    days: dict[bytes, list[int | None]] = {site: list(values) for site, values in record.homes.items()}
    taking = set(dice.sample(sorted(days), 12))
    for site in sorted(days):
        for at in dice.sample(range(len(days[site])), dice.choice([0, 0, 1, 3, 9])):
            days[site][at] = None
        if site in taking:
            share = dice.choice([700, 900, 1000, 1200])
            days[site] = [
                wh if wh is None or at < BASELINE else wh * share // 1000 for at, wh in enumerate(days[site])
            ]
    days[min(taking)] = [3] * len(record.outdoor_dc)
    days[max(taking)] = [*record.homes[max(taking)][:30], -200, *record.homes[max(taking)][31:]]
    terms = Terms(confidence_permille=dice.choice([850, 900]), like_homes=dice.choice([5, 15]))
    found = measure(days, frozenset(taking), [0] * len(record.outdoor_dc), BASELINE, terms)
    table = {"confidence_permille": terms.confidence_permille, "like_homes": terms.like_homes}
    judged = saved(days, taking, BASELINE, table)
    assert judged == {
        site: Saved(int(row.reason or 0), row.expected_wh, row.used_wh, row.credited_wh, row.held_wh)
        for site, row in found.items()
    }
    assert {row.reason for row in judged.values()} >= {0, 2, 3}
    for site, row in judged.items():
        assert released_wh(70, 30, row) == released_by_the_aggregator(70, 30, found[site])


def test_savings_when_there_are_too_few_to_compare() -> None:
    """Nine others are not enough, for either reader."""
    days = {site: list(values) for site, values in list(homes.read().homes.items())[:10]}
    first = min(days)
    found = measure(days, frozenset({first}), [0] * 49, BASELINE, Terms())[first]
    assert saved(days, {first}, BASELINE, {})[first] == Saved(int(found.reason or 0))
