"""Books by rich policies, made by the real stages: the demo's judge comes to every milli-credit by itself."""

import random
from datetime import date, timedelta

import pytest

from aggregator.earning import weather_rows
from aggregator.earning.local_time import start_of
from aggregator.earning.proofs import Proofs
from aggregator.evidence import store
from aggregator.policy.rules import Policy
from aggregator.statements.statement import EVERYBODY, Statement, Topic, reason_of
from aggregator.testing import GENESIS, RATED_POWER_W, TIME_S, MeterStandIn, ident, key
from commonwatt.quantities import EXPORT, HEAT
from commonwatt.registry import Status
from commonwatt.testing_pages import rows_of
from ledger import testing as book
from ledger.book.body import AdmitDevice, SetStatus
from ledger.book.kinds import DeviceRole, Grade, Subject
from ledger.sequencer import Placed

HOUR_S, DAY_S = 3600, 86_400
HEAD = 'version = 1\nname = "rich"\ngrace_s = 3600\nwindow_s = 21600\nshare_permille = 100\n'
RICH = """
[production]
rate_mc_per_kwh = 700
share_permille = 50
cap_mc_per_day = 9000
grade_permille = { device = 1000, gateway = 900 }
[[production.time]]
hours = "11:00-16:00"
weekdays = "mon-fri"
months = "apr-sep"
rate_mc_per_kwh = 500

[matched]
rate_mc_per_kwh = 300
cap_mc_per_window = 400
cap_mc_per_month = 3500
[[matched.time]]
hours = "22:00-06:00"
rate_mc_per_kwh = 100

[heat]
rate_mc_per_kwh = 100
cap_mc_per_day = 4000

[shifting]
rate_mc_per_kwh = 500
days = 4
sure_permille = 1000

[declared.time]
unit = "h"
rate_mc_per_unit = 10000
cap_mc_per_month = 20000
"""
SAVINGS = """
[savings]
rate_mc_per_kwh = 300
period_days = 7
true_up_periods = 2
measure = { days_present_permille = 850 }
station = "07299"
weather_days = 2
"""


def stated(statement: Statement, by: str, about: Subject, subject: bytes, time_s: int = TIME_S) -> bytes:
    body = SetStatus(about, subject, Status.ACTIVE, reason_of(statement.sign(key(by), GENESIS)))
    return book.signed(body, "steward", time_s=time_s)


def further() -> list[bytes]:
    """A heat meter, a roof that a gateway reads, a peak on Friday evening, and an hour's help that Ben has seen."""
    ends_s = TIME_S + 4 * DAY_S + 18 * HOUR_S
    peak = Statement(Topic.REQUEST, "peak", EVERYBODY, ends_s - 2 * HOUR_S, ends_s)
    late = Statement(Topic.REQUEST, "surplus", EVERYBODY, TIME_S + HOUR_S, TIME_S + 2 * HOUR_S)
    helped = Statement(Topic.VALUE, "time", ident("ana"), TIME_S - DAY_S, TIME_S, 2500, b"\x05" * 32)
    by_gateway = AdmitDevice(
        *(ident("ben-roof"), ident("ben's"), key("ben-roof").public_key),
        *(DeviceRole.PRODUCTION, RATED_POWER_W, Grade.GATEWAY),
    )
    return [
        book.device("ana-heat", "ana's", DeviceRole.PRODUCTION),
        book.signed(by_gateway, "steward"),
        *(stated(row, "operator", Subject.ASSOCIATION, ident("association")) for row in (peak, late)),
        *(stated(helped, name, Subject.MEMBER, ident("ana")) for name in ("ana", "ben")),
    ]


def growths(name: str, at: int, dice: random.Random) -> tuple[int, ...]:
    """Of one quarter hour. Ana uses nothing during Friday's peak; roofs make something from 8 to 16 UTC."""
    hour = at // 4 % 24
    if name.endswith("roof"):
        return (dice.randrange(300, 900) if 8 <= hour < 16 else 0,)
    if name.endswith("heat"):
        return (dice.randrange(2000),)
    fed = dice.randrange(200, 600) if name == "sun-main" and 8 <= hour < 16 else 0
    drawn = 0 if name == "ana-main" and 4 * 96 + 64 <= at < 4 * 96 + 72 else dice.randrange(100, 140)
    return (0 if fed else drawn, fed)


