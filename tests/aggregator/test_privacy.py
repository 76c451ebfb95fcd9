"""What may be told of a quarter: never a figure from which somebody's own could be read."""

from collections import Counter

import pytest

from aggregator import numbers, schema
from aggregator.commune.places import Places
from aggregator.commune.registry import Directory
from aggregator.minting import run_pages
from aggregator.privacy import public
from aggregator.privacy.rule import SITES_MIN, Withheld, check_earlier, check_total
from aggregator.settling.interval import Meter
from aggregator.sql import Database
from aggregator.telemetry import energies, mints
from aggregator.telemetry.cells import Commune
from aggregator.testing import TIME_S
from commonwatt.testing_pages import page_of
from ledger.book import mint_arrays
from ledger.book.kinds import DeviceRole
from ledger.book.mint import Mint

END_S = TIME_S + 900


def test_total_when_two_make_up_nearly_all():
    """The second largest, who knows its own figure, may not know the largest to within a tenth."""
    assert check_total(1050, 500, sites=12, second=500) is None
    assert check_total(1049, 500, sites=12, second=500) is Withheld.DOMINATED
    assert check_total(1000, 500, sites=12, second=500) is Withheld.DOMINATED
    assert check_total(0, 0, sites=12, second=0) is None


@pytest.mark.parametrize(
    ("total", "largest", "sites", "reason"),
    [
        (1000, 500, SITES_MIN, None),
        (1000, 500, SITES_MIN - 1, Withheld.TOO_FEW_SITES),
        (1000, 501, SITES_MIN, Withheld.DOMINATED),
        (1000, 1000, SITES_MIN - 1, Withheld.TOO_FEW_SITES),
        (1000, None, SITES_MIN, Withheld.NOT_RECORDED),
        (0, 0, SITES_MIN, None),
        (1, 1, SITES_MIN, Withheld.DOMINATED),
    ],
)
def test_total_at_its_limits(total, largest, sites, reason):
    """Ten sites and half the total are told, nine and a watt-hour more are not; the first reason counts."""
    assert check_total(total, largest, sites=sites) is reason


def homes(first: int, end: int) -> frozenset[bytes]:
    return frozenset(bytes([number]) * 16 for number in range(first, end))


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (homes(0, 20), homes(0, 20), None),
        (homes(0, 20), homes(1, 20), Withheld.DIFFERS_BY_FEW),
        (homes(1, 20), homes(0, 20), Withheld.DIFFERS_BY_FEW),
        (homes(0, 20), homes(9, 20), Withheld.DIFFERS_BY_FEW),
        (homes(0, 20), homes(10, 20), None),
        (homes(0, 20), homes(20, 40), None),
        (homes(0, 20), homes(10, 21), None),
        (homes(0, 20), homes(4, 25), Withheld.DIFFERS_BY_FEW),
    ],
)
def test_second_answer_when_it_differs_by_a_few_homes(before, after, reason):
    """Subtracting one total from the other leaves nobody, or at least ten homes, of either sign."""
    assert check_earlier(after, [before]) is reason
    assert check_earlier(after, []) is None


def test_closing_notes_how_much_one_site_stood_for(works):
    """The largest supply and the largest demand of the interval's sites; what comes late does not change them."""
    meters = works.meters
    works.deliver(
        meters["sun-main"].sign(TIME_S, [(0, 0), (0, 300)]),
        meters["ana-main"].sign(TIME_S, [(0, 0), (40, 0)]),
        meters["ben-main"].sign(TIME_S, [(0, 0), (100, 0)]),
    )
    works.close_until(END_S)
    query = "SELECT sites, largest_supply_wh, largest_demand_wh, second_supply_wh, second_demand_wh FROM pool"
    assert works.rows(f"{query} WHERE end_s = {END_S}") == [(3, 300, 100, 0, 40)]


