"""Registers that run over or are replaced, meters that are exchanged: no watt-hour twice, none unseen."""

from dataclasses import replace

import pytest

from aggregator.report import report
from aggregator.testing import TIME_S, MeterStandIn, ident, key
from commonwatt.block import FLAG_REGISTER_REPLACED, link
from commonwatt.quantities import EXPORT, IMPORT
from commonwatt.refusal import Hold
from ledger import testing as ledger_testing

HOUR_S = TIME_S + 3600


def hold_of(name: str, quarter: int) -> str:
    """How a steward names the hold of a quarter hour."""
    return f"{ident(name).hex()[:8]}@{TIME_S + 900 * quarter}"


def sign_replaced(meter: MeterStandIn, start_s: int, rows) -> bytes:
    """The next block, which says that the register was replaced before it."""
    signed = replace(meter.draft(start_s, rows), flags=FLAG_REGISTER_REPLACED).sign(key(meter.name))
    meter.seq, meter.prev = meter.seq + 1, link(signed)
    return signed


def energy_of(works, name: str) -> int:
    """What people are told a meter measured so far."""
    state = report(works.database, works.ledger, works.intake.directory, civil_s=0)
    return state["energy_wh"][ident(name).hex()]


def test_a_register_that_is_replaced_leaves_a_gap_that_waits(make_works):
    """2,000 Wh stand on the new register: nobody made them. A steward says what the old display showed."""
    works = make_works()
    roof = works.meters["sun-roof"]
    works.clock.civil_s = TIME_S + 3600
    works.deliver(
        roof.sign(TIME_S, [(100,), (200,)]),
        sign_replaced(roof, TIME_S + 1800, [(2000,), (2150,)]),
    )
    works.close_until(HOUR_S)
    assert works.rows("SELECT start_s, end_s, reason, energy_wh FROM held") == [
        (TIME_S + 900, TIME_S + 1800, Hold.REPLACED, 0)
    ]
    assert [claim[1:6] for claim in works.claims()] == [(0, 1, 1, 0, 100), (2, 1, 1, 0, 150)]
    assert energy_of(works, "sun-roof") == 250
    again = make_works.reviewed(
        works, "release", hold_of("sun-roof", 1), "--wh", "120", "--reason", "from the old display"
    )
    again.close_until(TIME_S + 2 * 3600)
    assert [claim[1:6] for claim in again.claims() if claim[4] == 2] == [(1, 1, 1, 2, 120)]
    assert again.judged() == []


def test_a_register_that_wraps_counts_on_once_its_width_is_declared(make_works):
    """Six digits of Wh: held as backwards until a steward has said where they end, paid from then on."""
    works = make_works()
    roof = works.meters["sun-roof"]
    works.clock.civil_s = TIME_S + 3600
    works.deliver(roof.sign(TIME_S, [(999_900,), (50,)][:1]), roof.sign(TIME_S + 900, [(50,)]))
    works.close_until(HOUR_S)
    assert works.rows("SELECT reason FROM held") == [(Hold.BACKWARDS,)]
    device = ident("sun-roof").hex()
    again = make_works.reviewed(works, "wraps", device, "1000000", "--reason", "six digits, data sheet page 4")
    again.clock.civil_s = TIME_S + 2 * 3600
    again.deliver(roof.sign(TIME_S + 1800, [(999_999,)]), roof.sign(TIME_S + 2700, [(99,)]))
    again.close_until(TIME_S + 2 * 3600)
    assert [claim[1:6] for claim in again.claims()] == [(2, 1, 1, 1, 100)]  # 999,949 Wh in one quarter hour are not
    again.deliver(roof.sign(TIME_S + 3600, [(199,)]))
    again.close_until(TIME_S + 3 * 3600)
    held = again.rows("SELECT start_s, reason FROM held ORDER BY start_s")
    assert [((start_s - TIME_S) // 900, Hold(reason)) for start_s, reason in held] == [
        (0, Hold.BACKWARDS),
        (1, Hold.ABOVE_RATING),
    ]
    assert [claim[1:6] for claim in again.claims()] == [(2, 1, 1, 1, 100), (3, 1, 1, 1, 100)]
    assert again.judged() == []


@pytest.mark.parametrize(
    "words",
    [
        ("wraps", "00", "1000", "--reason", "short"),
        ("wraps", "zz" * 16, "1000", "--reason", "no hex"),
        ("wraps", "00" * 16, "1000", "--reason", "nobody"),
        ("wraps", "00" * 16, "1000", "--reason", " "),
        ("wraps", "00" * 16, "1000", "--reason", "x" * 2000),
    ],
)
def test_a_declaration_that_cannot_be(make_works, words):
    """What is wrong is said, and the log stays as it is."""
    works = make_works()
    size = works.ledger.size
    with pytest.raises(AssertionError, match=r"UserError|device|reason"):
        make_works.reviewed(works, *words)
    assert make_works.reopen(works).ledger.size == size


def test_a_meter_that_is_exchanged_keeps_the_account(make_works):
    """Ana's meter goes after half an hour, its successor comes at once with another register: both earn for Ana,
    and the quarter of an hour between their readings for nobody."""
    works = make_works()
    works.ledger.submit([ledger_testing.device("ana-second", "ana's")])
    works.ledger.publish()
    again = make_works.reopen(works)
    second = MeterStandIn("ana-second", (IMPORT.number, EXPORT.number))
    again.meters["ana-second"] = second
    again.clock.civil_s = TIME_S + 3600
    again.deliver(
        *again.meters["sun-main"].sign_each(TIME_S, [(0, 300 * at) for at in range(5)]),
        *again.meters["ana-main"].sign_each(TIME_S, [(5000, 0), (5100, 0), (5200, 0)]),
        *second.sign_each(TIME_S + 2700, [(7, 0), (87, 0)]),
    )
    again.close_until(HOUR_S)
    assert again.claims() == [
        ("ana-main", 0, 1, 2, 0, 100, 20),
        ("ana-main", 1, 1, 2, 0, 100, 20),
        ("ana-second", 3, 1, 2, 0, 80, 16),
    ]
    assert again.balances()["ana"] == 51
    assert again.judged() == []


def test_a_source_that_is_read_once_an_hour_is_a_gap(works):
    """Its energy counts once, as far as every quarter hour of the span had some left."""
    meters = works.meters
    works.clock.civil_s = TIME_S + 3600
    works.deliver(
        *meters["sun-main"].sign_each(TIME_S, [(0, 0), (0, 300), (0, 500), (0, 900), (0, 1000)]),
        meters["ana-main"].sign(TIME_S, [(0, 0)]),
        meters["ana-main"].sign(HOUR_S, [(800, 0)]),
    )
    works.close_until(HOUR_S)
    assert works.claims() == [("ana-main", 0, 4, 2, 1, 100, 20)]
    assert works.judged() == []


def test_a_release_that_is_corrected(make_works):
    """3,000 Wh were held; the steward found 2,000. The judge finds the same."""
    works = make_works()
    roof = works.meters["sun-roof"]
    works.clock.civil_s = HOUR_S
    works.deliver(*roof.sign_each(TIME_S, [(0,), (3000,), (3100,), (3200,), (3300,)]))
    works.close_until(HOUR_S)
    again = make_works.reviewed(
        works, "release", hold_of("sun-roof", 0), "--wh", "2000", "--reason", "a wrong pulse constant"
    )
    again.close_until(TIME_S + 2 * 3600)
    assert [claim for claim in again.claims() if claim[4] == 2] == [("sun-roof", 0, 1, 1, 2, 2000, 1600)]
    assert again.judged() == []