@pytest.fixture
def rich(make_works):
    """Five days of the quarter by a rich policy, a block every six hours, some lost, some hours late."""
    works = make_works(policy=Policy.parse(HEAD + RICH, where="rich"))
    assert all(isinstance(answer, Placed) for answer in works.ledger.submit(further()))
    works.ledger.publish()
    works = make_works.reopen(works)
    works.meters["ana-heat"] = MeterStandIn("ana-heat", (HEAT.number,))
    works.meters["ben-roof"] = MeterStandIn("ben-roof", (EXPORT.number,))
    dice, late = random.Random(5), []
    registers = {name: (0,) * len(meter.quantities) for name, meter in works.meters.items()}
    for first in range(0, 5 * 96, 24):
        blocks = []
        for name, meter in works.meters.items():
            if name == "ana-plug":
                continue
            rows = [registers[name]]
            for at in range(first, first + 24):
                growth = growths(name, at, dice)
                rows.append(tuple(wh + more for wh, more in zip(rows[-1], growth, strict=True)))
            registers[name] = rows[-1]
            signed = meter.sign(TIME_S + 900 * first, rows)
            (late if dice.random() < 0.05 else blocks).append(signed)
        works.clock.civil_s = TIME_S + 900 * (first + 24)
        works.deliver(*blocks)
        if late and first > 96:
            works.deliver(late.pop())
        works.close_until(TIME_S + 900 * (first + 24) - 3 * HOUR_S)
    for block in late:
        works.deliver(block)
    works.close_until(TIME_S + 5 * DAY_S + 6 * HOUR_S)
    return works


def paid_mc(works) -> dict[int, int]:
    """By source, before the association's shares."""
    sums: dict[int, int] = {}
    for (data,) in works.rows("SELECT columns FROM line_page"):
        for line in rows_of(data):
            sums[line["source"]] = sums.get(line["source"], 0) + line["amount_mc"]
    return sums


def test_judge_when_a_policy_has_five_sources(rich):
    """Every source has paid something, caps have cut, an event was told, and the judge has nothing against it."""
    assert rich.judged() == []
    sums = paid_mc(rich)
    assert sums.keys() == {1, 2, 4, 5, 6}
    assert sums[6] == 20_000  # two and a half hours, and the month's cap
    told = rich.rows("SELECT source, reason FROM told")
    assert (4, 1) in told
    assert (4, 0) in told
    with rich.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE told SET credited_wh = credited_wh + 1 WHERE reason = 0")
    assert any("answer of source 4" in text for text in rich.judged())


def test_saving_when_no_block_reaches_the_end_of_its_period(works):
    """Its line stands by the last block there is: nothing that was not measured stops a window."""
    first, second = [works.meters["ana-main"].sign(TIME_S + 2700 * at, [(0, 0)] * 4) for at in range(2)]
    works.clock.civil_s = TIME_S + 5400
    works.deliver(first, second)
    with works.database.transaction() as connection:
        span = (ident("ana-main"), TIME_S, TIME_S + DAY_S)
        proofs = Proofs(connection, *span, evidence_id_max=store.last_id(connection))
        kept = {block.seq: block.sha256 for block in store.all_blocks(connection)}
        assert proofs.of(TIME_S + DAY_S) == proofs.of(TIME_S + 5400) == kept[1]
        assert proofs.of(TIME_S + 2700) == proofs.of(TIME_S + 900) == kept[0]


@pytest.mark.soak
def test_judge_when_homes_saved(found_town, tmp_path):
    """Six weeks of thirteen homes, of whom two take part: two periods and the true-up, to the watt-hour."""
    names = [f"home{number:02}" for number in range(13)]
    policy = Policy.parse(HEAD.replace("21600", "86400") + RICH + SAVINGS, where="savings")
    joined_s = start_of(date(2024, 8, 13), policy.rules.zone)
    join = [
        stated(Statement(Topic.PART, "join", site, joined_s, joined_s + 1), "steward", Subject.SITE, site)
        for site in (ident(f"{name}'s") for name in names[:2])
    ]
    works = found_town(tmp_path, names, policy=policy, entries=join)
    known = [date(2024, 7, 15) + timedelta(days=number) for number in range(60)]
    weather_rows.add(works.database, "07299", {day: 180 + day.day for day in known})
    dice = random.Random(2)
    registers = dict.fromkeys(names, 0)
    days = 45
    for day in range(days):
        course = dice.uniform(0.8, 1.2)
        blocks = []
        for number, name in enumerate(names):
            rows = [(registers[name], 0)]
            saves = 0.75 if number < 2 and TIME_S + DAY_S * day >= joined_s else 1
            for _ in range(96):
                registers[name] += round(dice.uniform(90, 110) * course * saves)
                rows.append((registers[name], 0))
            signed = works.meters[f"{name}-main"].sign(TIME_S + DAY_S * day, rows)
            blocks += [] if (number, day) == (0, 35) else [signed]  # the last day of a period is lost
        works.clock.civil_s = TIME_S + DAY_S * (day + 1)
        works.deliver(*blocks)
        works.close_until(TIME_S + DAY_S * day)
    works.close_until(TIME_S + DAY_S * days)
    assert works.judged() == []
    told = works.rows("SELECT revision, reason, credited_wh FROM told WHERE source = 3")
    assert sorted(revision for revision, _reason, _wh in told) == [0, 0, 0, 0, 1, 1]
    assert sum(wh for _revision, _reason, wh in told) > 0
    assert paid_mc(works)[3] > 0
    works.database.close()
    works.ledger.close()