@pytest.mark.parametrize(
    ("supply", "demand", "told"),
    [
        ((100, 50), (200, 100), {"supply_wh", "demand_wh", "matched_wh", "unallocated_wh", "sites"}),
        ((100, 51), (200, 100), {"demand_wh", "sites"}),
        ((100, 50), (200, 101), {"supply_wh", "sites"}),
        ((100, None), (200, 100), {"demand_wh", "sites"}),
        ((100, 51), (200, 101), set()),
    ],
)
def test_interval_when_one_site_dominates(works, supply, demand, told):
    """Its figure is withheld, with what would give it away; the reason is counted."""
    with works.database.transaction() as connection:
        row = {"evidence_id_max": 0, "conflict_id_max": 0, "supply_wh": supply[0], "demand_wh": demand[0]}
        connection.execute(schema.closing.insert(), {"end_s": END_S, "matched_wh": 0, "unallocated_wh": 0, **row})
        behind = {"sites": 12, "largest_supply_wh": supply[1], "largest_demand_wh": demand[1]}
        connection.execute(schema.pool.insert(), {"end_s": END_S, "left_wh": 0, **behind})
        reasons = [reason for total in public.between(connection, TIME_S, END_S) for reason in total.withheld]
        commune = Commune.of(works.intake.directory, Places({}, {}, {}, {}), {}, "demo")
        (interval,) = energies.read(connection, commune, public.since(connection, 0))
        found = [name for cell in energies.tell(commune, interval, Counter()) for name in cell.figures]
    assert set(found) & {*energies.SUMMED, "sites"} == told
    assert len(reasons) == ((supply[1] or 101) * 2 > supply[0]) + (demand[1] * 2 > demand[0])


@pytest.mark.parametrize(("sites", "is_told"), [(SITES_MIN, True), (SITES_MIN - 1, False)])
def test_interval_when_too_few_sites_stand_behind_it(works, sites, is_told):
    """Ten sites make a statistic, nine do not."""
    figures = {"supply_wh": 5, "demand_wh": 9, "matched_wh": 5, "unallocated_wh": 0}
    with works.database.transaction() as connection:
        known = {"evidence_id_max": 0, "conflict_id_max": 0}
        connection.execute(schema.closing.insert(), {"end_s": END_S, **known, **figures})
        behind = {"sites": sites, "largest_supply_wh": 2, "largest_demand_wh": 4}
        connection.execute(schema.pool.insert(), {"end_s": END_S, "left_wh": 0, **behind})
        commune = Commune.of(works.intake.directory, Places({}, {}, {}, {}), {}, "demo")
        (interval,) = energies.read(connection, commune, public.since(connection, 0))
        told = [cell.figures for cell in energies.tell(commune, interval, Counter())]
    assert [{name: row[name] for name in figures} for row in told] == ([figures] if is_told else [])


def directory_of(works, count: int) -> Directory:
    """One roof on each of `count` sites."""
    meters = {
        device: Meter(device, DeviceRole.PRODUCTION, b"site of " + device, device, 9000)
        for device in (bytes([number]) * 16 for number in range(count))
    }
    known = works.intake.directory
    return Directory(known.log_size, known.keys, meters, known.gateways)


def enter_run(
    database: Database,
    name: str,
    place: int | None,
    energies_wh: dict[bytes, int],
    *,
    source: int = 1,
    start_s: int = TIME_S,
    end_s: int = TIME_S + 3600,
) -> None:
    """A mint-run in the log: one leaf and one line for each site's roof, all of one window."""
    run_id = name.encode().ljust(16, b".")
    window = {"window_start_s": start_s, "window_end_s": end_s}
    with database.transaction() as connection:
        run = {"id": run_id, "policy_sha256": bytes(32), "time_s": END_S, "place": place, **window}
        connection.execute(schema.run.insert(), run)
        leaves = [
            Mint(run_id, device, source, start_s, end_s, wh, wh, 0, 1, bytes(32))
            for device, wh in energies_wh.items()
        ]
        run_pages.write(connection, run_id, mint_arrays.from_leaves(leaves))
        known = numbers.of(connection)
        numbered = [(known.of_one(connection, leaf.account), leaf.energy_wh) for leaf in leaves]
        rows = [(number, source, number, wh) for number, wh in numbered]
        columns = page_of(("account", "source", "device", "energy_wh"), rows)
        page = {"window_start_s": start_s, "first_account": run_id, "columns": columns, "block_sha256s": b""}
        connection.execute(schema.line_page.insert(), page)


