"""The FEC of a shop, held to a checker that was written apart; and its settings, which refuse what is none."""

import random
from datetime import UTC, date, datetime

import pytest

from ledger.book.units import Unit
from ledger.testing import ident
from tests.web.fec_checker import check
from web.accounting import fec, plan
from web.accounting.fec import Year
from web.accounting.movements import Movement, What
from web.accounting.plan import Plan
from web.visitor import Sorry

SIREN = "732829320"
YEAR = Year(date(2024, 1, 1), date(2024, 12, 31))
START_S = int(datetime(2023, 12, 1, tzinfo=UTC).timestamp())
UNITS = (Unit.ENERGY, Unit.EURO, Unit.MUTUAL, Unit.HOURS)


def day_of(time_s: int) -> date:
    return datetime.fromtimestamp(time_s, UTC).date()


def movements(seed: int, count: int) -> list[Movement]:
    """A year and a bit of a shop, with everything that may happen, out of order and with wicked texts."""
    rng = random.Random(seed)
    found = []
    for place in range(count):
        what, unit = rng.choice(list(What)), rng.choice(UNITS)
        unit = Unit.EURO if what in (What.BOUGHT, What.REDEEMED) else Unit.ENERGY if what is What.EARNED else unit
        amount_mc = rng.choice([1, 4, 5, 10, 999, 1000, 3333, 12_345, rng.randrange(1, 10**9)])
        sign = -1 if what in (What.PAID, What.REDEEMED) else rng.choice((1, -1)) if what is What.OTHER else 1
        cents = rng.choice([0, amount_mc // 10, amount_mc // 11]) if unit is Unit.EURO else 0
        text = rng.choice(["", "two\tbaguettes", "a\r\nb", "œuf; «pain»", "x" * 300, "\x00\u2028"])
        time_s = START_S + rng.randrange(400 * 86_400)
        head = (place, time_s, what, what.value, unit, sign * amount_mc)
        found.append(Movement(*head, other=ident("farm"), text=text, cents=cents))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_file_when_a_year_is_written(seed: int) -> None:
    """Nothing is wrong with it, whatever happened; each movement of the year that is worth a cent is in it once."""
    rng = random.Random(seed)
    kept = Plan(SIREN, credit_cents=rng.choice([100, 25, 7]), vat_permille=rng.choice([0, 55, 200]))
    rows = movements(seed, 500)
    lines = list(fec.lines(rows, kept, {ident("farm"): "La Ferme"}, day_of, YEAR))
    assert check(fec.file_name(kept, YEAR), "".join(lines).encode()) == []
    inside = [row for row in rows if YEAR.first <= day_of(row.time_s) <= YEAR.last and fec.postings(row, kept)]
    assert int(lines[-1].split("\t")[2]) == len(inside) > 100
    sold = sum(fec.in_cents(row.amount_mc, row.unit, kept) for row in inside if row.what is What.RECEIVED)
    sales = [line.split("\t") for line in lines[1:] if line.startswith("VE") and "\t5311000\t" not in line]
    assert sum(int(row[12].replace(",", "")) for row in sales) == sold


def test_postings_when_a_shop_sells_and_reconverts() -> None:
    """A loaf of 1.10 with 5.5 % VAT; 50 euro credits that come back as 48.50."""
    kept = Plan(SIREN, vat_permille=55)
    sale = Movement(7, START_S, What.RECEIVED, "transfer", Unit.ENERGY, 1100)
    assert fec.postings(sale, kept) == [("purse", 110), ("sales", -104), ("vat", -6)]
    back = Movement(8, START_S, What.REDEEMED, "redeem", Unit.EURO, -50_000, cents=4850)
    assert fec.postings(back, kept) == [("bank", 4850), ("purse", -5000), ("fees", 150)]
    assert fec.postings(Movement(9, START_S, What.RECEIVED, "transfer", Unit.HOURS, 60_000), kept) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("\t", "|", 3), "18 fields"),
        (lambda text: text.replace("1,10", "1.10"), "comma"),
        (lambda text: text.replace("1,04", "1,05"), "not balanced"),
        (lambda text: text.replace("\t20240716\t", "\t20240732\t"), "no day"),
        (lambda text: text.replace("VE\tVentes en monnaie locale\t1", "VE\tVentes en monnaie locale\t3"), "after 0"),
    ],
)
def test_checker_when_a_file_is_wrong(change, says: str) -> None:
    """The checker is worth something: it finds what is wrong."""
    when_s = int(datetime(2024, 7, 16, tzinfo=UTC).timestamp())
    sale = Movement(7, when_s, What.RECEIVED, "transfer", Unit.ENERGY, 1100)
    text = "".join(fec.lines([sale], Plan(SIREN, vat_permille=55), {}, day_of, YEAR))
    name = fec.file_name(Plan(SIREN), YEAR)
    assert check(name, text.encode()) == []
    assert any(says in line for line in check(name, change(text).encode()))


def test_year_when_it_ends_in_june() -> None:
    """The business year of a shop is its own, and the file is named by its last day."""
    kept = Plan(SIREN, year_end_month=6)
    assert Year.ending(2024, kept) == Year(date(2023, 7, 1), date(2024, 6, 30))
    assert fec.file_name(kept, Year.ending(2024, kept)) == "732829320FEC20240630.txt"


@pytest.mark.parametrize("text", ["732829321", "73282932000074", "12345678", "", "732 829 32O"])
def test_siren_that_is_none(text: str) -> None:
    """A sentence, not a file under a wrong name."""
    with pytest.raises(Sorry):
        plan.read_siren(text)


def test_numbers_when_they_are_written_with_spaces() -> None:
    """As on paper."""
    assert plan.read_siren("732 829 320") == SIREN
    assert plan.read_iban("FR76 3000 6000 0112 3456 7890 189") == "FR7630006000011234567890189"
    for wrong in ("FR7630006000011234567890188", "hello", "FR76"):
        with pytest.raises(Sorry):
            plan.read_iban(wrong)
    with pytest.raises(Sorry, match="account number"):
        plan.read_account("70", "Sales")