def told_of(works, directory: Directory) -> tuple[list[dict[str, int]], dict[str, int]]:
    """The fields of the mint points, and what was withheld."""
    sites = {device: meter.site for device, meter in directory.meters.items()}
    withheld: Counter[str] = Counter()
    with works.database.transaction() as connection:
        found = [
            dict(point.fields)
            for window in mints.windows(connection, 0, 100)
            for point in mints.points(connection, window, sites, {}, withheld)
        ]
    return found, {name.removeprefix("withheld."): count for name, count in withheld.items()}


def test_mint_when_enough_sites_stand_behind_it(works):
    """Twelve roofs alike: a total that tells of none of them."""
    enter_run(works.database, "one", 9, {bytes([number]) * 16: 100 for number in range(12)})
    fields, withheld = told_of(works, directory_of(works, 12))
    told = {"energy_wh": 1200, "total_mc": 1200, "amount_mc": 1200, "association_mc": 0, "mints": 12, "sites": 12}
    assert fields == [told]
    assert withheld == {}


def test_mint_when_one_site_dominates(works):
    """One roof made more than all others together."""
    energies_wh = {bytes([number]) * 16: 100 for number in range(12)} | {bytes(16): 1101}
    enter_run(works.database, "one", 9, energies_wh)
    assert told_of(works, directory_of(works, 12)) == ([], {"dominated": 1})


def test_mint_when_another_window_about_the_time_was_told(works):
    """Twelve homes, then eleven of them for a part of that time: the difference would be the twelfth's."""
    enter_run(works.database, "one", 9, {bytes([number]) * 16: 100 for number in range(12)})
    enter_run(works.database, "two", 20, {bytes([number]) * 16: 100 for number in range(11)}, end_s=TIME_S + 7200)
    fields, withheld = told_of(works, directory_of(works, 12))
    assert [row["sites"] for row in fields] == [12]
    assert withheld == {"differs-by-few": 1}


def test_mint_when_a_window_took_several_runs(works):
    """More leaves than a run holds are one point, by source; while one of its runs waits, nothing is told."""
    for name, place, first, source in (("one", 9, 0, 1), ("two", 20, 12, 1), ("three", None, 0, 2)):
        enter_run(works.database, name, place, {bytes([first + n]) * 16: 100 for n in range(12)}, source=source)
    assert told_of(works, directory_of(works, 24)) == ([], {})
    with works.database.transaction() as connection:
        connection.execute(schema.run.update().where(schema.run.c.place.is_(None)).values(place=30))
    fields, withheld = told_of(works, directory_of(works, 24))
    assert [(row["energy_wh"], row["mints"], row["sites"]) for row in fields] == [(2400, 24, 24), (1200, 12, 12)]
    assert withheld == {}


def test_mint_when_a_hold_delays_a_part_of_a_window(works):
    """The rest of it is told when the next window is in the log; what is held holds nothing else up."""
    roofs = {bytes([number]) * 16: 100 for number in range(12)}
    enter_run(works.database, "one", 9, roofs)
    enter_run(works.database, "held", None, {bytes([12]) * 16: 100})
    assert told_of(works, directory_of(works, 13)) == ([], {})
    enter_run(works.database, "two", 20, roofs, end_s=TIME_S + 7200, start_s=TIME_S + 3600)
    fields, _withheld = told_of(works, directory_of(works, 13))
    assert [(row["energy_wh"], row["sites"]) for row in fields] == [(1200, 12), (1200, 12)]
